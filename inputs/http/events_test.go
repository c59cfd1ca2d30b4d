package http

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/adrian207/siemd/agent"
)

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func zstdized(s string) string {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(s), nil))
}

func TestEventsBodies(t *testing.T) {
	f := func(body string, status int, answer, lines string, headers ...string) {
		t.Helper()
		r := start(t, func(c *Config) { c.MaxEvent = 100 })
		gotStatus, got := r.post("/v1/events", body, headers...)
		if gotStatus != status || got != answer {
			t.Errorf("%.60q:\n got %d %s\nwant %d %s", body, gotStatus, got, status, answer)
		}
		if got := r.lines(); got != lines {
			t.Errorf("%.60q: log has\n%s\nwant\n%s", body, got, lines)
		}
	}
	ok := func(n int) string {
		return fmt.Sprintf(`{"accepted":%d,"rejected":[],"first_seq":1,"last_seq":%d}`, n, n)
	}
	f(`{"a":1}`, 200, ok(1), `{"a":1}`)
	f("{\"a\":1}\n", 200, ok(1), `{"a":1}`)
	f("\xef\xbb\xbf \n{\"a\":1}\r\n\r\n{\"b\":2}", 200, ok(2), "{\"a\":1}\n{\"b\":2}")
	f(`[{"a":1}, {"b":[2,"]"]} ]`+"\n", 200, ok(2), "{\"a\":1}\n{\"b\":[2,\"]\"]}")
	f("{\n  \"a\": 1\n}\n", 200, ok(1), "{\n  \"a\": 1\n}")
	f("{\n  \"a\": 1\n}\n{\n \"b\": 2}", 200, ok(2), "{\n  \"a\": 1\n}\n{\n \"b\": 2}")
	f(`{"a":1}{"b":2} {"c":"}"}`, 200, ok(3), "{\"a\":1}\n{\"b\":2}\n{\"c\":\"}\"}")
	f("\n{\"a\":1}\nrubbish\n[1]\n{\"b\":2}", 200, `{"accepted":2,"rejected":[{"line":3,"error":"not_json: not one JSON object"},{"line":4,"error":"not_object: not one JSON object"}],"first_seq":1,"last_seq":2}`, "{\"a\":1}\n{\"b\":2}")
	f(`[{"a":1},5,{"b":2}]`, 200, `{"accepted":2,"rejected":[{"line":2,"error":"not_object: not one JSON object"}],"first_seq":1,"last_seq":2}`, "{\"a\":1}\n{\"b\":2}")
	f("{\"a\":\n{\"b\":2}\n", 200, `{"accepted":1,"rejected":[{"line":1,"error":"not_json: not one JSON object"}],"first_seq":1,"last_seq":1}`, `{"b":2}`)
	f(`5`, 400, `{"error":"none of the events can be taken","accepted":0,"rejected":[{"line":1,"error":"not_object: not one JSON object"}],"first_seq":0,"last_seq":0}`, "")
	f("{\"a\":\""+strings.Repeat("x", 100)+"\"}\n{\"b\":2}", 200, `{"accepted":1,"rejected":[{"line":1,"error":"too_long: the event has 108 bytes, more than 100"}],"first_seq":1,"last_seq":1}`, `{"b":2}`)
	f(`[]`, 400, `{"error":"the body is empty","accepted":0,"rejected":[],"first_seq":0,"last_seq":0}`, "")
	f(``, 400, `{"error":"the body is empty"}`, "")
	f(" \r\n", 400, `{"error":"the body is empty"}`, "")
	broken := func(line int, why string) string {
		return fmt.Sprintf(`{"error":"none of the events can be taken","accepted":0,"rejected":[{"line":%d,"error":"not_json: %s"}],"first_seq":0,"last_seq":0}`, line, why)
	}
	f(`[{"a":1}`, 400, broken(2, "the text ends within a value"), "")
	f(`[{"a":1}] x`, 400, broken(2, "'x' follows the array"), "")
	f(`[{"a":1]}`, 400, broken(1, "']' closes what it did not open"), "")
	f(gzipped(`{"a":1}`), 200, ok(1), `{"a":1}`, "Content-Encoding: gzip")
	f(gzipped(`{"a":1}`), 200, ok(1), `{"a":1}`, "Content-Encoding: X-GZIP")
	f(zstdized(`{"a":1}`), 200, ok(1), `{"a":1}`, "Content-Encoding: zstd")
	f(`{"a":1}`, 200, ok(1), `{"a":1}`, "Content-Encoding: identity", "Content-Type: text/plain")
	f(`{"a":1}`, 415, `{"error":"the content encoding is unknown: want gzip or zstd"}`, "", "Content-Encoding: br")
	f(`{"a":1}`, 400, `{"error":"the body is not what its content encoding says"}`, "", "Content-Encoding: gzip")
	f(`{"a":1}`, 400, `{"error":"the body is not what its content encoding says"}`, "", "Content-Encoding: zstd")
	f(gzipped(`{"a":1}`)[:20], 400, `{"error":"the body is not what its content encoding says"}`, "", "Content-Encoding: gzip")
	f(gzipped(`{"a":1}`)+"x", 400, `{"error":"the body is not what its content encoding says"}`, "", "Content-Encoding: gzip")
}

