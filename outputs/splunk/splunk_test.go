package splunk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "9f0e8f1c-6a7b-4c3d-8e9f-0a1b2c3d4e5f"

func testEnv() agent.Env {
	id := agent.DefaultIdentity
	id.Host = "zerotrust-platform"
	return agent.Env{Name: "t", Kind: "output", Version: "1", Identity: id, Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()}
}

func newOutput(t testing.TB, url string, edit func(*Config)) *Output {
	t.Helper()
	c := Defaults
	c.Endpoint, c.Token = []string{url}, agent.NewSecret(token)
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	o, err := New(c, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	return o
}

// batch is n encoded events.
func batch(t testing.TB, o *Output, n int) []agent.Event {
	t.Helper()
	events := make([]agent.Event, n)
	for i := range events {
		e := &events[i]
		*e = agent.Event{
			Seq: uint64(i + 1), Time: 1761739200_000000000, Type: []byte("anomaly"), ID: fmt.Appendf(nil, "E%d", i),
			Body: fmt.Appendf(nil, `{"event_id":"E%d","event_type":"anomaly"}`, i),
		}
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

// word is an error in one word.
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

// words is the word for each of n events.
func words(err error, n int) string {
	out := make([]string, n)
	var partial *agent.PartialError
	if !errors.As(err, &partial) {
		for i := range out {
			out[i] = word(err)
		}
	} else {
		for i := range out {
			out[i] = "ok"
		}
		for _, f := range partial.Failed {
			out[f.Index] = word(f.Err)
		}
	}
	return strings.Join(out, ", ")
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/resp-hec-*.json")
	if err != nil || len(files) < 18 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	says := map[string]string{"ok": "ok", "config": "blocked", "retry": "retry", "drop-event": "permanent"}
	for _, file := range files {
		var v struct {
			Name  string
			Input struct {
				Target  string
				Batch   int
				Status  int
				Headers map[string]string
				Body    string
			}
			Config struct{ Ack bool }
			Expect struct {
				Events         []string
				Action         string
				Acked, Pending []int64
			}
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		if v.Input.Target != "hec" || v.Config.Ack {
			continue // see ack_test.go
		}
		t.Run(v.Name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				for k, h := range v.Input.Headers {
					w.Header().Set(k, h)
				}
				w.WriteHeader(v.Input.Status)
				io.WriteString(w, v.Input.Body)
			})
			o := newOutput(t, url, nil)
			got := words(o.Write(t.Context(), batch(t, o, v.Input.Batch)), v.Input.Batch)
			var want []string
			for i, e := range v.Expect.Events {
				w := says[e]
				if w == "retry" && i > 0 && v.Expect.Events[i-1] == "drop-event" {
					w = "after 0s" // behind a bad one: at once
				}
				want = append(want, w)
			}
			switch v.Expect.Action {
			case "split":
				want = []string{"too large", "too large", "too large"}
			case "bisect":
				want = []string{"permanent", "permanent", "permanent"}
			}
			if want := strings.Join(want, ", "); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	n := func(i int64) *int64 { return &i }
	f := func(status int, a answer, size int, routed bool, want verdict, wantBad int) {
		t.Helper()
		if got, bad := judge(status, a, 3, size, routed); got != want || bad != wantBad {
			t.Errorf("judge(%d, code %v, number %v) = %d at %d, want %d at %d", status, value(a.Code), value(a.Invalid), got, bad, want, wantBad)
		}
	}
	for code, c := range map[int64]struct {
		status int
		want   verdict
	}{
		0: {200, taken}, 1: {403, held}, 2: {401, held}, 3: {401, held}, 4: {403, held}, 5: {400, refused},
		6: {400, refused}, 7: {400, held}, 8: {500, suspicious}, 9: {503, retried}, 10: {400, held}, 11: {400, held},
		12: {400, refused}, 13: {400, refused}, 14: {400, held}, 15: {400, refused}, 16: {400, held}, 17: {200, retried},
		18: {503, retried}, 19: {503, retried}, 20: {503, retried}, 21: {400, held}, 22: {400, held}, 23: {503, retried},
		24: {200, takenSlow}, 25: {200, takenSlow}, 26: {429, retried}, 27: {429, retried}, 28: {400, held}, 99: {400, retried},
	} {
		f(c.status, answer{Code: &code}, 100, false, c.want, 0)
	}
	// Positions. Those that cannot be are not believed.
	for _, code := range []int64{6, 12, 13, 15} {
		f(400, answer{Code: &code, Invalid: n(0)}, 100, false, oneBad, 0)
		f(400, answer{Code: &code, Invalid: n(2)}, 100, false, oneBad, 2)
		f(400, answer{Code: &code, Invalid: n(3)}, 100, false, refused, 0)
		f(400, answer{Code: &code, Invalid: n(1 << 62)}, 100, false, refused, 0)
	}
	f(400, answer{Code: n(7), Invalid: n(2)}, 100, false, held, 0)
	f(400, answer{Code: n(7), Invalid: n(1)}, 100, true, oneBad, 0)
	f(400, answer{Code: n(7), Invalid: n(3)}, 100, true, oneBad, 2)
	f(400, answer{Code: n(7), Invalid: n(0)}, 100, true, refused, 0)
	f(400, answer{Code: n(7)}, 100, true, refused, 0)
	// Too large, as Splunk Cloud says it.
	f(400, answer{Code: n(6), Invalid: n(0)}, 5_500_000, false, tooLarge, 0)
	f(400, answer{Code: n(6), Invalid: n(1)}, 5_500_000, false, oneBad, 1)
	f(400, answer{Code: n(13), Invalid: n(0)}, 5_500_000, false, oneBad, 0)
	// Without a body of HEC's.
	for status, want := range map[int]verdict{
		200: retried, 201: retried, 204: retried, 302: held, 400: suspicious, 401: held, 403: held, 404: held, 405: held, 408: retried,
		413: tooLarge, 415: held, 422: suspicious, 429: retried, 500: suspicious, 502: retried, 503: retried, 504: retried,
	} {
		f(status, answer{}, 100, false, want, 0)
	}
	// The status and the code must agree before an event is blamed.
	f(503, answer{Code: n(6), Invalid: n(1)}, 100, false, retried, 0)
	f(403, answer{Code: n(0)}, 100, false, held, 0)
}

func value(p *int64) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestParse(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		a := parse([]byte(body))
		if got := fmt.Sprint(value(a.Code), value(a.AckID), value(a.Invalid)); got != want {
			t.Errorf("parse(%s) = %s, want %s", body, got, want)
		}
	}
	f(`{"text":"Success","code":0}`, "0 <nil> <nil>")
	f(`{"text":"Success","code":0,"ackId":0}`, "0 0 <nil>")
	f(`{"text":"x","code":6,"invalid-event-number":0,"ackId":7}`, "6 7 0")
	f(`{"code":"0","ackId":"3"}`, "0 3 <nil>")
	f(`{"code":0.0,"ackId":3.0,"invalid-event-number":2.0}`, "0 3 2")
	f(`{"code":6,"invalid-event-number":-1}`, "6 <nil> <nil>")
	f(`{"code":6,"invalid-event-number":1.5}`, "6 <nil> <nil>")
	f(`{"code":6,"invalid-event-number":null}`, "6 <nil> <nil>")
	f(`{"code":[0]}`, "<nil> <nil> <nil>")
	f(`{"code":0} trailing`, "<nil> <nil> <nil>")
	f(`<html>`, "<nil> <nil> <nil>")
	f(`[]`, "<nil> <nil> <nil>")
	f(``, "<nil> <nil> <nil>")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"text":"Success","code":0,"ackId":0,"invalid-event-number":3}`))
	f.Add([]byte(`{"acks":{"0":true,"1":false,"x":true}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a := parse(body)
		if v, bad := judge(400, a, 3, 100, true); v == oneBad && (bad < 0 || bad > 2) {
			t.Errorf("event %d of 3", bad)
		}
		acknowledged(body)
	})
}

func BenchmarkWrite(b *testing.B) {
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"text":"Success","code":0}`)
	})
	for _, compression := range []string{"none", "gzip"} {
		b.Run(compression, func(b *testing.B) {
			o := newOutput(b, url, func(c *Config) { c.Compression = compression })
			events := batch(b, o, 1000)
			pad := bytes.Repeat([]byte("x"), 280)
			size := 0
			for i := range events {
				events[i].Body = fmt.Appendf(nil, `{"event_id":"E%d","event_type":"anomaly","title":"%s"}`, i, pad)
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
		})
	}
}
