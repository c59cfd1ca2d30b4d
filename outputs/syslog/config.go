package syslog

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Config is the config of kind syslog, and part of those of cef and leef.
type Config struct {
	Endpoint     []string    `yaml:"endpoint" required:"true" example:"siem.example.com:514" doc:"host:port of the receiver, or a list: the first that takes the connection gets all. The port may be left out: 514, with TLS 6514."`
	Transport    string      `yaml:"transport" oneof:"udp|tcp|tls" doc:"How to send: tcp and tls deliver at least once, udp is best effort."`
	Framing      string      `yaml:"framing" oneof:"octet|newline" doc:"How tcp tells messages apart: octet counts bytes and is what tls demands, newline ends each message with LF."`
	Facility     string      `yaml:"facility" oneof:"kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|audit|alert|clock|local0|local1|local2|local3|local4|local5|local6|local7" doc:"Facility of every message."`
	AppName      string      `yaml:"app_name" example:"zerotrust" doc:"APP-NAME, or TAG of RFC 3164; default: identity.app."`
	Hostname     string      `yaml:"hostname" example:"siem-gateway" doc:"HOSTNAME of every message; - for none; default: the event's source, else the host."`
	RFC          string      `yaml:"rfc" oneof:"5424|3164" doc:"Which syslog header to write."`
	SDID         string      `yaml:"sd_id" example:"zerotrust@32473" doc:"SD-ID of the structured data, name@enterprise-number; default: <app>@32473."`
	BOM          string      `yaml:"bom" oneof:"off|auto|always" doc:"When RFC 5424 text begins with a byte order mark: auto is for text that is not ASCII."`
	MaxMessage   agent.Bytes `yaml:"max_message" example:"8KiB" doc:"Longest message; longer text is cut at the end. Default: 64KiB, over udp 2KiB."`
	ResendWindow agent.Bytes `yaml:"resend_window" doc:"How much of what was delivered is sent again after a broken connection, since syslog has no acknowledgement."`
	TLS          httpx.TLS   `yaml:"tls" doc:"How the receiver is verified, and the client's certificate."`
}

// CEFConfig is the config of kind cef.
type CEFConfig struct {
	Config         `yaml:",inline"`
	Vendor         string            `yaml:"vendor" doc:"Device vendor; default: identity.vendor."`
	Product        string            `yaml:"product" doc:"Device product; default: identity.product."`
	ProductVersion string            `yaml:"product_version" doc:"Device version; default: identity.version."`
	CEFVersion     string            `yaml:"cef_version" oneof:"0|1" doc:"Version of CEF: 0 is what every receiver takes, 1 adds MITRE keys."`
	Extensions     map[string]string `yaml:"extensions" example:"{cs6: my.field}" doc:"Further keys, and the dotted path of the event's member that fills each. A custom field such as cs6 is labelled with that path, or with the text given for cs6Label."`
}

// LEEFConfig is the config of kind leef.
type LEEFConfig struct {
	Config         `yaml:",inline"`
	Vendor         string            `yaml:"vendor" doc:"Vendor; default: identity.vendor. QRadar finds the log source by it."`
	Product        string            `yaml:"product" doc:"Product; default: identity.product."`
	ProductVersion string            `yaml:"product_version" doc:"Product version; default: identity.version."`
	LEEFVersion    string            `yaml:"leef_version" oneof:"2.0|1.0" doc:"Version of LEEF."`
	Delimiter      string            `yaml:"delimiter" example:"^" doc:"Delimiter of attributes in LEEF 2.0: one character, or its code as in x09 (a tab). A relay through rsyslog spoils tabs."`
	Extensions     map[string]string `yaml:"extensions" example:"{usrName: user.name}" doc:"Further attributes, and the dotted path of the event's member that fills each."`
}

var (
	defaults = Config{
		Transport: "tcp", Framing: "octet", Facility: "local0", RFC: "5424", BOM: "off",
		ResendWindow: 1 << 20, TLS: httpx.DefaultTLS,
	}
	cefDefaults  = CEFConfig{Config: withRFC(defaults, "3164"), CEFVersion: "0"}
	leefDefaults = LEEFConfig{Config: withRFC(defaults, "3164"), LEEFVersion: "2.0", Delimiter: "x09"}
)

