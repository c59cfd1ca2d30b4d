package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// postbox is an http input that keeps what it gets.
type postbox struct {
	mu     sync.Mutex
	bodies []string
	keys   []string
	answer func(n int, w http.ResponseWriter) bool // true: it has answered
}

func (p *postbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, string(body))
	p.keys = append(p.keys, r.Header.Get("Idempotency-Key"))
	if p.answer != nil && p.answer(len(p.bodies), w) {
		return
	}
	n := strings.Count(string(body), "\n")
	fmt.Fprintf(w, `{"accepted":%d,"rejected":[],"first_seq":1,"last_seq":%d}`, n, n)
}

func TestSend(t *testing.T) {
	box := &postbox{}
	srv := httptest.NewServer(box)
	defer srv.Close()
	send := func(stdin string, args ...string) result {
		t.Helper()
		box.bodies, box.keys = nil, nil
		return siemd(t, stdin, append([]string{"send", "--url", srv.URL}, args...)...)
	}
	send("{\"a\":1}\r\n\n  \n{\"a\":2}").want(t, exitOK, "2 lines: 2 accepted, 0 refused; events 1 to 2")
	if len(box.bodies) != 1 || box.bodies[0] != "{\"a\":1}\n{\"a\":2}\n" || len(box.keys[0]) != 32 {
		t.Errorf("%q %q", box.bodies, box.keys)
	}
	send("1\n2\n3\n4\n5\n", "--batch", "2").want(t, exitOK, "5 lines: 5 accepted")
	if len(box.bodies) != 3 {
		t.Errorf("%q", box.bodies)
	}
	long := strings.Repeat("x", 700<<10)
	send(long+"\n"+long+"\n").want(t, exitOK, "2 lines: 2 accepted")
	if len(box.bodies) != 2 || box.bodies[1] != long+"\n" {
		t.Errorf("%d requests", len(box.bodies))
	}
	send(strings.Repeat("x", maxSendLine+300_000)).want(t, exitIO, "line 1 is longer than 16 MiB")
	send("").want(t, exitOK, "0 lines: 0 accepted, 0 refused\n")
	send("", "--batch", "0").want(t, exitUsage)
	send("", "/nonexistent/events.jsonl").want(t, exitIO, "no such file")
	send("", "--token-file", "/nonexistent/token").want(t, exitIO, "no such file")
	siemd(t, "{}", "send", "--url", "127.0.0.1:80").want(t, exitUsage, "no URL")
	siemd(t, "{}", "send", "--url", "http://"+plugintest.FreeAddr(t)).want(t, exitUnreachable, "no agent answers at")

	var got sent
	r := send("{}\n", "--json").want(t, exitOK)
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Accepted != 1 || got.Lines != 1 || got.Rejected == nil {
		t.Errorf("%v %s", err, r.out)
	}
}

