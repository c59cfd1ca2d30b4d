package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// An authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), name+".pem")}
	a.cert, a.key = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.file, "")
	return a
}

// make signs template, by itself for the authority's own, and writes what files are named.
func (a *authority) make(template *x509.Certificate, certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<60))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if name != "" {
			if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	return cert, key
}

// client is a certificate for a client.
func (a *authority) client(template *x509.Certificate) tls.Certificate {
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert, key := a.make(template, "", "")
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// TestClientCertificates: who holds a certificate on the list may do what its
// scope says; any other one is worth nothing, and a reload takes effect.
func TestClientCertificates(t *testing.T) {
	ca, foreign := newAuthority(t, "ca"), newAuthority(t, "foreign")
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca.make(&x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, cert, key)
	reader := ca.client(&x509.Certificate{DNSNames: []string{"prometheus.example.com"}})
	writer := ca.client(&x509.Certificate{Subject: pkix.Name{CommonName: "ops"}})
	pinned := ca.client(&x509.Certificate{})
	unknown := ca.client(&x509.Certificate{Subject: pkix.Name{CommonName: "dns:prometheus.example.com"}, DNSNames: []string{"ops"}})
	stranger := foreign.client(&x509.Certificate{Subject: pkix.Name{CommonName: "ops"}})
	sum := sha256.Sum256(pinned.Leaf.Raw)

	r := newRig(t, "outputs: {}\n")
	addr := plugintest.FreeAddr(t)
	config := func(ca, more string) string {
		return fmt.Sprintf(`api:
  listen: [%q]
  tls: {cert_file: %q, key_file: %q, client_ca_file: %q}
  tokens: [{name: grafana, token: %s}]
  clients:
    - {name: prometheus, certificate: "dns:prometheus.example.com"}
    - {name: pinned, certificate: "sha256:%s"}
    %s
outputs: {}
`, addr, cert, key, ca, readToken, strings.ToUpper(hex.EncodeToString(sum[:])), more)
	}
	const ops = `- {name: ops, certificate: "cn:ops", scope: write}`
	r.stop()
	r.write(config(ca.file, ops))
	r.start()

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	body, kind := "", ""
	f := func(want int, method, path string, cert *tls.Certificate, token string) {
		t.Helper()
		conf := &tls.Config{RootCAs: roots}
		if cert != nil {
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
		transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
		req, err := http.NewRequest(method, "https://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			if want != 0 {
				t.Errorf("%s %s: %v", method, path, err)
			}
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s %s = %d %s, want %d", method, path, resp.StatusCode, answer, want)
		}
	}
	const status, reload = prefix + "/status", prefix + "/reload"
	f(401, "GET", status, nil, "")
	f(200, "GET", status, nil, readToken)
	f(200, "GET", status, &reader, "")
	f(403, "POST", reload, &reader, "")
	f(200, "GET", status, &pinned, "")
	f(200, "GET", status, &writer, "")
	f(200, "POST", reload, &writer, "")
	f(401, "GET", status, &unknown, "") // its authority is not enough
	f(200, "GET", status, &unknown, readToken)
	f(0, "GET", status, &stranger, "")        // TLS ends it
	f(0, "GET", status, &stranger, readToken) // also beside a good token
	f(401, "GET", status, &writer, "wrong")   // the token decides
	f(403, "POST", reload, &writer, readToken)
	// A browser sends the certificate by itself, also with what a web page posts elsewhere: that is never JSON by its own word.
	for _, kind = range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		body = `{"event_type":"alert","event_source":"s","event_data":{}}`
		f(415, "POST", prefix+"/export", &writer, "")
	}
	kind = "application/json"
	f(200, "POST", prefix+"/export", &writer, "")
	body, kind = "", ""
	audit, err := os.ReadFile(filepath.Join(r.dir, "state", "audit.jsonl"))
	if err != nil || !strings.Contains(string(audit), `"actor":"ops","address":"127.0.0.1","action":"reload"`) {
		t.Errorf("audit log = %s", audit)
	}

	if !strings.Contains(string(audit), `"action":"authenticate","target":"POST /api/v1/siem/reload","result":"refused","detail":"1 requests beyond the scope of the certificate"`) {
		t.Errorf("audit log = %s", audit)
	}

	// Off the list, and then of another authority.
	r.write(config(ca.file, ""))
	f(200, "POST", reload, &writer, "")
	f(401, "GET", status, &writer, "")
	r.write(config(foreign.file, ops))
	if _, err := r.agent.Reload(callerForTest); err != nil {
		t.Fatal(err)
	}
	f(0, "GET", status, &writer, "")
	f(200, "GET", status, &stranger, "")

	// A certificate that is exchanged serves with the next reload.
	ca.make(&x509.Certificate{DNSNames: []string{"renewed.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, cert, key)
	if _, err := r.agent.Reload(callerForTest); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if names := conn.ConnectionState().PeerCertificates[0].DNSNames; fmt.Sprint(names) != "[renewed.example.com]" {
		t.Errorf("after the exchange the certificate is for %v", names)
	}
}
