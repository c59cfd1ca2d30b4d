package http

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Config of the input. Every limit has a default.
type Config struct {
	Listen string  `yaml:"listen" doc:"host:port to listen on; beyond loopback only with tls and tokens" required:"true" example:"127.0.0.1:8088"`
	Tokens []Token `yaml:"tokens" doc:"any of these is accepted as Bearer, Splunk or Basic password; none: no authentication; each a secret, or a map that gives it a name"`
	TLS    TLS     `yaml:"tls" doc:"serve TLS"`

	TokenField string `yaml:"token_field" doc:"member in which events get the name of the token that they came with, unless they have it" example:"sender"`

	MaxBody     agent.Bytes    `yaml:"max_body" doc:"largest body, also after decompression"`
	MaxEvent    agent.Bytes    `yaml:"max_event" doc:"largest event; a larger one is refused alone"`
	MaxEvents   int            `yaml:"max_events" doc:"most events in one request"`
	MaxRatio    int            `yaml:"max_ratio" doc:"a body over 1 MiB that is compressed more than so many times to one is refused"`
	MaxHeader   agent.Bytes    `yaml:"max_header" doc:"largest request header"`
	MaxInFlight agent.Bytes    `yaml:"max_in_flight" doc:"most memory for the bodies of all requests under way; above it clients are told to come again"`
	ReadTimeout agent.Duration `yaml:"read_timeout" doc:"longest time for reading one request"`
	HeaderTime  agent.Duration `yaml:"header_timeout" doc:"longest time for reading a request's header"`
	IdleTimeout agent.Duration `yaml:"idle_timeout" doc:"how long a connection may stay silent between requests"`
	MinRate     agent.Bytes    `yaml:"min_rate" doc:"bytes a second that a body must come at, after its first five seconds"`

	MaxConnections int `yaml:"max_connections" doc:"most open connections; at most half as many as the process may have open files"`
	MaxPerAddress  int `yaml:"max_connections_per_address" doc:"most open connections of one address"`

	FullWait agent.Duration `yaml:"full_wait" doc:"how long a request waits for room in the log before it is told to come again"`
	HECAck   bool           `yaml:"hec_ack" doc:"answer HEC requests that name a channel with an ackId"`

	IdempotencyWindow agent.Duration `yaml:"idempotency_window" doc:"how long an Idempotency-Key is remembered"`
}

// A Token lets clients in.
type Token struct {
	Name  string       `yaml:"name" doc:"who sends with it, for token_field" example:"firewalls"`
	Token agent.Secret `yaml:"token" alone:"true" required:"true" doc:"the token"`
}

// TLS of the listener.
type TLS struct {
	CertFile     string `yaml:"cert_file" file:"certificate" doc:"PEM file with the certificate and its chain; the input starts anew when it changes"`
	KeyFile      string `yaml:"key_file" file:"key" doc:"PEM file with its key"`
	ClientCAFile string `yaml:"client_ca_file" file:"certificate" doc:"PEM file with the authorities of client certificates, which are then demanded"`
}

func (t TLS) enabled() bool { return t.CertFile != "" }

var defaults = Config{
	MaxBody:     16 << 20,
	MaxEvent:    1 << 20,
	MaxEvents:   1_000_000,
	MaxRatio:    500,
	MaxHeader:   32 << 10,
	MaxInFlight: 256 << 20,
	ReadTimeout: agent.Duration(time.Minute),
	HeaderTime:  agent.Duration(10 * time.Second),
	IdleTimeout: agent.Duration(2 * time.Minute),
	MinRate:     1 << 10,

	MaxConnections: 1024,
	MaxPerAddress:  512,

	FullWait:          agent.Duration(2 * time.Second),
	IdempotencyWindow: agent.Duration(24 * time.Hour),
}

// Validate reports what cannot work, and what must not: an open door to the network.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, hint, format string, args ...any) {
		errs = append(errs, &agent.KeyError{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	host, port, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil || !isPort(port):
		bad("listen", "for example 127.0.0.1:8088", "%q is not host:port", c.Listen)
	case !loopback(host) && (!c.TLS.enabled() || len(c.Tokens) == 0):
		missing := "tls and tokens"
		switch {
		case c.TLS.enabled():
			missing = "tokens"
		case len(c.Tokens) > 0:
			missing = "tls"
		}
		bad("listen", "listen on 127.0.0.1, or add "+missing, "%q can be reached from other machines, which needs %s", c.Listen, missing)
	}
	named := false
	for _, t := range c.Tokens {
		named = named || t.Name != ""
		if text := t.Token.Reveal(); text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			bad("tokens", "check the file or variable that it comes from", "a token is empty or has white space in it")
		}
	}
	switch {
	case c.TokenField == "event_id":
		bad("token_field", "for example sender", "an id is never the same for all events of a token")
	case c.TokenField != "" && !named:
		bad("token_field", `for example tokens: [{name: firewalls, token: "${file:/etc/siemd/firewalls.token}"}]`, "no token has a name")
	}
	switch {
	case c.TLS.CertFile != "" && c.TLS.KeyFile == "":
		bad("tls.cert_file", "", "a certificate needs its key_file")
	case c.TLS.CertFile == "" && c.TLS.KeyFile != "":
		bad("tls.key_file", "", "a key needs its cert_file")
	case c.TLS.CertFile == "" && c.TLS.ClientCAFile != "":
		bad("tls.client_ca_file", "add cert_file and key_file", "client certificates need cert_file and key_file")
	}
	for _, p := range []struct {
		key   string
		value int64
	}{
		{"max_body", int64(c.MaxBody)},
		{"max_event", int64(c.MaxEvent)},
		{"max_events", int64(c.MaxEvents)},
		{"max_ratio", int64(c.MaxRatio)},
		{"max_header", int64(c.MaxHeader)},
		{"max_in_flight", int64(c.MaxInFlight)},
		{"read_timeout", int64(c.ReadTimeout)},
		{"header_timeout", int64(c.HeaderTime)},
		{"idle_timeout", int64(c.IdleTimeout)},
		{"max_connections", int64(c.MaxConnections)},
		{"max_connections_per_address", int64(c.MaxPerAddress)},
		{"full_wait", int64(c.FullWait)},
		{"idempotency_window", int64(c.IdempotencyWindow)},
	} {
		if p.value <= 0 {
			bad(p.key, "", "must be more than 0")
		}
	}
	if c.MaxInFlight > 0 && c.MaxBody > c.MaxInFlight {
		bad("max_in_flight", "", "is less than max_body, so that a large body could never be taken")
	}
	if c.MaxBody > maxBodyLimit {
		bad("max_body", "", "is more than %s", agent.Bytes(maxBodyLimit))
	}
	return errors.Join(errs...)
}

// maxBodyLimit keeps a batch, which is one block of the log, within reason.
const maxBodyLimit = 256 << 20

// loopback reports whether only this machine can reach host. A name other than
// localhost may resolve to anything.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isPort reports whether text is a port number; 0 lets the system choose.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
