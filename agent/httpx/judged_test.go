package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A refuser is a server that wants client certificates of an authority that
// signs none of ours. It returns its address.
func refuser(t *testing.T, ca *authority, version uint16) string {
	t.Helper()
	c, k := ca.issue(t, time.Now().Add(time.Hour), "127.0.0.1")
	pool := x509.NewCertPool()
	pool.AddCert(newAuthority(t).cert)
	config := &tls.Config{
		Certificates: []tls.Certificate{pair(t, c, k)}, MinVersion: version, MaxVersion: version,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := tls.Server(raw, config).Handshake(); err == nil {
					t.Error("the server took the certificate")
				}
				raw.Close() // resets it if the client has sent more
			}()
		}
	}()
	return l.Addr().String()
}

// strangerTo trusts ca and has a certificate of its own, or none.
func strangerTo(t *testing.T, ca *authority, certificate bool) TLS {
	t.Helper()
	dir := t.TempDir()
	c := DefaultTLS
	c.CAFile = filepath.Join(dir, "ca.pem")
	write(t, c.CAFile, ca.pem)
	if certificate {
		c.CertFile, c.KeyFile = filepath.Join(dir, "c.pem"), filepath.Join(dir, "c.key")
		cert, key := ca.issue(t, time.Now().Add(time.Hour))
		write(t, c.CertFile, cert)
		write(t, c.KeyFile, key)
	}
	return c
}

// A refused client certificate says so, however far the request had come.
func TestRefusedClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for kind, certificate := range map[string]bool{"unknown": true, "missing": false} {
			t.Run(name+" "+kind, func(t *testing.T) {
				cfg := config("https://" + refuser(t, ca, version))
				cfg.TLS = strangerTo(t, ca, certificate)
				cl := client(t, cfg, Options{})
				for range 10 {
					_, err := cl.Do(t.Context(), &Request{Body: make([]byte, 4<<20)})
					var alert *net.OpError
					if !agent.IsBlocked(err) || !errors.As(err, &alert) || alert.Op != "remote error" || TLSFix(err) == TLSFix(errors.New("")) {
						t.Fatalf("Do = %v, fix %q", err, TLSFix(err))
					}
				}
			})
		}
	}
}

// A probe finds it: in TLS 1.3 not in the handshake, which is over by then, but behind it.
func TestProbeOfARefusedClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	cfg := config("https://" + refuser(t, ca, tls.VersionTLS13))
	cfg.TLS = strangerTo(t, ca, false)
	ep := client(t, cfg, Options{}).Endpoints()[0]
	for range 20 {
		var last agent.Step
		report := func(s agent.Step) { last = s }
		if err := ep.Probe(t.Context(), report); err != nil || last.Name != "tls" {
			t.Fatalf("Probe = %v after %+v", err, last)
		}
		if err := ep.ProbeRoot(t.Context(), report); !IsTLS(err) || last.Name != "http" || !strings.Contains(last.Fix, "cert_file") {
			t.Fatalf("ProbeRoot = %v after %+v", err, last)
		}
	}
}

// Nor does a proxy in between hide it, which cuts the connection when the server has.
func TestRefusedClientCertificateBehindAProxy(t *testing.T) {
	ca := newAuthority(t)
	server := refuser(t, ca, tls.VersionTLS13)
	proxy, _ := tunnel(t, server)
	cfg := config("https://" + server)
	cfg.TLS, cfg.Proxy = strangerTo(t, ca, true), agent.NewSecret(proxy)
	cl := client(t, cfg, Options{})
	for range 50 {
		if _, err := cl.Do(t.Context(), &Request{Body: make([]byte, 4<<20)}); !agent.IsBlocked(err) || !IsTLS(err) {
			t.Fatalf("Do = %v", err)
		}
	}
}

// The alert is told by the write that failed before anybody had read it.
func TestAlertBehindAFailedWrite(t *testing.T) {
	ca := newAuthority(t)
	config, err := strangerTo(t, ca, true).Build("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ep := &Endpoint{client: &Client{}, tls: config}
	for _, closed := range []bool{false, true} {
		c, err := ep.dialTLS(context.Background(), "tcp", refuser(t, ca, tls.VersionTLS13))
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			for {
				if _, err := c.Write(make([]byte, 1<<10)); err != nil {
					failed <- err
					return
				}
			}
		}()
		select {
		case err := <-failed:
			t.Fatalf("it did not wait for the reader: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		if closed {
			c.Close()
		} else if _, err := io.ReadAll(c); !IsTLS(err) {
			t.Errorf("Read: %v", err)
		}
		if err := <-failed; IsTLS(err) == closed {
			t.Errorf("Write: %v, closed: %v", err, closed)
		}
		c.Close()
	}
}