func withRFC(c Config, rfc string) Config {
	c.RFC = rfc
	return c
}

const (
	maxDatagram = 65507 // what IPv4 can carry
	minMessage  = 480   // what every receiver must take
	maxMessage  = 16 << 20
)

// validate reports keys of the transport that do not fit together.
func (c Config) validate() error {
	var errs []error
	bad := func(key, hint, format string, args ...any) {
		errs = append(errs, &agent.KeyError{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	for i, e := range c.Endpoint {
		address, err := c.address(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, other := range c.Endpoint[:i] {
			if a, _ := c.address(other); a == address {
				bad("endpoint", "name each endpoint once", "%s is listed twice", address)
			}
		}
	}
	if c.Framing == "newline" {
		switch c.Transport {
		case "tls":
			bad("framing", "remove framing, or write framing: octet", "syslog over TLS (RFC 5425) counts octets")
		case "udp":
			bad("framing", "remove framing", "a datagram is one message: framing is for transport: tcp")
		}
	}
	if t := c.TLS; c.Transport != "tls" && (t.CAFile != "" || t.CertFile != "" || t.KeyFile != "" || t.ServerName != "") {
		bad("tls", "write transport: tls", "transport %s is not encrypted, so tls has no effect", c.Transport)
	}
	switch size := int64(c.MaxMessage); {
	case size == 0:
	case size < minMessage:
		bad("max_message", "at least 480B", "every receiver takes %d bytes, and less has no room for a header", minMessage)
	case c.Transport == "udp" && size > maxDatagram:
		bad("max_message", "at most 65507B", "a datagram holds %d bytes at most", maxDatagram)
	case size > maxMessage:
		bad("max_message", "at most 16MiB", "no receiver takes messages of %s", c.MaxMessage)
	}
	if c.ResendWindow > 256<<20 {
		bad("resend_window", "the default is 1MiB", "the window is kept in memory, at most 256MiB")
	}
	return errors.Join(append(errs, c.TLS.Validate())...)
}

// usualPorts are where syslog is received: at the end of an IPv6 address without brackets they are taken for a slip.
var usualPorts = []string{"514", "601", "1514", "5514", "6514"}

// address is the endpoint with a port.
func (c Config) address(endpoint string) (string, error) {
	bad := func(hint, format string, args ...any) (string, error) {
		return "", &agent.KeyError{Key: "endpoint", Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	if scheme, rest, ok := strings.Cut(endpoint, "://"); ok {
		return bad("write "+strings.TrimRight(rest, "/")+", and the protocol as transport", "%s:// does not belong here: want host:port", scheme)
	}
	if strings.HasPrefix(endpoint, "unix:") || strings.HasPrefix(endpoint, "/") {
		return bad("a syslog daemon on this machine takes them at 127.0.0.1:514, if it is told to", "%q is a unix socket, and outputs send over the network", endpoint)
	}
	if at := strings.LastIndexByte(endpoint, ':'); at > 0 && net.ParseIP(endpoint) != nil && net.ParseIP(endpoint[:at]) != nil && slices.Contains(usualPorts, endpoint[at+1:]) {
		return bad(fmt.Sprintf("write [%s]:%s, or [%s] if there is no port", endpoint[:at], endpoint[at+1:], endpoint), "%q may end in a port, or in a part of the address", endpoint)
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		host, port = strings.Trim(endpoint, "[]"), "514"
		if c.Transport == "tls" {
			port = "6514"
		}
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return bad("for example siem.example.com:514 or [2001:db8::1]:514", "%q is not host:port", endpoint)
		}
	}
	if host == "" || strings.ContainsAny(host, " /@\\\"'") {
		return bad("for example siem.example.com:514", "%q names no host", endpoint)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("for example siem.example.com:514", "%q is not a port", port)
	}
	return net.JoinHostPort(host, port), nil
}

// size is the longest message in bytes.
func (c Config) size() int {
	switch {
	case c.MaxMessage != 0:
		return int(c.MaxMessage)
	case c.Transport == "udp":
		return 2 << 10
	}
	return 64 << 10
}
