package api

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A tardy listener's connections write only when the deadline for reading, if
// there is one, has passed: what a client does that is slow to read.
type tardy struct {
	net.Listener
	accepted atomic.Int32
}

func (l *tardy) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
		c = &tardyConn{Conn: c}
	}
	return c, err
}

type tardyConn struct {
	net.Conn
	mu    sync.Mutex
	reads time.Time
}

func (c *tardyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.reads = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *tardyConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	d := c.reads
	c.mu.Unlock()
	if !d.IsZero() {
		<-time.After(time.Until(d) + 100*time.Millisecond)
	}
	return c.Conn.Write(p)
}

// TestASlowReaderIsStillWaitedFor: a client that takes its time to read an
// answer does not end the requests that it sends next on the same connection.
func TestASlowReaderIsStillWaitedFor(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	ended := make(chan error, 1)
	h := r.server.endpoint(listening{local: true}, route{method: "POST", plain: true, serve: func(_ *Server, c *call) error {
		ended <- c.Context().Err()
		switch c.URL.Path {
		case "/read":
			if _, err := c.body(); err != nil {
				return err
			}
		case "/refused":
			return notHere
		case "/long":
			return c.text(http.StatusOK, strings.Repeat("long ", 1000))
		}
		return c.text(http.StatusOK, "short")
	}})
	srv := httptest.NewUnstartedServer(h)
	ln := &tardy{Listener: srv.Listener}
	srv.Listener = ln
	srv.Start()
	defer srv.Close()
	for _, path := range []string{"/", "/read", "/refused", "/long", "/"} {
		for _, body := range []string{"", "a body"} {
			resp, err := srv.Client().Post(srv.URL+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err := <-ended; err != nil {
				t.Errorf("%s with %q: its context has ended: %v", path, body, err)
			}
		}
	}
	if n := ln.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

// TestAPanicIsSaid: a mistake of ours ends one request, and stands in the log.
func TestAPanicIsSaid(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	srv := httptest.NewServer(r.server.endpoint(listening{local: true}, route{method: "GET", path: "/oops", plain: true, serve: func(*Server, *call) error { panic("oops") }}))
	defer srv.Close()
	if resp, err := srv.Client().Get(srv.URL); err == nil {
		resp.Body.Close()
		t.Errorf("an answer: %s", resp.Status)
	}
	if said := r.log.String(); !strings.Contains(said, "a request made the API panic") || !strings.Contains(said, "level=ERROR") {
		t.Errorf("the log says %s", said)
	}
}
