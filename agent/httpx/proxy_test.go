package httpx

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// tunnel is a proxy that knows CONNECT. It connects to target whatever it is asked for.
func tunnel(t *testing.T, target string) (url string, asked func() string) {
	var mu sync.Mutex
	var last string
	var open sync.WaitGroup
	t.Cleanup(func() {
		mu.Lock() // a hijacked connection's handler is not waited for by its server
		defer mu.Unlock()
		open.Wait()
	})
	url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		last = fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, r.Header.Get("Proxy-Authorization"))
		far, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		near, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		open.Go(func() {
			io.Copy(near, far) // to its end: the target's last words must get through
			near.Close()
			far.Close()
		})
		open.Go(func() {
			io.Copy(far, near)
			far.(*net.TCPConn).CloseWrite()
		})
	})
	return url, func() string { mu.Lock(); defer mu.Unlock(); return last }
}

// Behind a proxy the certificate is the target's, and checked as without one.
func TestTLSThroughProxy(t *testing.T) {
	ca := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write(t, caFile, ca.pem)
	cert, key := ca.issue(t, time.Now().Add(time.Hour), "siem.test")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t, cert, key)}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	proxy, asked := tunnel(t, s.Listener.Addr().String())

	f := func(endpoint, ca string) (string, error) {
		cfg := config(endpoint)
		cfg.TLS.CAFile = ca
		cfg.Proxy = agent.NewSecret(strings.Replace(proxy, "http://", "http://u:p4ssw0rd@", 1))
		c := client(t, cfg, Options{})
		defer c.Close()
		resp, err := c.Do(t.Context(), &Request{Body: []byte("x")})
		if err != nil {
			return "", err
		}
		defer resp.Release()
		return string(resp.Body), nil
	}
	got, err := f("https://siem.test:8088", caFile)
	if err != nil || got != "siem.test:8088" {
		t.Errorf("%q, %v", got, err)
	}
	if want := "CONNECT siem.test:8088 Basic dTpwNHNzdzByZA=="; asked() != want {
		t.Errorf("the proxy was asked %s, want %s", asked(), want)
	}
	if _, err := f("https://else.test:8088", caFile); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "else.test") {
		t.Errorf("wrong name: %v", err)
	}
	if _, err := f("https://siem.test:8088", ""); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("unknown authority: %v", err)
	}
}

// A probe goes through the proxy to the endpoint: what is wrong behind the
// proxy does not pass for well because the proxy is there.
func TestProbeBehindProxy(t *testing.T) {
	ca := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write(t, caFile, ca.pem)
	cert, key := ca.issue(t, time.Now().Add(time.Hour), "siem.test")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if auth := r.Header.Get("Authorization"); auth != "" {
			t.Errorf("the probe's request carries %q", auth)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t, cert, key)}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	proxy, _ := tunnel(t, s.Listener.Addr().String())
	status := http.StatusOK
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })

	f := func(endpoint, proxy, want string) {
		t.Helper()
		cfg := config(endpoint)
		cfg.TLS.CAFile = caFile
		cfg.Proxy = agent.NewSecret(strings.Replace(proxy, "http://", "http://u:p4ssw0rd@", 1))
		c := client(t, cfg, Options{Header: http.Header{"Authorization": {"Splunk t"}}})
		defer c.Close()
		var steps []string
		err := c.Endpoints()[0].Probe(t.Context(), func(s agent.Step) {
			text := s.Name
			if s.Err != nil {
				text += "!"
			}
			if s.Err != nil && (s.Fix == "" || strings.Contains(s.Err.Error(), "p4ssw0rd")) {
				t.Errorf("%+v", s)
			}
			steps = append(steps, text)
		})
		if got := strings.Join(steps, " "); got != want || (err != nil) != strings.HasSuffix(want, "!") {
			t.Errorf("steps %q, error %v, want %q", got, err, want)
		}
	}
	f("https://siem.test:8088", proxy, "dns tcp proxy tls")
	f("https://else.test:8088", proxy, "dns tcp proxy tls!")
	f("http://siem.test:8088", plain, "dns tcp proxy")
	f("https://siem.test:8088", plain, "dns tcp proxy tls!") // it answers CONNECT and opens no way
	status = http.StatusProxyAuthRequired
	f("http://siem.test:8088", plain, "dns tcp proxy!")
	f("https://siem.test:8088", plain, "dns tcp proxy!")
	f("https://siem.test:8088", "http://127.0.0.1:1", "dns tcp!")
}

// A certificate and an authority that are replaced are used by the next
// connection of a running client.
func TestClientFollowsRotation(t *testing.T) {
	old, young := newAuthority(t), newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	write(t, caFile, old.pem)
	cert, key := young.issue(t, time.Now().Add(time.Hour), "127.0.0.1")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t, cert, key)}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg := config(s.URL)
	cfg.TLS.CAFile = caFile
	c := client(t, cfg, Options{})
	if _, err := c.Do(t.Context(), &Request{}); !agent.IsBlocked(err) {
		t.Fatalf("before: %v", err)
	}
	write(t, caFile, young.pem)
	resp, err := c.Do(t.Context(), &Request{})
	if err != nil {
		t.Fatalf("after: %v", err)
	}
	resp.Release()
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"https://siem.example.com:8088/base?x=y", "http://[::1]:80", "siem:8088", "https://u:p@h", "https://h/%2F/..", "https://h:0", "\x00"} {
		f.Add(s, "/services/collector/event?a=b")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		u, err := parseEndpoint(text)
		if err != nil {
			return
		}
		if u.Hostname() == "" || u.User != nil {
			t.Errorf("%q was taken for an endpoint", text)
		}
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		c, err := New(config(text), testEnv(), Options{})
		if err != nil {
			return
		}
		defer c.Close()
		// Whatever the path, the request goes to the endpoint's host.
		req, err := c.endpoints[0].request(t.Context(), &Request{Path: path}, &source{}, false)
		if err == nil && req.URL.Host != u.Host {
			t.Errorf("%q with %q goes to %s", text, path, req.URL.Host)
		}
	})
}
