package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testEnv() agent.Env {
	return agent.Env{Name: "t", Kind: "output", Version: "9.9", Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()}
}

func config(endpoints ...string) Config {
	c := Defaults
	c.Endpoint = endpoints
	return c
}

func client(t testing.TB, cfg Config, opt Options) *Client {
	t.Helper()
	c, err := New(cfg, testEnv(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRequest(t *testing.T) {
	type seen struct {
		method, url, body, encoding, agent, auth, kind string
	}
	var got seen
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			zr, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zr
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		got = seen{r.Method, r.URL.String(), string(b), r.Header.Get("Content-Encoding"), r.UserAgent(), r.Header.Get("Authorization"), r.Header.Get("Content-Type")}
		w.Write([]byte("fine"))
	})
	opt := Options{Header: http.Header{"Authorization": {"Splunk T"}}, Strip: []string{"/api/event", "/api"}}
	f := func(endpoint, compression string, r Request, want seen) {
		t.Helper()
		cfg := config(endpoint)
		cfg.Compression = compression
		c := client(t, cfg, opt)
		resp, err := c.Do(t.Context(), &r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Release()
		want.agent, want.auth = "siemd/9.9", "Splunk T"
		if got != want {
			t.Errorf("the server saw %+v, want %+v", got, want)
		}
		if resp.Status != 200 || string(resp.Body) != "fine" || resp.Err() != nil {
			t.Errorf("answer %d %q, %v", resp.Status, resp.Body, resp.Err())
		}
	}
	body := Request{Path: "/api/event", Header: http.Header{"Content-Type": {"a/b"}}, Body: []byte("hello")}
	f(url, "none", body, seen{method: "POST", url: "/api/event", body: "hello", kind: "a/b"})
	f(url, "gzip", body, seen{method: "POST", url: "/api/event", body: "hello", kind: "a/b", encoding: "gzip"})
	f(url+"/", "none", Request{Path: "/x?y=1"}, seen{method: "POST", url: "/x?y=1"})
	f(url+"/base/", "none", body, seen{method: "POST", url: "/base/api/event", body: "hello", kind: "a/b"})
	f(url+"/base/api/event", "none", body, seen{method: "POST", url: "/base/api/event", body: "hello", kind: "a/b"})
	f(url+"/api/", "gzip", Request{Method: "GET", Path: "/api/health"}, seen{method: "GET", url: "/api/health"})
	f(url+"/hook?code=s3cr3t-code", "none", Request{}, seen{method: "POST", url: "/hook?code=s3cr3t-code"})
	f(url+"/hook?a=b", "none", Request{Path: "/x%2Fy?c=d"}, seen{method: "POST", url: "/hook/x%2Fy?a=b&c=d"})
	f(url+"/a%2Fb", "none", Request{Path: "/c"}, seen{method: "POST", url: "/a%2Fb/c"})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var calls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	resp, err := client(t, config(url), Options{}).Do(t.Context(), &Request{Body: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Release()
	if err := resp.Err(); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "redirected to /elsewhere") {
		t.Errorf("Err() = %v", err)
	}
	if calls.Load() != 1 {
		t.Errorf("%d requests", calls.Load())
	}
}

func TestProxies(t *testing.T) {
	var auth string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Proxy-Authorization")
		fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI)
	})
	t.Setenv("HTTP_PROXY", proxy)
	cfg := config("http://siem.invalid/x")
	if _, err := client(t, cfg, Options{}).Do(t.Context(), &Request{}); err == nil {
		t.Error("a proxy from the environment was used")
	}
	cfg.Proxy = agent.NewSecret(strings.Replace(proxy, "http://", "http://u:p4ssw0rd@", 1))
	resp, err := client(t, cfg, Options{}).Do(t.Context(), &Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Release()
	if string(resp.Body) != "POST http://siem.invalid/x" || auth == "" {
		t.Errorf("the proxy saw %s with %q", resp.Body, auth)
	}

	wants := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
	cfg = config("https://siem.invalid/x")
	cfg.Proxy = agent.NewSecret(wants)
	if _, err := client(t, cfg, Options{}).Do(t.Context(), &Request{}); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "407") {
		t.Errorf("a proxy that wants a password: %v", err)
	}
}

