package syslog

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func tlsConfig(ca *authority, addresses ...string) Config {
	c := tcpConfig(addresses...)
	c.Transport = "tls"
	c.TLS.CAFile = ca.file
	return c
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	good := time.Now().Add(24 * time.Hour)
	mutual := func(version uint16, tickets bool) func(t *testing.T) *tls.Config {
		return func(t *testing.T) *tls.Config {
			c := ca.server(t, "127.0.0.1", good)
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
			c.MinVersion, c.MaxVersion = version, version
			c.SessionTicketsDisabled = !tickets
			return c
		}
	}
	client := func(a *authority) func(t *testing.T, c *Config) {
		return func(t *testing.T, c *Config) { c.TLS.CertFile, c.TLS.KeyFile = a.issue(t, "client", good) }
	}
	for _, c := range []struct {
		name   string
		server func(t *testing.T) *tls.Config
		client func(t *testing.T, c *Config)
		want   any    // nil, or what errors.As finds
		fix    string // part of what the probe says
	}{
		{"good", func(t *testing.T) *tls.Config { return ca.server(t, "127.0.0.1", good) }, nil, nil, ""},
		{
			"other name", func(t *testing.T) *tls.Config { return ca.server(t, "siem.test", good) },
			func(_ *testing.T, c *Config) { c.TLS.ServerName = "siem.test" }, nil, "",
		},
		{
			"not verified", func(t *testing.T) *tls.Config { return stranger.server(t, "else", good.Add(-96*time.Hour)) },
			func(_ *testing.T, c *Config) { c.TLS.CAFile, c.TLS.Verify = "", false }, nil, "",
		},
		{
			"expired", func(t *testing.T) *tls.Config { return ca.server(t, "127.0.0.1", time.Now().Add(-time.Hour)) },
			nil, new(x509.CertificateInvalidError), "renew",
		},
		{
			"wrong name", func(t *testing.T) *tls.Config { return ca.server(t, "siem.test", good) },
			nil, new(x509.HostnameError), "tls.server_name to a name in the certificate: siem.test",
		},
		{
			"unknown authority", func(t *testing.T) *tls.Config { return stranger.server(t, "127.0.0.1", good) },
			nil, new(x509.UnknownAuthorityError), "tls.ca_file",
		},
		{"TLS 1.1 only", func(t *testing.T) *tls.Config {
			c := ca.server(t, "127.0.0.1", good)
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		}, nil, new(*net.OpError), "tls.min_version"},
		{"mutual 1.3", mutual(tls.VersionTLS13, true), client(ca), nil, ""},
		{"mutual 1.3 without tickets", mutual(tls.VersionTLS13, false), client(ca), nil, ""},
		{"mutual 1.2", mutual(tls.VersionTLS12, true), client(ca), nil, ""},
		{"certificate missing 1.3", mutual(tls.VersionTLS13, true), nil, new(*net.OpError), "tls.cert_file"},
		{"certificate missing 1.2", mutual(tls.VersionTLS12, true), nil, new(*net.OpError), "tls.cert_file"},
		{"certificate unknown 1.3", mutual(tls.VersionTLS13, true), client(stranger), new(*net.OpError), "tls.cert_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := listen(t, "127.0.0.1:0", c.server(t)).start()
			config := tlsConfig(ca, r.Addr().String())
			if c.client != nil {
				c.client(t, &config)
			}
			o := open(t, config)
			err := o.Write(deadline(t, 20*time.Second), events(t, o, "one", "two"))
			var steps []agent.Step
			probed := o.Probe(deadline(t, 20*time.Second), func(s agent.Step) { steps = append(steps, s) })
			last := steps[len(steps)-1]
			if c.want == nil {
				if err != nil || probed != nil {
					t.Fatalf("Write: %v, probe: %v", err, probed)
				}
				if got := r.awaitCount(t, 2); !slices.Equal(got, []string{"one", "two"}) {
					t.Errorf("received %q", got)
				}
				return
			}
			if !errors.As(err, c.want) || !agent.IsBlocked(err) {
				t.Errorf("Write: %v (%T), blocked: %v", err, err, agent.IsBlocked(err))
			}
			if !errors.As(probed, c.want) || !strings.Contains(last.Fix, c.fix) {
				t.Errorf("probe: %v, fix %q", probed, last.Fix)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.messages) > 0 {
				t.Errorf("the receiver got %q", r.messages)
			}
		})
	}
}