// An array that breaks off is kept, as any other text that holds no event.
func TestBrokenArrayIsKept(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxEvent = 12 })
	if status, text := r.post("/v1/events", ` [{"a":1}, {"b":`); status != 400 {
		t.Errorf("%d %s", status, text)
	}
	kept := r.sink.Refused()
	if len(kept) != 1 || string(kept[0].Text) != `[{"a":1}, {"` || kept[0].Offset != 1 || kept[0].Reason != agent.ReasonNotJSON {
		t.Errorf("kept: %+v", kept)
	}
}

func TestEventsMethodsAndTokens(t *testing.T) {
	r := start(t, nil)
	f := func(auth string, want int) {
		t.Helper()
		if got, text := r.post("/v1/events", `{}`, "Authorization: "+auth); got != want {
			t.Errorf("%q: %d %s, want %d", auth, got, text, want)
		}
	}
	f("Bearer T0K", 200)
	f("bearer  old", 200)
	f("Splunk T0K", 200)
	f("Basic eDpUMEs=", 200)
	f("ApiKey eDpUMEs=", 200)
	f("", 401)
	f("T0K", 401)
	f("Bearer", 401)
	f("Bearer t0k", 401)
	f("Bearer T0K2", 401)
	f("Basic VDBL", 401)
	f("Digest T0K", 401)
	for _, m := range []string{"GET", "PUT", "DELETE", "HEAD"} {
		if status, _, h := r.do(m, "/v1/events", ""); status != 405 || h.Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", m, status, h.Get("Allow"))
		}
	}
	if status, _ := r.post("/nowhere", ""); status != 404 {
		t.Errorf("unknown path: %d", status)
	}
}

func TestEventsLimits(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBody = 1 << 20; c.MaxEvents = 10; c.MaxRatio = 20 })
	f := func(name, body string, want int, headers ...string) {
		t.Helper()
		if got, text := r.post("/v1/events", body, headers...); got != want {
			t.Errorf("%s: %d %s, want %d", name, got, text, want)
		}
	}
	big := strings.Repeat(`{"a":"`+strings.Repeat("x", 1000)+"\"}\n", 1100)
	f("over max_body", big, 413)
	f("gzip bomb", gzipped(big), 413, "Content-Encoding: gzip")
	f("zstd bomb", zstdized(big), 413, "Content-Encoding: zstd")
	f("too many", strings.Repeat("{}\n", 11), 413)
	f("as many as may be", strings.Repeat("{}\n", 10), 200)
	req, _ := http.NewRequest("POST", r.url+"/v1/events", strings.NewReader("{}"))
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	// The server may cut the connection before all of the header has left.
	if resp, err := r.client.Do(req); err == nil {
		if resp.Body.Close(); resp.StatusCode != 431 {
			t.Errorf("header: %d", resp.StatusCode)
		}
	}
	if n := len(r.sink.Lines()); n != 10 {
		t.Errorf("%d events, want 10", n)
	}
	if n := r.in.inFlight.Load(); n != 0 {
		t.Errorf("%d bytes are still in flight", n)
	}
	r = start(t, func(c *Config) { c.MaxRatio = 20 })
	f("ratio", gzipped(strings.Repeat(big, 3)), 413, "Content-Encoding: gzip")
	f("ratio of a small body", gzipped(big[:900_000]), 200, "Content-Encoding: gzip")
}

