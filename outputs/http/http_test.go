package http

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newOutput(t testing.TB, url string, edit func(*Config)) *Output {
	t.Helper()
	c := Defaults
	c.Endpoint = []string{url}
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	o, err := New(c, agent.Env{Name: "t", Kind: "output", Version: "1", Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	return o
}

func batch(t testing.TB, o *Output, n int) []agent.Event {
	t.Helper()
	events := make([]agent.Event, n)
	for i := range events {
		e := &events[i]
		*e = agent.Event{Seq: uint64(i + 1), Body: fmt.Appendf(nil, `{"n":%d}`, i)}
		var err error
		if e.Wire, err = o.Encode(nil, e); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func word(err error) string {
	d, after := agent.RetryAfter(err)
	switch {
	case err == nil:
		return "ok"
	case agent.IsPermanent(err):
		return "permanent"
	case agent.IsTooLarge(err):
		return "too large"
	case agent.IsBlocked(err):
		return "blocked"
	case agent.IsSuspect(err):
		return "suspect"
	case after:
		return "after " + d.String()
	}
	return "retry"
}

func TestRequests(t *testing.T) {
	var method, path, body, kind, auth, extra string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		method, path, body = r.Method, r.URL.String(), string(b)
		kind, auth, extra = r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("X-Extra")
		w.WriteHeader(http.StatusAccepted)
	})
	f := func(edit func(*Config), n int, wantMethod, wantPath, wantKind, wantAuth, wantExtra, wantBody string) {
		t.Helper()
		o := newOutput(t, url+"/hook?code=abc", edit)
		if err := o.Write(t.Context(), batch(t, o, n)); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintln(method, path, kind, auth, extra, body)
		if want := fmt.Sprintln(wantMethod, wantPath, wantKind, wantAuth, wantExtra, wantBody); got != want {
			t.Errorf("got %swant %s", got, want)
		}
	}
	f(nil, 2, "POST", "/hook?code=abc", "application/x-ndjson", "", "", "{\"n\":0}\n{\"n\":1}\n")
	f(func(c *Config) { c.Format, c.Method = "array", "PUT" }, 3, "PUT", "/hook?code=abc", "application/json", "", "", `[{"n":0},{"n":1},{"n":2}]`)
	f(func(c *Config) { c.Format = "array" }, 1, "POST", "/hook?code=abc", "application/json", "", "", `[{"n":0}]`)
	f(func(c *Config) {
		c.Headers = map[string]agent.Secret{"x-extra": agent.NewSecret("v"), "content-type": agent.NewSecret("text/plain")}
		c.Auth.Type, c.Auth.Token = "bearer", agent.NewSecret("T")
	}, 1, "POST", "/hook?code=abc", "text/plain", "Bearer T", "v", "{\"n\":0}\n")
	f(func(c *Config) {
		c.Auth.Type, c.Auth.Username, c.Auth.Password = "basic", "u", agent.NewSecret("p")
	}, 1, "POST", "/hook?code=abc", "application/x-ndjson", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p")), "", "{\"n\":0}\n")
}

func TestStatuses(t *testing.T) {
	var status atomic.Int32
	var body atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(status.Load()))
		io.WriteString(w, body.Load().(string))
	})
	f := func(is Status, code int32, answer, want string) {
		t.Helper()
		status.Store(code)
		body.Store(answer)
		o := newOutput(t, url, func(c *Config) { c.Status = is })
		if got := word(o.Write(t.Context(), batch(t, o, 2))); got != want {
			t.Errorf("%d %q: %s, want %s", code, answer, got, want)
		}
	}
	f(Status{}, 200, "ok", "ok")
	f(Status{}, 202, "", "ok")
	f(Status{}, 204, "", "ok")
	f(Status{}, 200, " <!DOCTYPE html><title>Log in</title>", "retry")
	f(Status{}, 200, "<HTML>", "retry")
	f(Status{}, 200, strings.Repeat("x", 1<<20), "ok")
	f(Status{}, 400, "", "permanent")
	f(Status{}, 401, "", "blocked")
	f(Status{}, 413, "", "too large")
	f(Status{}, 429, "", "retry")
	f(Status{}, 500, "", "suspect")
	f(Status{}, 503, "", "retry")
	f(Status{OK: []int{201}}, 201, "", "ok")
	f(Status{OK: []int{201}}, 200, "", "retry")
	f(Status{OK: []int{200, 409}}, 409, "", "ok")
	f(Status{Retry: []int{400}}, 400, "", "retry")
	f(Status{Held: []int{200}}, 200, "", "blocked")
	f(Status{Refused: []int{500}}, 500, "", "permanent")
}

// A server of tokens and a target that takes only the newest one.
type oauth struct {
	mu      sync.Mutex
	issued  int
	status  int
	answer  string
	refuse  bool
	request string
	auth    string
}

