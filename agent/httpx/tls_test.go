package httpx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// handshake connects client to server and returns both errors.
func handshake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := tls.Client(raw, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		// TLS 1.3 servers refuse a client certificate after the client's handshake.
		_, clientErr = c.Read(make([]byte, 1))
	}
	raw.Close()
	return clientErr, <-done
}

func TestTLSVerifies(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	caFile := filepath.Join(dir, "ca.pem")
	write(t, caFile, ca.pem)
	good := time.Now().Add(time.Hour)
	server := func(a *authority, notAfter time.Time, hosts ...string) *tls.Config {
		c, k := a.issue(t, notAfter, hosts...)
		return &tls.Config{Certificates: []tls.Certificate{pair(t, c, k)}}
	}
	withCA := DefaultTLS
	withCA.CAFile = caFile
	named := withCA
	named.ServerName = "siem.test"
	blind := DefaultTLS
	blind.Verify = false

	for _, c := range []struct {
		name   string
		tls    TLS
		host   string
		server *tls.Config
		want   error // nil, or a pointer to the type that errors.As shall find
	}{
		{"name", withCA, "siem.test", server(ca, good, "siem.test"), nil},
		{"address", withCA, "127.0.0.1", server(ca, good, "127.0.0.1"), nil},
		{"server_name", named, "10.0.0.1", server(ca, good, "siem.test"), nil},
		{"unknown authority", withCA, "siem.test", server(other, good, "siem.test"), x509.UnknownAuthorityError{}},
		{"unknown to the system", DefaultTLS, "siem.test", server(ca, good, "siem.test"), x509.UnknownAuthorityError{}},
		{"wrong name", withCA, "siem.test", server(ca, good, "else.test"), x509.HostnameError{}},
		{"wrong address", withCA, "127.0.0.1", server(ca, good, "127.0.0.2"), x509.HostnameError{}},
		{"expired", withCA, "siem.test", server(ca, time.Now().Add(-time.Minute), "siem.test"), x509.CertificateInvalidError{}},
		{"unverified", blind, "siem.test", server(other, time.Now().Add(-time.Minute), "else.test"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := c.tls.Build(c.host)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := handshake(t, cfg, c.server)
			if c.want == nil {
				if got != nil {
					t.Fatalf("handshake: %v", got)
				}
				return
			}
			var verification *tls.CertificateVerificationError
			if !errors.As(got, &verification) {
				t.Fatalf("handshake: %v, want a verification error", got)
			}
			var ok bool
			switch c.want.(type) {
			case x509.UnknownAuthorityError:
				ok = errors.As(got, new(x509.UnknownAuthorityError))
			case x509.HostnameError:
				ok = errors.As(got, new(x509.HostnameError))
			case x509.CertificateInvalidError:
				ok = errors.As(got, new(x509.CertificateInvalidError))
			}
			if !ok {
				t.Errorf("handshake: %v, want %T", got, c.want)
			}
		})
	}
}

func TestTLSMinVersion(t *testing.T) {
	ca := newAuthority(t)
	c, k := ca.issue(t, time.Now().Add(time.Hour), "siem.test")
	old := &tls.Config{Certificates: []tls.Certificate{pair(t, c, k)}, MaxVersion: tls.VersionTLS12}
	strict := TLS{MinVersion: "1.3"}
	cfg, err := strict.Build("siem.test")
	if err != nil {
		t.Fatal(err)
	}
	if err, _ := handshake(t, cfg, old); err == nil {
		t.Error("TLS 1.2 was accepted with min_version 1.3")
	}
}

// Authorities and client certificates that change on disk are used by the next
// handshake; broken ones are not.
func TestTLSRotation(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	good := time.Now().Add(time.Hour)
	first, second := newAuthority(t), newAuthority(t)
	clients := func(a *authority) *tls.Config {
		c, k := a.issue(t, good, "siem.test")
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		return &tls.Config{Certificates: []tls.Certificate{pair(t, c, k)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	}
	oldServer, newServer := clients(first), clients(second)

	write(t, path("ca.pem"), first.pem)
	c, k := first.issue(t, good)
	write(t, path("c.pem"), c)
	write(t, path("c.key"), k)
	cfg, err := TLS{CAFile: path("ca.pem"), CertFile: path("c.pem"), KeyFile: path("c.key"), Verify: true}.Build("siem.test")
	if err != nil {
		t.Fatal(err)
	}
	if cerr, serr := handshake(t, cfg, oldServer); cerr != nil || serr != nil {
		t.Fatalf("before: %v, %v", cerr, serr)
	}
	if cerr, _ := handshake(t, cfg, newServer); cerr == nil {
		t.Fatal("the second authority was trusted before its time")
	}

	write(t, path("ca.pem"), []byte("half a fi"))
	c, k = second.issue(t, good)
	write(t, path("c.pem"), c) // not of one pair with the old key
	if cerr, serr := handshake(t, cfg, oldServer); cerr != nil || serr != nil {
		t.Fatalf("in between: %v, %v", cerr, serr)
	}
	write(t, path("ca.pem"), second.pem)
	write(t, path("c.key"), k)
	if cerr, serr := handshake(t, cfg, newServer); cerr != nil || serr != nil {
		t.Fatalf("after: %v, %v", cerr, serr)
	}
}

func TestTLSClientCertificateMissing(t *testing.T) {
	ca := newAuthority(t)
	c, k := ca.issue(t, time.Now().Add(time.Hour), "siem.test")
	server := &tls.Config{Certificates: []tls.Certificate{pair(t, c, k)}, ClientAuth: tls.RequireAnyClientCert}
	cfg, err := TLS{}.Build("siem.test")
	if err != nil {
		t.Fatal(err)
	}
	cerr, _ := handshake(t, cfg, server)
	var alert *net.OpError
	if !errors.As(cerr, &alert) || alert.Op != "remote error" || !IsTLS(cerr) {
		t.Errorf("handshake: %v, want an alert", cerr)
	}
}

func TestTLSFilesMustBeReadable(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, nil)
	f := func(c TLS, want string) {
		t.Helper()
		if _, err := c.Build("h"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build(%+v) = %v, want %q in it", c, err, want)
		}
	}
	f(TLS{Verify: true, CAFile: filepath.Join(dir, "absent")}, "no such file")
	f(TLS{Verify: true, CAFile: empty}, "no PEM certificate")
	f(TLS{CertFile: empty, KeyFile: empty}, "cert_file")
}

func TestTLSValidate(t *testing.T) {
	f := func(c TLS, key string) {
		t.Helper()
		err := c.Validate()
		var ke *agent.KeyError
		if key == "" {
			if err != nil {
				t.Errorf("Validate(%+v) = %v", c, err)
			}
		} else if !errors.As(err, &ke) || ke.Key != key {
			t.Errorf("Validate(%+v) = %v, want key %s", c, err, key)
		}
	}
	f(DefaultTLS, "")
	f(TLS{CertFile: "a", KeyFile: "b"}, "")
	f(TLS{CertFile: "a"}, "tls.cert_file")
	f(TLS{KeyFile: "a"}, "tls.key_file")
	f(TLS{CAFile: "a"}, "tls.verify")
}