func TestBombsCostNoMemory(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBody = 1 << 20 })
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 8 {
		w.Write(zeros)
	}
	w.Close()
	for range 3 {
		if got, text := r.post("/v1/events", bomb.String(), "Content-Encoding: gzip"); got != 413 {
			t.Errorf("%d %s", got, text)
		}
	}
}

func TestInFlightBytesHaveALimit(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBody = 1 << 20; c.MaxInFlight = 1 << 20 })
	r.in.inFlight.Add(1 << 20)
	status, text, h := r.do("POST", "/v1/events", `{}`)
	if status != 503 || h.Get("Retry-After") == "" || !strings.Contains(text, "under way") {
		t.Errorf("%d %s %v", status, text, h)
	}
	r.in.inFlight.Add(-1 << 20)
	if status, text := r.post("/v1/events", `{}`); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

func TestAFullLogTakesNothing(t *testing.T) {
	r := start(t, func(c *Config) { c.FullWait = agent.Duration(10 * time.Millisecond) })
	r.sink.Fill(true)
	f := func(path, body string, want int, text string) {
		t.Helper()
		got, answer, h := r.do("POST", path, body)
		if got != want || !strings.Contains(answer, text) || h.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, Retry-After %q", path, got, answer, h.Get("Retry-After"))
		}
	}
	const bulk = "{\"index\":{}}\n{\"x\":1}\n"
	f("/v1/events", `{}`, 503, "full")
	f("/services/collector", `{"event":1}`, 503, `{"text":"Server is busy","code":9}`)
	f("/services/collector/raw", `x`, 503, `"code":9`)
	f("/_bulk", bulk, 429, "es_rejected_execution_exception")
	f("/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`, 503, "message")
	if status, text, _ := r.do("GET", "/services/collector/health", ""); status != 503 || !strings.Contains(text, `"code":18`) {
		t.Errorf("health while full: %d %s", status, text)
	}
	r.sink.Fill(false)
	if status, text := r.post("/v1/events", `{}`); status != 200 {
		t.Errorf("there is room again: %d %s", status, text)
	}
	if status, text, _ := r.do("GET", "/services/collector/health", "", "Authorization: "); status != 200 || text != `{"text":"HEC is healthy","code":17}` {
		t.Errorf("health: %d %s", status, text)
	}
	r.sink.Break(errors.New("secret details"))
	for path, body := range map[string]string{"/v1/events": `{}`, "/services/collector": `{"event":1}`, "/_bulk": bulk} {
		if status, text := r.post(path, body); status != 503 && status != 429 || strings.Contains(text, "secret") {
			t.Errorf("%s on a broken log: %d %s", path, status, text)
		}
	}
	r.sink.Break(agent.ErrClosed)
	if _, text := r.post("/services/collector", `{"event":1}`); text != `{"text":"Server is shutting down","code":23}` {
		t.Errorf("closing: %s", text)
	}
	if n := len(r.sink.Lines()); n != 1 {
		t.Errorf("%d events taken, want 1", n)
	}
}

