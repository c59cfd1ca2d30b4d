package httpx

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"

	"github.com/adrian207/siemd/agent"
)

// Config is embedded, inline, in the config of every output that speaks HTTP.
type Config struct {
	Endpoint    []string     `yaml:"endpoint" required:"true" example:"https://siem.example.com:8088" doc:"URL of the target, or a list: balanced, with failover."`
	Compression string       `yaml:"compression" oneof:"none|gzip" doc:"How request bodies are compressed."`
	Proxy       agent.Secret `yaml:"proxy" example:"http://proxy.example.com:3128" doc:"URL of an http or socks5 proxy, which may hold user and password. Proxies named in the environment are not used."`
	TLS         TLS          `yaml:"tls" doc:"How https endpoints are verified, and the client's certificate."`
}

// Defaults belongs into the defaults of such outputs.
var Defaults = Config{Compression: "none", TLS: DefaultTLS}

// Validate reports endpoints and proxies that are no usable URLs, and TLS keys
// that do not fit together.
func (c Config) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, e := range c.Endpoint {
		u, err := parseEndpoint(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if seen[u.String()] {
			errs = append(errs, &agent.KeyError{Key: "endpoint", Message: fmt.Sprintf("%s is listed twice", label(u)), Hint: "name each endpoint once"})
		}
		seen[u.String()] = true
		if u.Scheme == "http" && (c.TLS.CAFile != "" || c.TLS.CertFile != "" || c.TLS.ServerName != "") {
			errs = append(errs, &agent.KeyError{Key: "tls", Message: fmt.Sprintf("%s is not encrypted, so tls has no effect", label(u)), Hint: "write https://"})
		}
	}
	if !c.Proxy.IsZero() {
		if _, err := parseProxy(c.Proxy.Reveal()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, c.TLS.Validate())...)
}

func parseEndpoint(text string) (*url.URL, error) {
	bad := func(hint, format string, args ...any) error {
		return &agent.KeyError{Key: "endpoint", Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, bad("for example https://siem.example.com:8088", "an endpoint is empty")
	case strings.HasPrefix(text, "unix:"), strings.HasPrefix(text, "/"):
		return nil, bad("give the receiver's URL, as in https://siem.example.com:8088", "%q is a unix socket, and outputs send over the network", text)
	case !strings.Contains(text, "://"):
		// The likeliest slip, and url.Parse takes host:port for a scheme.
		rest := text
		for _, slip := range []string{"https//", "http//", "https:/", "http:/", "https:", "http:"} {
			if after, ok := strings.CutPrefix(text, slip); ok {
				rest = after
				break
			}
		}
		return nil, bad("write https://"+rest, "%q has no scheme", text)
	case err != nil:
		// The parser's error quotes the text, which may hold a password.
		hint := "for example https://siem.example.com:8088"
		if strings.Count(text, ":") > 2 {
			hint = "an IPv6 address stands in brackets, as in https://[2001:db8::1]:8088"
		}
		return nil, bad(hint, "an endpoint is not a URL")
	case u.User != nil:
		return nil, bad("use the keys for tokens, user names and passwords", "credentials do not belong into the endpoint")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("write https:// or http://", "%q is not a scheme for this output", u.Scheme)
	case u.Hostname() == "":
		return nil, bad("for example https://siem.example.com:8088", "%q names no host", text)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		return nil, bad("write its xn-- form", "the name of a host has letters beyond ASCII")
	case u.Fragment != "":
		return nil, bad("remove the part from # on", "an endpoint cannot have a fragment")
	case strings.HasSuffix(u.Host, ":"):
		return nil, bad("write the port, or remove the colon", "%q has a colon and no port", text)
	}
	if p := u.Port(); p != "" {
		if _, err := net.LookupPort("tcp", p); err != nil || p == "0" {
			return nil, bad("", "%q is not a port", p)
		}
	}
	return u, nil
}

func parseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "socks5") {
		return nil, &agent.KeyError{Key: "proxy", Message: "not the URL of an http or socks5 proxy", Hint: "for example http://proxy.example.com:3128"}
	}
	return u, nil
}

// label is how errors and logs name an endpoint: without its query, which may
// hold a key.
func label(u *url.URL) string {
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/")
}

// address is host:port of u.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
