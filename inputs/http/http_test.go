package http

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// rig is an input at work, with a log in memory.
type rig struct {
	t      testing.TB
	in     *Input
	sink   *plugintest.Sink
	url    string
	client *http.Client
	stop   func() error
}

func start(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	return startWith(t, plugintest.NewSink(), change)
}

func startWith(t testing.TB, sink *plugintest.Sink, change func(*Config)) *rig {
	t.Helper()
	r := startSink(t, sink, change)
	r.sink = sink
	return r
}

func startSink(t testing.TB, sink agent.Sink, change func(*Config)) *rig {
	t.Helper()
	c := defaults
	c.Listen = "127.0.0.1:0"
	c.Tokens = []Token{{Token: agent.NewSecret("old")}, {Token: agent.NewSecret("T0K")}}
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	in, err := New(c, plugintest.Env("input", "ingest"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, sink) }()
	r := &rig{t: t, in: in, url: "http://" + in.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	var stopped bool
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		r.client.CloseIdleConnections()
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// do sends a request with the token, unless the headers ("Key: value") say
// otherwise, and returns the status, the body and the headers.
func (r *rig) do(method, path, body string, headers ...string) (int, string, http.Header) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Splunk T0K")
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		if v == "" {
			req.Header.Del(k)
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func (r *rig) post(path, body string, headers ...string) (int, string) {
	r.t.Helper()
	status, text, _ := r.do("POST", path, body, headers...)
	return status, text
}

// lines are the events in the log.
func (r *rig) lines() string { return string(bytes.Join(r.sink.Lines(), []byte("\n"))) }

// A client that writes all of a body before it reads sees why it was refused,
// not a broken connection.
func TestRefusedBodyIsReadOff(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBody = 4 << 20 })
	body := make([]byte, 4*4<<20)
	for token, want := range map[string]int{"T0K": 413, "wrong": 401} {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", token, len(body))
		if _, err := c.Write(body); err != nil {
			t.Errorf("%s: %v", token, err)
			continue
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != want {
			t.Errorf("%s: %+v %v, want %d", token, resp, err, want)
		}
	}
}
