package http

import (
	"errors"
	"net"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestValidate(t *testing.T) {
	f := func(key, message string, change func(*Config)) {
		t.Helper()
		c := defaults
		c.Listen = "127.0.0.1:8088"
		change(&c)
		err := c.Validate()
		var ke *agent.KeyError
		switch {
		case key == "" && err != nil:
			t.Errorf("%v", err)
		case key != "" && (!errors.As(err, &ke) || ke.Key != key || !strings.Contains(ke.Message, message)):
			t.Errorf("%v, want %s: %s", err, key, message)
		}
	}
	tokens := []Token{{Token: agent.NewSecret("x")}}
	cert := TLS{CertFile: "c", KeyFile: "k"}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "127.9.9.9", "[::ffff:127.0.0.1]"} {
		f("", "", func(c *Config) { c.Listen = host + ":8088" })
	}
	for _, host := range []string{"", "0.0.0.0", "[::]", "10.0.0.1", "siem.example.com", "localhost.example.com"} {
		f("listen", "needs tls and tokens", func(c *Config) { c.Listen = host + ":8088" })
		f("listen", "needs tls", func(c *Config) { c.Listen, c.Tokens = host+":8088", tokens })
		f("listen", "needs tokens", func(c *Config) { c.Listen, c.TLS = host+":8088", cert })
		f("", "", func(c *Config) { c.Listen, c.TLS, c.Tokens = host+":8088", cert, tokens })
	}
	f("listen", "not host:port", func(c *Config) { c.Listen = "8088" })
	f("listen", "not host:port", func(c *Config) { c.Listen = "127.0.0.1:" })
	f("tokens", "empty", func(c *Config) { c.Tokens = []Token{{}} })
	f("tokens", "white space", func(c *Config) { c.Tokens = []Token{{Token: agent.NewSecret("a b")}} })
	f("token_field", "no token has a name", func(c *Config) { c.Tokens, c.TokenField = tokens, "sender" })
	f("token_field", "an id is never", func(c *Config) { c.Tokens, c.TokenField = tokens, "event_id" })
	f("", "", func(c *Config) { c.Tokens, c.TokenField = []Token{{Name: "a", Token: agent.NewSecret("x")}}, "sender" })
	f("tls.cert_file", "key_file", func(c *Config) { c.TLS.CertFile = "c" })
	f("tls.key_file", "cert_file", func(c *Config) { c.TLS.KeyFile = "k" })
	f("tls.client_ca_file", "need", func(c *Config) { c.TLS.ClientCAFile = "a" })
	f("max_body", "more than 0", func(c *Config) { c.MaxBody = 0 })
	f("max_body", "more than 256MiB", func(c *Config) { c.MaxBody, c.MaxInFlight = 1<<30, 1<<30 })
	f("max_in_flight", "less than max_body", func(c *Config) { c.MaxInFlight = 1000 })
	f("read_timeout", "more than 0", func(c *Config) { c.ReadTimeout = 0 })
}

func TestConfigIsDecoded(t *testing.T) {
	spec, ok := agent.InputKind("http")
	if !ok {
		t.Fatal("the kind http is not registered")
	}
	var n yaml.Node
	text := "listen: 127.0.0.1:8088\ntokens: [s3cret, {name: a, token: other}]\nmax_body: 1MiB\nread_timeout: 5s\ntls: {cert_file: a, key_file: b}\n"
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	var ps agent.Problems
	c := spec.Decode(&ps, n.Content[0], nil).(*Config)
	if ps.Errors() > 0 || c.MaxBody != 1<<20 || !c.Tokens[0].Token.Equal("s3cret") || c.Tokens[1].Name != "a" || !c.Tokens[1].Token.Equal("other") || c.TLS.KeyFile != "b" || c.IdleTimeout != defaults.IdleTimeout {
		t.Errorf("%+v %v", c, ps.List)
	}
}

func TestABusyPortFailsTheBuild(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := defaults
	c.Listen = ln.Addr().String()
	if _, err := New(c, plugintest.Env("input", "x")); err == nil || !strings.Contains(err.Error(), c.Listen) {
		t.Errorf("%v", err)
	}
}

// TestListenerComesFromTheHost: the host decides what a socket is, and an input that never ran gives it back.
func TestListenerComesFromTheHost(t *testing.T) {
	env := plugintest.Env("input", "x")
	var ln net.Listener
	env.Listen = func(network, address string) (net.Listener, error) {
		var err error
		ln, err = net.Listen(network, "127.0.0.1:0")
		return ln, err
	}
	c := defaults
	c.Listen = "127.0.0.1:1"
	in, err := New(c, env)
	if err != nil {
		t.Fatal(err)
	}
	if in.Addr() != ln.Addr() {
		t.Errorf("listens on %v", in.Addr())
	}
	if err := in.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is open: %v", err)
	}
}
