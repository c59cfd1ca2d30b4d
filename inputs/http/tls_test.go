package http

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
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pki writes a self-signed certificate of that serial number, good for servers and clients.
func pki(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTLSWithClientCertificates(t *testing.T) {
	cert, key := pki(t, t.TempDir(), 1)
	clientCert, clientKey := pki(t, t.TempDir(), 2)
	r := start(t, func(c *Config) { c.TLS = TLS{CertFile: cert, KeyFile: key, ClientCAFile: clientCert} })
	r.url = strings.Replace(r.url, "http:", "https:", 1)
	pool := x509.NewCertPool()
	text, _ := os.ReadFile(cert)
	pool.AppendCertsFromPEM(text)
	config := &tls.Config{RootCAs: pool}
	r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	if resp, err := r.client.Get(r.url + "/services/collector/health"); err == nil {
		resp.Body.Close()
		t.Error("a client without a certificate was let in")
	}
	r.client.CloseIdleConnections()
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	config = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	if status, text := r.post("/v1/events", `{}`); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := pki(t, dir, 1)
	now := time.Now()
	f := &files{t: TLS{CertFile: cert, KeyFile: key}, now: func() time.Time { return now }}
	config, err := f.t.read()
	if err != nil {
		t.Fatal(err)
	}
	f.config, f.stamp, f.checked = config, f.stamps(), now
	serial := func() int64 {
		t.Helper()
		c, err := f.current(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificates[0].Leaf.SerialNumber.Int64()
	}
	later := func() {
		now = now.Add(recheck)
		for _, name := range []string{cert, key} {
			os.Chtimes(name, now, now)
		}
	}
	pki(t, dir, 2)
	if got := serial(); got != 1 {
		t.Errorf("read again at once: %d", got)
	}
	later()
	if got := serial(); got != 2 {
		t.Errorf("serial %d after a change, want 2", got)
	}
	os.WriteFile(key, []byte("half"), 0o600)
	later()
	if got := serial(); got != 2 {
		t.Errorf("serial %d while the files do not fit, want the old one", got)
	}
	pki(t, dir, 3)
	later()
	if got := serial(); got != 3 {
		t.Errorf("serial %d, want 3", got)
	}
}

func TestTLSFilesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	cert, key := pki(t, dir, 1)
	for _, c := range []TLS{{CertFile: "/nowhere", KeyFile: key}, {CertFile: cert, KeyFile: cert}, {CertFile: cert, KeyFile: key, ClientCAFile: key}, {CertFile: cert, KeyFile: key, ClientCAFile: "/nowhere"}} {
		if _, err := c.load(); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
