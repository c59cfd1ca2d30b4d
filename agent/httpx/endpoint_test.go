package httpx

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A node is a server that can be told what to answer, and counts.
type node struct {
	*httptest.Server
	status atomic.Int32
	calls  atomic.Int32
}

func newNode(t *testing.T) *node {
	n := &node{}
	n.status.Store(200)
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			n.calls.Add(1)
		}
		w.WriteHeader(int(n.status.Load()))
	}))
	t.Cleanup(n.Close)
	return n
}

// send does what an output does.
func send(ctx context.Context, c *Client) error {
	resp, err := c.Do(ctx, &Request{Body: []byte("x")})
	if err != nil {
		return err
	}
	defer resp.Release()
	if err := resp.Err(); err != nil {
		return err
	}
	resp.Good()
	return nil
}

func TestBalance(t *testing.T) {
	a, b, d := newNode(t), newNode(t), newNode(t)
	c := client(t, config(a.URL, b.URL, d.URL), Options{})
	for range 30 {
		if err := send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls.Load() != 10 || b.calls.Load() != 10 || d.calls.Load() != 10 {
		t.Errorf("requests went %d, %d, %d", a.calls.Load(), b.calls.Load(), d.calls.Load())
	}
}

// A dead endpoint costs no request: the same Do goes to the next one.
func TestFailoverOfDeadEndpoint(t *testing.T) {
	a, b := newNode(t), newNode(t)
	b.Close()
	c := client(t, config(b.URL, a.URL), Options{Health: "/health"})
	for range 20 {
		if err := send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls.Load() != 20 {
		t.Errorf("%d of 20 arrived", a.calls.Load())
	}
}

// An endpoint that answers but does not take anything is rested, and the
// batch is asked for again at once.
func TestFailoverOfBusyEndpoint(t *testing.T) {
	for _, status := range []int32{401, 403, 404, 429, 500, 503} {
		a, b := newNode(t), newNode(t)
		a.status.Store(status)
		c := client(t, config(a.URL, b.URL), Options{Health: "/health"})
		again := 0
		for range 10 {
			if err := send(t.Context(), c); err != nil {
				again++
				if d, ok := agent.RetryAfter(err); !ok || d != 0 {
					t.Errorf("%d: %v, want After(0)", status, err)
				}
			}
		}
		if again != 1 || b.calls.Load() != 9 {
			t.Errorf("%d: %d retries, %d arrived", status, again, b.calls.Load())
		}
		b.status.Store(status)
		err := send(t.Context(), c)
		if _, ok := agent.RetryAfter(err); err == nil || ok {
			t.Errorf("%d everywhere: %v, want the plain error", status, err)
		}
		if blocked := status < 429; agent.IsBlocked(err) != blocked {
			t.Errorf("%d everywhere: blocked is not %t: %v", status, blocked, err)
		}
	}
}

// What blames the events is not the endpoint's fault.
func TestRefusalsDoNotRest(t *testing.T) {
	a, b := newNode(t), newNode(t)
	a.status.Store(400)
	b.status.Store(413)
	c := client(t, config(a.URL, b.URL), Options{})
	permanent, large := 0, 0
	for range 10 {
		switch err := send(t.Context(), c); {
		case agent.IsPermanent(err):
			permanent++
		case agent.IsTooLarge(err):
			large++
		}
	}
	if permanent != 5 || large != 5 {
		t.Errorf("%d and %d", permanent, large)
	}
}

func TestRestedEndpointComesBack(t *testing.T) {
	a, b := newNode(t), newNode(t)
	a.status.Store(503)
	c := client(t, config(a.URL, b.URL), Options{Health: "/health"})
	for a.calls.Load() == 0 {
		_ = send(t.Context(), c)
	}
	a.status.Store(200)
	before := a.calls.Load()
	deadline := time.Now().Add(30 * time.Second)
	for a.calls.Load() == before {
		if err := send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the rested endpoint never got a request again")
		}
		time.Sleep(time.Millisecond)
	}
}

// A deadline that one endpoint used up is no reason to wait before another one is tried.
func TestHangMovesOn(t *testing.T) {
	t.Parallel()
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	a := newNode(t)
	c := client(t, config(hang.URL, a.URL), Options{})
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // the other one has to answer within that
		err := send(ctx, c)
		cancel()
		if d, ok := agent.RetryAfter(err); err != nil && (!ok || d != 0 || errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("%v, want After(0) and no deadline", err)
		}
	}
	if a.calls.Load() < 2 {
		t.Errorf("%d arrived", a.calls.Load())
	}
}

// A call that was given up says nothing about the endpoint.
func TestCancelBlamesNobody(t *testing.T) {
	a, b := newNode(t), newNode(t)
	c := client(t, config(a.URL, b.URL), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 4 {
		if err := send(ctx, c); err == nil {
			t.Fatal("sent after the end")
		}
	}
	for _, ep := range c.Endpoints() {
		if ep.resting {
			t.Errorf("%s rests", ep)
		}
	}
}

func TestRestGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, config("http://a.invalid", "http://b.invalid"), Options{})
		ep := c.Endpoints()[0]
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			for range 5 { // requests that fail together count once
				ep.blame(context.DeadlineExceeded, 0)
			}
			if got := time.Until(ep.rest); got != want*time.Second {
				t.Errorf("rest is %v, want %v", got, want*time.Second)
			}
			time.Sleep(time.Until(ep.rest))
		}
		ep.good()
		ep.blame(context.DeadlineExceeded, 3*time.Minute)
		if got := time.Until(ep.rest); got != 3*time.Minute {
			t.Errorf("rest is %v, want what the endpoint asked for", got)
		}
	})
}

func TestProbeSteps(t *testing.T) {
	var steps []string
	report := func(s agent.Step) {
		text := s.Name
		if s.Err != nil {
			text += "!"
			if s.Fix == "" {
				t.Errorf("step %s failed without a fix", s.Name)
			}
		}
		steps = append(steps, text)
	}
	tlsServer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	tlsServer.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	dead := newNode(t)
	dead.Close()
	f := func(cfg Config, want string) {
		t.Helper()
		steps = nil
		err := client(t, cfg, Options{}).Endpoints()[0].Probe(t.Context(), report)
		if got := strings.Join(steps, " "); got != want || (err != nil) != strings.Contains(want, "!") {
			t.Errorf("steps are %q and the error %v, want %q", got, err, want)
		}
	}
	f(config(newNode(t).URL), "dns tcp")
	f(config(dead.URL), "dns tcp!")
	f(config("http://siem.invalid:80"), "dns!")
	f(config(tlsServer.URL), "dns tcp tls!")
	unverified := config(tlsServer.URL)
	unverified.TLS.Verify = false
	f(unverified, "dns tcp tls")
}