// A request that the log can never take is not told to come again.
func TestMoreThanTheLogHolds(t *testing.T) {
	r := start(t, nil)
	r.sink.Break(agent.ErrBatchTooLarge)
	f := func(path, body string) {
		t.Helper()
		status, text, h := r.do("POST", path, body)
		if status != 413 || h.Get("Retry-After") != "" {
			t.Errorf("%s: %d %s, Retry-After %q", path, status, text, h.Get("Retry-After"))
		}
	}
	f("/v1/events", `{}`)
	f("/services/collector", `{"event":1}`)
	f("/services/collector/raw", `x`)
	f("/_bulk", "{\"index\":{}}\n{\"x\":1}\n")
	f("/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`)
	if status, text, _ := r.do("GET", "/services/collector/health", ""); status != 200 {
		t.Errorf("health: %d %s", status, text)
	}
}

// TestInterruptedBodiesTakeNothing cuts connections within bodies of every framing.
func TestInterruptedBodiesTakeNothing(t *testing.T) {
	r := start(t, nil)
	f := func(path, head, part string) {
		t.Helper()
		c, err := net.Dial("tcp", r.in.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Splunk T0K\r\n%s\r\n\r\n%s", path, head, part)
		c.(*net.TCPConn).CloseWrite()
		var answer [512]byte
		n, _ := c.Read(answer[:])
		if bytes.Contains(answer[:n], []byte(" 200 ")) {
			t.Errorf("%s: %s", path, answer[:n])
		}
		c.Close()
	}
	two := "{\"a\":1}\n{\"a\":2}\n"
	f("/v1/events", "Content-Length: 100", two)
	f("/v1/events", "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n", len(two), two))
	f("/v1/events", "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s", len(two)+50, two))
	z := gzipped(two)
	f("/v1/events", "Content-Encoding: gzip\r\nContent-Length: 1000", z)
	f("/v1/events", "Content-Encoding: zstd\r\nContent-Length: 1000", zstdized(two))
	f("/services/collector", "Content-Length: 100", `{"event":1}{"event":2}`)
	f("/_bulk", "Content-Length: 100", "{\"index\":{}}\n{\"x\":1}\n")
	f("/v1/logs", "Content-Length: 1000", `{}`)
	if n := len(r.sink.Lines()) + len(r.sink.Refused()); n != 0 {
		t.Errorf("%d lines of interrupted bodies: %s", n, r.lines())
	}
}

func TestSlowBodiesEnd(t *testing.T) {
	r := start(t, func(c *Config) { c.ReadTimeout = agent.Duration(100 * time.Millisecond) })
	c, err := net.Dial("tcp", r.in.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Splunk T0K\r\nContent-Length: 100\r\n\r\n{}")
	var answer [512]byte
	n, err := c.Read(answer[:])
	if !bytes.Contains(answer[:n], []byte(" 408 ")) {
		t.Errorf("%s %v", answer[:n], err)
	}
}

func TestConnectionLimits(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxConnections = 4; c.MaxPerAddress = 2 })
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", r.in.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		return c
	}
	ask := func(c net.Conn) bool {
		fmt.Fprintf(c, "GET /services/collector/health HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _ := c.Read(make([]byte, 512))
		return n > 0
	}
	if first, second := ask(dial()), ask(dial()); !first || !second {
		t.Fatal("two connections are within the limit")
	}
	if ask(dial()) {
		t.Error("a third one from the same address was served")
	}
	open[0].Close()
	deadline := time.Now().Add(20 * time.Second)
	for r.in.door.count() > 1 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if !ask(dial()) {
		t.Error("a place that was left is not given again")
	}
}

// TestFewDescriptors: where the process may have few of them, half are left to the others.
func TestFewDescriptors(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	if r := start(t, nil); r.in.door.most != 64 {
		t.Errorf("%d connections are let in, want 64", r.in.door.most)
	}
}

func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	r := start(t, func(c *Config) { c.FullWait = agent.Duration(30 * time.Second) })
	seen := make(chan struct{})
	r.sink.Seen = func(agent.Batch) { close(seen) }
	r.sink.Fill(true)
	idle, err := net.Dial("tcp", r.in.Addr().String()) // has said nothing, and must hold nothing up
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	answered := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest("POST", r.url+"/v1/events", strings.NewReader(`{"a":1}`))
		req.Header.Set("Authorization", "Bearer T0K")
		resp, err := r.client.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-seen
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	// The stop has begun. Were the idle one waited for, the other would be cut off first.
	_ = idle.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection that has said nothing: %v, want its end", err)
	}
	r.sink.Fill(false)
	if got := <-answered; got != 200 {
		t.Errorf("the request under way got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(r.sink.Lines()) != 1 {
		t.Error("the event is not in the log")
	}
}