func TestSendAnswers(t *testing.T) {
	status := func(code int, body string) func(int, http.ResponseWriter) bool {
		return func(n int, w http.ResponseWriter) bool {
			if n > 1 {
				return false
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	f := func(answer func(int, http.ResponseWriter) bool, code, requests int, want ...string) {
		t.Helper()
		box := &postbox{answer: answer}
		srv := httptest.NewServer(box)
		defer srv.Close()
		siemd(t, "{}\n", "send", "--url", srv.URL+"/v1/events").want(t, code, want...)
		if len(box.bodies) != requests {
			t.Errorf("%d requests, want %d", len(box.bodies), requests)
		}
		for _, k := range box.keys {
			if k != box.keys[0] {
				t.Errorf("the key of a batch changes: %q", box.keys)
			}
		}
	}
	f(status(503, `{"error":"the log is full"}`), exitOK, 2, "the agent is busy: the log is full; trying again", "1 accepted")
	f(status(429, ``), exitOK, 2, "busy")
	f(status(401, `{"error":"the token is missing or wrong"}`), exitPermission, 1, "the token is missing or wrong")
	f(status(400, `{"error":"none","accepted":0,"rejected":[{"line":1,"error":"bad"}],"first_seq":0,"last_seq":0}`), exitFound, 1, "line 1 is refused: bad", "1 line: 0 accepted, 1 refused")
	f(status(413, `{"error":"too large"}`), exitFailure, 1, "413", "too large")
	f(status(200, `<html>`), exitFailure, 1, "200")
	f(func(n int, w http.ResponseWriter) bool {
		if n > 1 {
			return false
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
		return true
	}, exitOK, 2, "trying again", "1 accepted")
}

func FuzzEachBatch(f *testing.F) {
	f.Add([]byte("a\n\n b \r\nc"), 2)
	f.Fuzz(func(t *testing.T, data []byte, most int) {
		var got bytes.Buffer
		var numbers []int
		err := eachBatch(bytes.NewReader(data), 1+max(most, 0)%100, func(b *sendBatch) error {
			if bytes.Count(b.text, []byte("\n")) != len(b.numbers) {
				t.Errorf("%d numbers for %q", len(b.numbers), b.text)
			}
			got.Write(b.text)
			numbers = append(numbers, b.numbers...)
			return nil
		})
		var want bytes.Buffer
		var places []int
		for i, line := range bytes.Split(data, []byte("\n")) {
			if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
				want.Write(append(line, '\n'))
				places = append(places, i+1)
			}
		}
		if err != nil || got.String() != want.String() || !slices.Equal(numbers, places) {
			t.Errorf("%v %q %v, want %q %v", err, got.String(), numbers, want.String(), places)
		}
	})
}

func TestSendFindsTheInput(t *testing.T) {
	a := startSiemd(t, `
inputs:
  files: {type: tail, paths: ["{dir}/*.jsonl"]}
  web: {type: http, listen: `+plugintest.FreeAddr(t)+`, tokens: [s3cret-token]}
`)
	a.siemd("{}\n{}\n", "send").want(t, exitOK, "2 lines: 2 accepted")
	socket := filepath.Join(filepath.Dir(a.conf), "state", "siemd.sock")
	siemd(t, "{}\n", "send", "--socket", socket, "-c", "/nonexistent.yaml").want(t, exitOK, "1 line: 1 accepted")
	siemd(t, "{}\n", "send", "--socket", socket, "--url", "http://127.0.0.1:1").want(t, exitUsage, "both")
	siemd(t, "{}\n", "send", "--socket", socket+".gone").want(t, exitUnreachable, "no agent answers")
	a.siemd("{}\n", "send", "--input", "web").want(t, exitOK, "1 line: 1 accepted")
	a.siemd("{}\n", "send", "--input", "files").want(t, exitUsage, "of type tail")
	a.siemd("{}\n", "send", "--input", "wbe").want(t, exitUsage, `did you mean "web"`)
	file := tempFile(t, "token", "s3cret-token\n")
	url := "http://" + listenOf(t, a.conf, "web")
	siemd(t, "{}\n", "send", "--url", url, "--token-file", file).want(t, exitOK, "1 accepted")
	siemd(t, "{}\n", "send", "--url", url).want(t, exitPermission, "token")
	siemd(t, "{}\n", "send", "-c", tempFile(t, "siemd.yaml", "inputs: {s: {type: stdin}}")).want(t, exitUnreachable, "no input of type http")
	siemd(t, "{}\n", "send", "-c", tempFile(t, "siemd.yaml", "inputs: 1")).want(t, exitConfig, "--url")
}

// slowReader gives one line and then nothing until it is released.
type slowReader struct {
	first   string
	release chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.first != "" {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	<-r.release
	return 0, errors.New("the pipe broke")
}

func TestSendDoesNotHoldALineBack(t *testing.T) {
	box := &postbox{}
	srv := httptest.NewServer(box)
	defer srv.Close()
	in := &slowReader{first: "{\"a\":1}\n", release: make(chan struct{})}
	var out, diag syncBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"send", "--url", srv.URL}, streams{in: in, out: &out, err: &diag})
	}()
	eventually(t, "the line is posted while the pipe is open", func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.bodies) == 1
	})
	eventually(t, "progress is told", func() bool { return strings.Contains(diag.String(), "siemd: 1 lines, 1 accepted, 0 refused, ") })
	close(in.release)
	select {
	case code := <-ended:
		if code != exitIO || !strings.Contains(diag.String(), "the pipe broke") || !strings.Contains(out.String(), "1 line: 1 accepted") {
			t.Errorf("exit %d\n%s\n%s", code, out.String(), diag.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}