func TestCookiesStayWithTheirEndpoint(t *testing.T) {
	node := func(name string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			for _, c := range r.Cookies() {
				if c.Value != name {
					t.Errorf("%s got the cookie of %s", name, c.Value)
				}
			}
			http.SetCookie(w, &http.Cookie{Name: "node", Value: name})
			fmt.Fprint(w, len(r.Cookies()))
		})
	}
	// Cookies know no ports, so one jar for both would mix them up.
	c := client(t, config(node("a"), node("b")), Options{})
	for i, want := range []string{"0", "0", "1", "1"} {
		resp, err := c.Do(t.Context(), &Request{Endpoint: c.Endpoints()[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		if string(resp.Body) != want {
			t.Errorf("request %d came with %s cookies, want %s", i, resp.Body, want)
		}
		resp.Release()
	}
}

func TestJarIsBounded(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			w.Header().Add("Set-Cookie", fmt.Sprintf("c%d-%s=v", i, r.URL.Query().Get("n")))
		}
		w.Header().Add("Set-Cookie", "big="+strings.Repeat("x", 5000))
		fmt.Fprint(w, len(r.Cookies()))
	})
	c := client(t, config(url), Options{})
	for i, want := range []string{"0", "32", "32"} {
		resp, err := c.Do(t.Context(), &Request{Path: fmt.Sprintf("/?n=%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if string(resp.Body) != want {
			t.Errorf("request %d came with %s cookies, want %s", i, resp.Body, want)
		}
		resp.Release()
	}
}

func TestAnswersAreBounded(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
		for range 1 << 10 { // 64 MiB, if anybody wants it
			if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
				return
			}
		}
	})
	c := client(t, config(url), Options{})
	if _, err := c.Do(t.Context(), &Request{Path: "/good", Limit: 1 << 20}); err == nil || agent.IsPermanent(err) || !strings.Contains(err.Error(), "longer than 1MiB") {
		t.Errorf("long answer: %v", err)
	}
	brief, err := c.Do(t.Context(), &Request{Path: "/good", Brief: true})
	if err != nil || len(brief.Body) != errorBodyLimit || !brief.Truncated {
		t.Fatalf("brief: %v", err)
	}
	brief.Release()
	resp, err := c.Do(t.Context(), &Request{Path: "/bad"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Release()
	if len(resp.Body) != errorBodyLimit || !resp.Truncated {
		t.Errorf("%d bytes of an error were read", len(resp.Body))
	}
	if n := len(resp.Err().Error()); n > answerLimit+100 {
		t.Errorf("the error is %d bytes long", n)
	}
}

// An answer that is cut short says nothing; neither does one that never comes.
func TestBrokenAnswers(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/short":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("{"))
		case "/reset":
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		case "/hang":
			<-r.Context().Done()
		case "/garbage":
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Write([]byte("who are you, s3cr3t-t0ken\x1b[31m?\r\n\r\n"))
			conn.Close()
		}
	})
	c := client(t, config(url), Options{Secrets: []agent.Secret{agent.NewSecret("s3cr3t-t0ken")}})
	for _, path := range []string{"/short", "/reset", "/hang", "/garbage"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := c.Do(ctx, &Request{Path: path, Body: []byte("events")})
		cancel()
		if err == nil || agent.IsBlocked(err) || agent.IsPermanent(err) || agent.IsSuspect(err) {
			t.Errorf("%s: %v, want an error without a word", path, err)
			continue
		}
		if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s leaks: %q", path, err)
		}
		if !strings.HasPrefix(err.Error(), url) {
			t.Errorf("%s: %q does not begin with the endpoint", path, err)
		}
		if path == "/hang" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v is no deadline", path, err)
		}
	}
}

// The body belongs to the caller again when Do returns, even if the target
// answered before it had read it.
func TestBodyIsNotReadAfterDo(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	c := client(t, config(url), Options{})
	body := make([]byte, 4<<20)
	for i := range 20 {
		resp, err := c.Do(t.Context(), &Request{Body: body})
		if err == nil {
			resp.Release()
		}
		for j := range body { // the race detector watches
			body[j] = byte(i)
		}
	}
}

func TestControlCanRefuse(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	env := testEnv()
	env.Control = func(network, address string) error { return agent.Blocked(fmt.Errorf("%s is not allowed", address)) }
	c, err := New(config(url), env, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do(t.Context(), &Request{}); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "is not allowed") {
		t.Errorf("Do = %v", err)
	}
}

func TestTLSErrorsBlock(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	caFile := filepath.Join(dir, "ca.pem")
	write(t, caFile, ca.pem)
	start := func(hosts ...string) string {
		c, k := ca.issue(t, time.Now().Add(time.Hour), hosts...)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("in")) }))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t, c, k)}}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	good, wrong := start("127.0.0.1"), start("siem.test")
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	f := func(endpoint, ca string, want string) {
		t.Helper()
		cfg := config(endpoint)
		cfg.TLS.CAFile = ca
		resp, err := client(t, cfg, Options{}).Do(t.Context(), &Request{Body: []byte("x")})
		if want == "" {
			if err != nil {
				t.Errorf("%v", err)
			} else {
				resp.Release()
			}
			return
		}
		if !agent.IsBlocked(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("Do = %v, want Blocked with %q", err, want)
		}
	}
	f(good, caFile, "")
	f(good, "", "unknown authority")
	f(wrong, caFile, "127.0.0.1")
	f(strings.Replace(plain, "http:", "https:", 1), "", "does not look like a TLS handshake")
}

func TestCompressionIsConcurrent(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		zr, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(w, zr)
	})
	cfg := config(url)
	cfg.Compression = "gzip"
	c := client(t, cfg, Options{})
	done := make(chan error)
	for i := range 8 {
		go func() {
			body := bytes.Repeat([]byte{byte('a' + i)}, 100<<10)
			var err error
			for range 10 {
				var resp *Response
				if resp, err = c.Do(t.Context(), &Request{Body: body}); err != nil {
					break
				}
				if !bytes.Equal(resp.Body, body) {
					err = errors.New("another body came back")
				}
				resp.Release()
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