func TestMinRate(t *testing.T) {
	f := func(n, rate int64, want time.Duration) {
		t.Helper()
		w := wire{rate: rate, most: time.Minute}
		w.n.Store(n)
		if got := w.due(); got != want {
			t.Errorf("after %d bytes at %d a second: %v, want %v", n, rate, got, want)
		}
	}
	f(0, 1000, grace)
	f(10_000, 1000, grace+10*time.Second)
	f(1<<40, 1000, time.Minute)
	f(0, 0, time.Minute)
}

func TestAPanicEndsOneRequest(t *testing.T) {
	r := start(t, nil)
	var once sync.Once
	r.sink.Seen = func(agent.Batch) { once.Do(func() { panic("oops") }) }
	req, _ := http.NewRequest("POST", r.url+"/v1/events", io.NopCloser(strings.NewReader(`{}`)))
	req.Header.Set("Authorization", "Bearer T0K")
	if resp, err := r.client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("an answer: %d", resp.StatusCode)
	}
	if status, text := r.post("/v1/events", `{}`); status != 200 {
		t.Errorf("the next request: %d %s", status, text)
	}
	if n := r.in.env.Counter("panics_total").Get(); n != 1 {
		t.Errorf("%d panics are counted", n)
	}
}

func TestRefusedLinesHaveTheirPlace(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxEvent = 20 })
	r.post("/v1/events", "\xef\xbb\xbf{}\n\nbad\n"+strings.Repeat("x", 30))
	r.post("/v1/events", `[{}, 5]`)
	r.post("/services/collector", `{"event":{"a":1}} {"event":{"b":"`+strings.Repeat("y", 30)+`"}}`)
	r.post("/a/_bulk", "{\"create\":{}}\nrubbish\n{\"create\":{}}\n "+strings.Repeat("z", 30)+"\n")
	r.post("/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"`+strings.Repeat("y", 30)+`"}}]}]}]}`)
	want := []agent.Refusal{
		{Offset: 7, Text: []byte("bad"), Reason: agent.ReasonNotJSON},
		{Offset: 11, Text: []byte(strings.Repeat("x", 20)), Reason: agent.ReasonTooLong},
		{Offset: 5, Text: []byte("5"), Reason: agent.ReasonNotObject},
		{Offset: 18, Text: []byte(`{"event":{"b":"` + strings.Repeat("y", 30) + `"}}`), Reason: agent.ReasonTooLong},
		{Offset: 14, Text: []byte("rubbish"), Reason: agent.ReasonNotJSON},
		{Offset: 36, Text: []byte(" " + strings.Repeat("z", 19)), Reason: agent.ReasonTooLong},
		{Text: []byte(`{"message":"yyyyyyyy`), Reason: agent.ReasonTooLong},
	}
	got := r.sink.Refused()
	if len(got) != len(want) {
		t.Fatalf("refused %+v", got)
	}
	for i, w := range want {
		if g := got[i]; g.Offset != w.Offset || string(g.Text) != string(w.Text) || g.Reason != w.Reason {
			t.Errorf("refused line %d is %q at %d, %s; want %q at %d, %s", i, g.Text, g.Offset, g.Reason, w.Text, w.Offset, w.Reason)
		}
	}
}

func TestWebPagesCannotPostWithoutAToken(t *testing.T) {
	open := start(t, func(c *Config) { c.Tokens = nil })
	closed := start(t, nil)
	f := func(r *rig, want int, headers ...string) {
		t.Helper()
		if got, text := r.post("/v1/events", `{}`, headers...); got != want {
			t.Errorf("%v: %d %s, want %d", headers, got, text, want)
		}
	}
	f(open, 200, "Authorization: ")
	f(open, 200, "Authorization: Bearer anything")
	f(open, 403, "Origin: https://evil.example")
	f(open, 403, "Origin: null")
	f(closed, 200, "Origin: https://app.example")
}