func (a *oauth) start(t *testing.T) (target, tokens string) {
	tokens = serve(t, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		a.request, a.auth = string(b), r.Header.Get("Authorization")
		if a.status != 0 {
			w.WriteHeader(a.status)
			io.WriteString(w, a.answer)
			return
		}
		a.issued++
		fmt.Fprintf(w, `{"access_token":"t0ken-%d","token_type":"Bearer","expires_in":3600}`, a.issued)
	})
	target = serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.refuse || r.Header.Get("Authorization") != fmt.Sprintf("Bearer t0ken-%d", a.issued) {
			w.WriteHeader(401)
			fmt.Fprintf(w, "no to %s", r.Header.Get("Authorization"))
		}
	})
	return target, tokens
}

func (a *oauth) set(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }

const clientSecret = "cl1ent+s3cret/"

func withOAuth(tokens string) func(*Config) {
	return func(c *Config) {
		c.Auth = Auth{Type: "oauth2", ClientAuth: "header", TokenURL: tokens, ClientID: "me", ClientSecret: agent.NewSecret(clientSecret), Scopes: []string{"a", "b"}}
	}
}

func TestOAuth(t *testing.T) {
	a := &oauth{}
	target, tokens := a.start(t)
	o := newOutput(t, target, withOAuth(tokens))
	events := batch(t, o, 1)
	for range 3 {
		if err := o.Write(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	if a.issued != 1 || a.request != "grant_type=client_credentials&scope=a+b" {
		t.Errorf("%d tokens, by %s", a.issued, a.request)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:cl1ent%2Bs3cret%2F")); a.auth != want {
		t.Errorf("the token server got %s, want %s", a.auth, want)
	}
	// A token that the target no longer takes is replaced, at once and once.
	a.set(func() { a.issued++ })
	if got := word(o.Write(t.Context(), events)); got != "after 0s" {
		t.Errorf("with an old token: %s", got)
	}
	if err := o.Write(t.Context(), events); err != nil {
		t.Error(err)
	}
	// One that is refused when it is new is a person's business.
	a.set(func() { a.refuse = true })
	if got := word(o.Write(t.Context(), events)); got != "after 0s" {
		t.Errorf("first refusal: %s", got)
	}
	err := o.Write(t.Context(), events)
	if !agent.IsBlocked(err) || strings.Contains(err.Error(), "t0ken-") {
		t.Errorf("second refusal: %v", err)
	}
	// Before it expires there is a new one.
	a.set(func() { a.refuse = false })
	if err := o.Write(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	before := a.issued
	o.tokens.mu.Lock()
	if left := time.Until(o.tokens.expires); left < 58*time.Minute || left > 59*time.Minute+time.Second {
		t.Errorf("the token is used for %v", left)
	}
	o.tokens.expires = time.Now()
	o.tokens.mu.Unlock()
	if err := o.Write(t.Context(), events); err != nil || a.issued != before+1 {
		t.Errorf("%v after %d tokens", err, a.issued)
	}
}

func TestOAuthInBody(t *testing.T) {
	a := &oauth{}
	target, tokens := a.start(t)
	o := newOutput(t, target, func(c *Config) { withOAuth(tokens)(c); c.Auth.ClientAuth, c.Auth.Audience = "body", "x" })
	if err := o.Write(t.Context(), batch(t, o, 1)); err != nil {
		t.Fatal(err)
	}
	if want := "audience=x&client_id=me&client_secret=cl1ent%2Bs3cret%2F&grant_type=client_credentials&scope=a+b"; a.request != want || a.auth != "" {
		t.Errorf("%s, %s", a.request, a.auth)
	}
}

// Whatever is wrong with the token server, no event is blamed, and the client secret is not shown.
func TestOAuthFailures(t *testing.T) {
	a := &oauth{}
	target, tokens := a.start(t)
	f := func(status int, answer, want string) {
		t.Helper()
		a.set(func() { a.status, a.answer = status, answer })
		o := newOutput(t, target, withOAuth(tokens))
		err := o.Write(t.Context(), batch(t, o, 1))
		if got := word(err); got != want {
			t.Errorf("%d %s: %v is %s, want %s", status, answer, err, got, want)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("leaks: %v", err)
		}
		if perr := o.Probe(t.Context(), func(agent.Step) {}); perr == nil {
			t.Errorf("%d: the probe found nothing", status)
		}
	}
	f(400, `{"error":"invalid_client","error_description":"`+clientSecret+`"}`, "blocked")
	f(401, base64.StdEncoding.EncodeToString([]byte("me:cl1ent%2Bs3cret%2F")), "blocked")
	f(413, "", "blocked")
	f(204, "", "blocked")
	f(500, "", "retry")
	f(503, "", "retry")
	f(200, "<html>", "retry")
	f(200, `{"access_token":""}`, "retry")
	f(200, `{"access_token":"a\r\nb"}`, "retry")
}

// A life that is no number is as if there were none: the token is good until it is refused.
func TestOAuthLife(t *testing.T) {
	a := &oauth{status: 200}
	target, tokens := a.start(t)
	for life, limited := range map[string]bool{
		`3600`: true, `"3600"`: true, `3600.5`: true, `null`: false, `"soon"`: false, `""`: false, `true`: false, `{"s":1}`: false, `-1`: false, `1e400`: false,
	} {
		a.set(func() { a.answer = `{"access_token":"t0ken-1","expires_in":` + life + `}` })
		o := newOutput(t, target, withOAuth(tokens))
		if _, err := o.tokens.get(t.Context()); err != nil || o.tokens.expires.IsZero() == limited {
			t.Errorf("expires_in %s: %v, expires %v", life, err, o.tokens.expires)
		}
	}
}

func TestSecretsNeverLeak(t *testing.T) {
	const secret = "s3cr3t-h3ader+/value"
	var status atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(status.Load()))
		json.NewEncoder(w).Encode(map[string]any{"headers": r.Header, "url": r.URL.String()})
	})
	for _, edit := range []func(*Config){
		func(c *Config) { c.Headers = map[string]agent.Secret{"X-Api-Key": agent.NewSecret(secret)} },
		func(c *Config) {
			c.Headers = map[string]agent.Secret{"Authorization": agent.NewSecret("Key " + secret)}
		},
		func(c *Config) { c.Auth.Type, c.Auth.Token = "bearer", agent.NewSecret(secret) },
		func(c *Config) {
			c.Auth.Type, c.Auth.Username, c.Auth.Password = "basic", "u", agent.NewSecret(secret)
		},
		func(c *Config) { c.Endpoint[0] += "/x?code=s3cr3t-h3ader" },
	} {
		for _, s := range []int32{302, 400, 401, 413, 500, 503} {
			status.Store(s)
			o := newOutput(t, url, edit)
			err := o.Write(t.Context(), batch(t, o, 1))
			text := fmt.Sprintf("%v %+v %#v", err, o.config.Headers, o.config.Auth)
			for _, bad := range []string{"s3cr3t", base64.StdEncoding.EncodeToString([]byte("u:" + secret))} {
				if strings.Contains(text, bad) {
					t.Errorf("%d: %s", s, text)
				}
			}
		}
	}
}