// What stands between us and a plain listener is an error, never plain text.
func TestTLSDoesNotFallBack(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil)
	var got []byte
	done := make(chan struct{})
	r.serve = func(c net.Conn) {
		defer close(done)
		c.Write([]byte("220 hello\r\n"))
		got, _ = io.ReadAll(c)
	}
	r.start()
	o := open(t, tlsConfig(newAuthority(t), r.Addr().String()))
	err := o.Write(deadline(t, 20*time.Second), events(t, o, "a secret"))
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || !agent.IsBlocked(err) {
		t.Errorf("Write: %v", err)
	}
	<-done
	if strings.Contains(string(got), "secret") {
		t.Errorf("plain text was sent: %q", got)
	}
}

// Partial progress, the window and close_notify work under TLS as well.
func TestTLSBreakAndGoodbye(t *testing.T) {
	ca := newAuthority(t)
	r := listen(t, "127.0.0.1:0", ca.server(t, "127.0.0.1", time.Now().Add(time.Hour)))
	ended := make(chan error, 2)
	r.serve = func(c net.Conn) {
		r.mu.Lock()
		first := r.count == 1
		r.mu.Unlock()
		if first {
			io.CopyN(io.Discard, c, 100_000)
			c.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			c.(*tls.Conn).NetConn().Close()
			return
		}
		r.read(c, octet)
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}
	r.start()
	config := tlsConfig(ca, r.Addr().String())
	config.ResendWindow = 64 << 20
	o := open(t, config)
	texts := numbered(1000, 10_000)
	rest := texts
	err := o.Write(deadline(t, 20*time.Second), events(t, o, texts...))
	var partial *agent.PartialError
	switch {
	case err == nil:
		t.Fatal("10 MB into a connection that was reset were delivered")
	case errors.As(err, &partial):
		rest = texts[partial.Failed[0].Index:]
	}
	write(t, o, rest...)
	r.await(t, "all messages", func(m []string) bool { return len(m) >= len(texts) && m[len(m)-1] == texts[len(texts)-1] })
	seen := map[string]bool{}
	for _, m := range r.messages {
		seen[m] = true
	}
	if len(seen) != len(texts) {
		t.Errorf("%d of %d messages arrived", len(seen), len(texts))
	}
	o.Close(deadline(t, 20*time.Second))
	if err := <-ended; err != io.EOF {
		t.Errorf("the receiver saw %v, want close_notify (EOF)", err)
	}
}

// A rotated authority and client certificate are used by the next connection.
func TestTLSRotation(t *testing.T) {
	old, fresh := newAuthority(t), newAuthority(t)
	good := time.Now().Add(time.Hour)
	server := func(a *authority) *tls.Config {
		c := a.server(t, "127.0.0.1", good)
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
		return c
	}
	r := listen(t, "127.0.0.1:0", server(old)).start()
	config := tlsConfig(old, r.Addr().String())
	config.TLS.CertFile, config.TLS.KeyFile = old.issue(t, "client", good)
	o := open(t, config)
	write(t, o, "one")
	address := r.Addr().String()
	r.stop()

	move := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cert, key := fresh.issue(t, "client", good)
	move(fresh.file, config.TLS.CAFile)
	move(cert, config.TLS.CertFile)
	move(key, config.TLS.KeyFile)
	r = listen(t, address, server(fresh)).start()
	insist(t, o, "two")
	r.await(t, "the new event", func(m []string) bool { return slices.Contains(m, "two") })
}

func TestUnreadableTLSFilesAreTold(t *testing.T) {
	c := tcpConfig("127.0.0.1:1")
	c.Transport = "tls"
	c.TLS.CAFile = "/does/not/exist"
	if _, err := newOutput(c, plain{}, testEnv(t)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("build: %v", err)
	}
}
