package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// An authority signs certificates for 127.0.0.1.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate for an address that ends after a time from now.
func (a *authority) issue(t *testing.T, ip string, ends time.Duration) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "receiver"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(ends),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(ip)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

// What is wrong with a receiver's certificate costs no event, says what it is,
// and once it is mended everything is sent once.
func TestFaultyCertificates(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, string(ours.pem))
	good := ours.issue(t, "127.0.0.1", time.Hour)
	bad := []struct {
		name, says string
		cert       *tls.Certificate
	}{
		{"expired", "expired", ours.issue(t, "127.0.0.1", -time.Hour)},
		{"unknown", "unknown authority", other.issue(t, "127.0.0.1", time.Hour)},
		{"wrong-name", "not 127.0.0.1", ours.issue(t, "192.0.2.1", time.Hour)},
	}
	var cases []faultCase
	for _, kind := range []string{"splunk", "elastic", "http", "syslog", "cef"} {
		keys := "tls: {ca_file: " + ca + "}"
		if kind == "syslog" || kind == "cef" {
			keys += ", transport: tls"
		}
		for _, b := range bad {
			var shown atomic.Pointer[tls.Certificate]
			shown.Store(b.cert)
			c := faultCase{name: kind + "-" + b.name, kind: kind, keys: keys, held: true, says: b.says}
			c.mend = func() { shown.Store(good) }
			c.opts.TLSConfig = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown.Load(), nil }}
			if kind == "syslog" || kind == "cef" {
				c.opts.Transport = "tls"
			}
			cases = append(cases, c)
		}
	}
	cases = append(cases, rotations(t, ours, other)...)
	receivers, outputs := startFaults(t, cases)
	runFaults(t, startBench(t, outputs), cases, receivers)
}

// rotations are cases that end when files are replaced below the running
// agent: an authority, and a client certificate that the receiver asks for.
func rotations(t *testing.T, ours, other *authority) (cases []faultCase) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	server := &tls.Config{Certificates: []tls.Certificate{*ours.issue(t, "127.0.0.1", time.Hour)}}
	for _, kind := range []string{"splunk", "elastic", "syslog"} {
		dir := t.TempDir()
		file := func(name string, data []byte) string {
			path := filepath.Join(dir, name)
			replaceFile(t, path, data)
			return path
		}
		ca := file("ca.pem", ours.pem)
		transport, opts, again := "", plugintest.Options{TLSConfig: server}, span{}
		if kind == "syslog" {
			// It has no answers: what its last connection may not have read comes again.
			transport, opts.Transport, again = ", transport: tls", "tls", anyTimes
		}
		later := file("later.pem", other.pem)
		rotated := faultCase{name: kind + "-ca-rotated", kind: kind, keys: "tls: {ca_file: " + later + "}" + transport, held: true, says: "unknown authority", opts: opts, repeats: again}
		rotated.mend = func() { replaceFile(t, later, ours.pem) }

		cases = append(cases, rotated)
		// In TLS 1.3 a refusal comes when the client sends already.
		for version, number := range map[string]uint16{"1-2": tls.VersionTLS12, "1-3": tls.VersionTLS13} {
			strict := server.Clone()
			strict.ClientAuth, strict.ClientCAs = tls.RequireAndVerifyClientCert, pool
			strict.MinVersion, strict.MaxVersion = number, number
			mutual := opts
			mutual.TLSConfig = strict

			var asks atomic.Bool
			asks.Store(true)
			missing := faultCase{name: kind + "-no-client-certificate-" + version, kind: kind, keys: "tls: {ca_file: " + ca + "}" + transport, held: true, says: "remote error: tls: ", opts: opts}
			missing.opts.TLSConfig = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				if asks.Load() {
					return strict, nil
				}
				return server, nil
			}}
			missing.mend = func() { asks.Store(false) }

			// One file for certificate and key is replaced at once. The agent exchanges
			// the output for it, amid what it has begun to send with the new one.
			client := file("client"+version+".pem", other.clientPEM(t))
			replaced := faultCase{
				name: kind + "-client-rotated-" + version, kind: kind, opts: mutual, held: true, says: "certificate", repeats: again,
				keys: "tls: {ca_file: " + ca + ", cert_file: " + client + ", key_file: " + client + "}" + transport,
			}
			replaced.mend = func() { replaceFile(t, client, ours.clientPEM(t)) }
			cases = append(cases, missing, replaced)
		}
	}
	return cases
}

// clientPEM is a new certificate for a client, and its key.
func (a *authority) clientPEM(t *testing.T) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "agent"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
}

// replaceFile is how certificates are renewed: a new file is renamed into place.
func replaceFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Error(err)
	}
}
