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
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
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
	receivers, outputs := startFaults(t, cases)
	runFaults(t, startBench(t, outputs), cases, receivers)
}
