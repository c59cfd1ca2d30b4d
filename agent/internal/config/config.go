// Package config turns YAML files into a value that the supervisor can apply,
// or into a list of everything that is wrong with them. A Config that exists is
// valid. Values may refer to the environment, to files and to systemd
// credentials; they are replaced in parsed scalars only, once, and never printed.
package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// Config is a whole, valid configuration.
type Config struct {
	Settings
	Inputs  map[string]*Input
	Outputs map[string]*Output
	Files   []string // what was read, the main file first
	Sources []string // files that values were taken from
	Hash    string   // over everything, substituted values included

	filesHash string // over the files alone
	provenance
	texts map[string][]byte // of the files
}

// Text is what the config file at path, one of Files, held when it was read.
func (c *Config) Text(path string) []byte { return c.texts[path] }

// Relocate makes the config one of the file at path, of which it is a copy:
// reloads read that one.
func (c *Config) Relocate(path string) {
	c.texts[path] = c.texts[c.Files[0]]
	c.Files[0] = path
}

// provenance is what is known about values that come from elsewhere, so that they are not shown.
type provenance struct {
	refs    map[string]string // as written, by dotted path
	private []string          // what they stand for
}

// Settings are the top-level keys but the components.
type Settings struct {
	DataDir         string         `yaml:"data_dir" doc:"where the log, failed events and all other state live; one agent per directory"`
	Identity        agent.Identity `yaml:"identity" doc:"what the agent calls itself in CEF, LEEF, HEC, ECS and syslog"`
	API             API            `yaml:"api" doc:"REST API, metrics and status page"`
	WAL             WAL            `yaml:"wal" doc:"the write-ahead log"`
	Failed          Failed         `yaml:"failed" doc:"the store of events that a SIEM refused"`
	Refused         Refused        `yaml:"refused" doc:"the store of lines that could not become events"`
	Log             Log            `yaml:"log" doc:"siemd's own log, on stderr"`
	ShutdownTimeout agent.Duration `yaml:"shutdown_timeout" doc:"how long a stop may spend on sending what waits"`
}

// API is where the agent can be spoken to, beside the socket in its data_dir.
type API struct {
	Listen []string  `yaml:"listen" doc:"host:port or unix:/path; none with []" example:"127.0.0.1:8000"`
	Tokens []Token   `yaml:"tokens" doc:"further tokens beside <data_dir>/api.token"`
	TLS    ServerTLS `yaml:"tls" doc:"certificate of the API; needed beyond loopback"`

	Clients     []APIClient `yaml:"clients" doc:"who may use the API with a client certificate, without a token"`
	SocketGroup string      `yaml:"socket_group" doc:"group whose members may use the unix: sockets of listen, beside root and the user that siemd runs as" example:"adm"`

	AllowedDestinations Destinations `yaml:"allowed_destinations" doc:"where connections made through the API may go: public, private, loopback, * for all three, addresses and networks, with a port behind them if need be; default: public, private, the addresses that outputs in config files name, and loopback while the API listens on nothing else; link-local addresses and those of cloud metadata never" example:"[10.1.0.0/16, 192.0.2.7:8088]"`

	ListenIsDefault bool `yaml:"-"` // nobody asked for this address
}

// Token lets somebody use the API.
type Token struct {
	Name  string       `yaml:"name" doc:"who; for the audit log" required:"true" example:"grafana"`
	Token agent.Secret `yaml:"token" doc:"the token" required:"true"`
	Scope string       `yaml:"scope" oneof:"read|write" doc:"what it may do"`
}

// APIClient lets the holder of a certificate use the API.
type APIClient struct {
	Name        string `yaml:"name" doc:"who; for the audit log" required:"true" example:"prometheus"`
	Certificate string `yaml:"certificate" doc:"the one name that the certificate must have: dns:NAME, uri:URI, email:ADDRESS, cn:COMMON NAME, or sha256:FINGERPRINT" required:"true" example:"dns:prometheus.example.com"`
	Scope       string `yaml:"scope" oneof:"read|write" doc:"what it may do"`
}

// ServerTLS is the certificate of a listener.
type ServerTLS struct {
	CertFile string `yaml:"cert_file" file:"certificate" doc:"PEM file with the certificate chain"`
	KeyFile  string `yaml:"key_file" file:"key" doc:"PEM file with the private key"`

	ClientCAFile string `yaml:"client_ca_file" file:"certificate" doc:"PEM file with the authorities of client certificates; api.clients says what their holders may do"`
}

// WAL are the budgets and modes of the log.
type WAL struct {
	MaxSize      agent.Bytes    `yaml:"max_size" doc:"size at which the log is full; a request may bring half of it"`
	MinFree      agent.Portion  `yaml:"min_free" doc:"free space of the filesystem below which the log counts as full"`
	WhenFull     string         `yaml:"when_full" oneof:"block|drop_oldest" doc:"block: sources wait; drop_oldest: the oldest events expire"`
	Sync         string         `yaml:"sync" oneof:"always|interval" doc:"always: fsync before every acknowledgement; interval: every sync_interval"`
	SyncInterval agent.Duration `yaml:"sync_interval" doc:"how often to fsync with sync: interval"`
	Compression  string         `yaml:"compression" oneof:"none|s2|zstd" doc:"of the log's blocks"`
}

