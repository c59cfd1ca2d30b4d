package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSlowloris: those who send their requests a byte at a time are cut off,
// and meanwhile others are served.
func TestSlowloris(t *testing.T) {
	t.Parallel()
	in := startIngest(t, `, header_timeout: 2s, max_connections: 100, max_connections_per_address: 60, tokens: [], read_timeout: 4s`)
	const slow = 50
	cut := make(chan error, slow)
	for n := range slow {
		c, err := net.Dial("tcp", in.addr)
		if err != nil {
			t.Fatal(err)
		}
		text := "POST /v1/events HTTP/1.1\r\nHost: a\r\n" // and then no end of it
		if n%2 == 0 {
			text += "Content-Length: 1000\r\n\r\n" // nor of this body
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.Close()
			for began := time.Now(); time.Since(began) < 30*time.Second; {
				if _, err := c.Write([]byte("X")); err != nil {
					cut <- nil
					return
				}
				time.Sleep(100 * time.Millisecond) // that is what it is about
			}
			cut <- fmt.Errorf("connection %d was held for 30s", n)
		}()
	}
	sent := 0
	var slowest time.Duration
	for gone := 0; gone < slow; {
		began := time.Now()
		if err := postEvents(in.url()+"/v1/events", fmt.Appendf(nil, `{"event_id":"G-%d"}`, sent)); err != nil {
			t.Fatalf("after %d good requests: %v", sent, err)
		}
		sent++
		slowest = max(slowest, time.Since(began))
		select {
		case err := <-cut:
			gone++
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Logf("%d requests beside %d slow ones, the slowest took %v", sent, slow, slowest)
	in.exactly(sent)
}

// TestCertificateOfInput: a renewed certificate of the http input is shown
// without a restart of the agent, and a request during it is answered.
func TestCertificateOfInput(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	issue := func() []byte { return ca.issue(t, "127.0.0.1", time.Hour).Certificate[0] }
	asPEM := func(der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	old, renewed := issue(), issue()
	private, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, cert, string(asPEM(old)))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	in := startIngest(t, fmt.Sprintf(`, tls: {cert_file: %q, key_file: %q}`, cert, key))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	sent := 0
	post := func() (string, error) {
		client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
		req, err := http.NewRequest("POST", "https://"+in.addr+"/v1/events", strings.NewReader(fmt.Sprintf(`{"event_id":"C-%d"}`, sent)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer T0K")
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		sent++
		return string(resp.TLS.PeerCertificates[0].Raw), nil
	}
	if shown, err := post(); err != nil || shown != string(old) {
		t.Fatalf("another certificate than the one given, %v", err)
	}
	replaceFile(t, cert, asPEM(renewed))
	eventually(t, 30*time.Second, "the renewed certificate is shown", func() bool {
		shown, err := post() // fails if it falls between the two listeners: then it is sent again
		return err == nil && shown == string(renewed)
	})
	in.exactly(sent)
	in.agent.stop()
}