func TestConfig(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		spec, _ := agent.OutputKind("http")
		ps := &agent.Problems{}
		spec.Decode(ps, doc.Content[0], nil)
		got := ""
		if len(ps.List) > 0 {
			got = ps.List[0].Message
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s\n%q, want %q", text, got, want)
		}
	}
	good := "endpoint: https://a/hook\n"
	f(good, "")
	f(good+"method: PUT\nheaders: {X-A: b}\nformat: array\nauth: {type: bearer, token: t}\nstatus: {ok: [200, 202], retry: 409}", "")
	f(good+"auth: {type: oauth2, token_url: https://l/t, client_id: a, client_secret: b, scopes: c}", "")
	f("method: PUT", `"endpoint" is missing`)
	f(good+"method: GET", "not a value")
	f(good+"format: xml", "not a value")
	f(good+"headers: {'a b': c}", "not the name")
	f(good+"headers: {content-length: 5}", "siemd itself")
	f(good+"headers: {X-A: b, x-a: c}", "twice")
	f(good+"headers: {X-A: \"b\\nc\"}", "control character")
	f(good+"headers: {authorization: b}\nauth: {type: bearer, token: t}", "stands for auth")
	f(good+"auth: {type: bearer}", "needs token")
	f(good+"auth: {type: basic, username: u}", "needs password")
	f(good+"auth: {type: oauth2}", "needs token_url")
	f(good+"auth: {token: t}", "belongs to auth of type bearer")
	f(good+"auth: {type: oauth2, token_url: 'x', client_id: a, client_secret: b}", "not a URL")
	f(good+"status: {ok: 99}", "not a status")
	f(good+"status: {ok: 200, held: 200}", "stands under ok too")
}

func TestProbe(t *testing.T) {
	a := &oauth{}
	target, tokens := a.start(t)
	var steps []string
	report := func(s agent.Step) { steps = append(steps, fmt.Sprintf("%s %t", s.Name, s.Err == nil)) }
	if err := newOutput(t, target, withOAuth(tokens)).Probe(t.Context(), report); err != nil {
		t.Error(err)
	}
	if got := strings.Join(steps, ", "); got != "dns true, tcp true, http true, clock true, auth true, permission true" {
		t.Error(got)
	}
	if err := newOutput(t, "http://127.0.0.1:1", nil).Probe(t.Context(), report); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a dead endpoint: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	url := serve(b, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	o := newOutput(b, url, func(c *Config) { c.Format = "array" })
	events := batch(b, o, 1000)
	size := 0
	for i := range events {
		events[i].Body = fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", 400))
		events[i].Wire, _ = o.Encode(nil, &events[i])
		size += len(events[i].Wire)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := o.Write(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
}