// Failed caps the store of failed events, per connection.
type Failed struct {
	MaxSize agent.Bytes    `yaml:"max_size" doc:"size at which the oldest failed events fall off"`
	MaxAge  agent.Duration `yaml:"max_age" doc:"age at which failed events fall off"`
}

// Refused caps the store of refused lines.
type Refused struct {
	MaxSize agent.Bytes `yaml:"max_size" doc:"size at which the oldest refused lines fall off"`
}

// Log is how siemd speaks about itself.
type Log struct {
	Level  string `yaml:"level" oneof:"debug|info|warn|error" doc:"the least important level to write"`
	Format string `yaml:"format" oneof:"auto|text|json" doc:"auto: text, or journald priorities under systemd"`
}

// An Input is one configured input.
type Input struct {
	Name   string
	Kind   string
	Common intake.Common
	Config any // what the kind's Spec decoded
	Spec   *agent.Spec
	Hash   string
	File   string
	Line   int
	provenance
}

// An Output is one configured output.
type Output struct {
	Name   string
	Kind   string
	Common delivery.Config
	Config any
	Spec   *agent.Spec
	Hash   string
	File   string
	Line   int
	provenance

	Managed *Managed // nil for one from a config file
}

// DefaultListen is where the API listens if the config says nothing. A busy
// default port is no error: the socket in data_dir serves all the same.
const DefaultListen = "127.0.0.1:8000"

// Default are the settings of an empty file.
func Default() Settings {
	id := agent.DefaultIdentity
	id.Host, _ = os.Hostname()
	return Settings{
		DataDir:  "/var/lib/siemd",
		Identity: id,
		WAL: WAL{
			MaxSize: 4 << 30, MinFree: agent.Portion{Percent: 5}, WhenFull: "block",
			Sync: "always", SyncInterval: agent.Duration(time.Second), Compression: "s2",
		},
		Failed:          Failed{MaxSize: 1 << 30, MaxAge: agent.Duration(30 * 24 * time.Hour)},
		Refused:         Refused{MaxSize: 256 << 20},
		Log:             Log{Level: "info", Format: "auto"},
		ShutdownTimeout: agent.Duration(20 * time.Second),
	}
}

// Validate checks what no single key can tell.
func (s *Settings) Validate() error {
	var errs []error
	bad := func(key, hint, format string, args ...any) {
		errs = append(errs, &agent.KeyError{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if s.DataDir == "" {
		bad("data_dir", "data_dir: /var/lib/siemd", "data_dir is empty")
	}
	if strings.HasPrefix(s.DataDir, "~") {
		bad("data_dir", "write the path in full: /home/NAME/...", "~ is not replaced in configs")
	}
	if s.WAL.MaxSize < 1<<20 {
		bad("wal.max_size", "at least 1MiB", "%s is too small for the log", s.WAL.MaxSize)
	}
	if s.WAL.Sync == "interval" && (s.WAL.SyncInterval < agent.Duration(time.Millisecond) || s.WAL.SyncInterval > agent.Duration(time.Minute)) {
		bad("wal.sync_interval", "the default is 1s", "want 1ms to 1m")
	}
	if (s.API.TLS.CertFile == "") != (s.API.TLS.KeyFile == "") {
		bad("api.tls", "give both or none", "cert_file and key_file go together")
	}
	if s.API.Listen == nil {
		s.API.Listen, s.API.ListenIsDefault = []string{DefaultListen}, true
	}
	names := map[string]bool{}
	for i := range s.API.Tokens {
		t := &s.API.Tokens[i]
		if t.Scope == "" {
			t.Scope = "read"
		}
		if names[t.Name] {
			bad("api.tokens", "the audit log tells them apart by their names", "two tokens are called %q", t.Name)
		}
		names[t.Name] = true
	}
	errs = append(errs, s.API.checkClients(names)...)
	for _, d := range s.API.AllowedDestinations {
		if _, err := parseDestination(d); err != nil {
			bad("api.allowed_destinations", "for example [public, 10.1.0.0/16, 192.0.2.7:8088]", "%s", err)
		}
	}
	for _, addr := range s.API.Listen {
		if err := s.checkListen(addr); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Settings) checkListen(addr string) error {
	if strings.HasPrefix(addr, "unix:") {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &agent.KeyError{Key: "api.listen", Message: fmt.Sprintf("%q is no address", addr), Hint: "host:port or unix:/path, as in 127.0.0.1:8000"}
	}
	if !local(addr) && s.API.TLS.CertFile == "" {
		return &agent.KeyError{
			Key: "api.listen", Message: fmt.Sprintf("%s can be reached from other machines, and has no TLS", addr),
			Hint: "listen on 127.0.0.1 or unix:/path, or set api.tls {cert_file, key_file}",
		}
	}
	return nil
}

// local reports whether only this machine can reach addr, an address of api.listen.
func local(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return strings.HasPrefix(addr, "unix:") || host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Local reports whether only this machine can reach the API.
func (a *API) Local() bool {
	return !slices.ContainsFunc(a.Listen, func(addr string) bool { return !local(addr) })
}

// document is one file as decoded: components still raw.
type document struct {
	Settings `yaml:",inline"`
	Inputs   map[string]yaml.Node `yaml:"inputs" doc:"where events come from, by name"`
	Outputs  map[string]yaml.Node `yaml:"outputs" doc:"where events go, by name"`
}
