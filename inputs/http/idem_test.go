package http

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestIdempotencyKey(t *testing.T) {
	sink := plugintest.NewSink()
	r := startWith(t, sink, nil)
	const two = "{\"a\":1}\nbad\n{\"a\":2}"
	f := func(r *rig, key, body string, status int, replayed bool, headers ...string) string {
		t.Helper()
		got, text, h := r.do("POST", "/v1/events", body, append(headers, "Idempotency-Key: "+key)...)
		if got != status || (h.Get("Idempotency-Replayed") == "true") != replayed {
			t.Errorf("%s: %d %s %v, want %d", key, got, text, h, status)
		}
		return text
	}
	first := f(r, "k1", two, 200, false)
	if again := f(r, "k1", two, 200, true); again != first || !strings.Contains(first, `"accepted":2`) {
		t.Errorf("first %s, then %s", first, again)
	}
	f(r, "k1", two+"\n{}", 422, false)
	f(r, "k1", two, 200, false, "Authorization: Bearer old") // another client's key
	f(r, "k2", two, 200, false)
	f(r, strings.Repeat("x", 256), two, 400, false)
	f(r, "none", "bad", 400, false)
	f(r, "none", "bad", 400, false)
	if n := len(sink.Lines()); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
	for _, b := range sink.Batches() {
		if b.Mark != nil && !strings.HasPrefix(b.Mark.Key, "idempotency/") {
			t.Errorf("mark %+v", b.Mark)
		}
	}
	// Over a restart.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startWith(t, sink, nil)
	if again := f(r, "k1", two, 200, true); again != first {
		t.Errorf("after a restart %s, want %s", again, first)
	}
	f(r, "k1", two+"\n{}", 422, false)
	f(r, "none", "bad", 400, false)
	if n := len(sink.Lines()); n != 6 {
		t.Errorf("%d events after a restart, want 6", n)
	}
}

// TestIdempotencyCrash: the events and the first mark are durable, the answer was never kept.
func TestIdempotencyCrash(t *testing.T) {
	sink := plugintest.NewSink()
	calls := 0
	sink.Seen = func(b agent.Batch) {
		if calls++; len(b.Lines) == 0 {
			sink.Break(errors.New("power cut"))
		}
	}
	r := startWith(t, sink, nil)
	status, text := r.post("/v1/events", `{"a":1}`, "Idempotency-Key: k")
	if status != 200 || calls != 2 {
		t.Errorf("%d %s after %d batches", status, text, calls)
	}
	r.stop()
	sink.Break(nil)
	r = startWith(t, sink, nil)
	status, text = r.post("/v1/events", `{"a":1}`, "Idempotency-Key: k")
	var answer struct{ Accepted int }
	if json.Unmarshal([]byte(text), &answer); status != 200 || answer.Accepted != 1 || len(sink.Lines()) != 1 {
		t.Errorf("%d %s, %d events", status, text, len(sink.Lines()))
	}
}

func TestIdempotencyOfRequestsAtOnce(t *testing.T) {
	r := start(t, nil)
	var wg sync.WaitGroup
	answers := make([]string, 12)
	for i := range answers {
		wg.Go(func() { _, answers[i] = r.post("/v1/events", `{"a":1}`, "Idempotency-Key: same") })
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers %v", answers)
		}
	}
	if n := len(r.sink.Lines()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestIdempotencyAfterAFailure(t *testing.T) {
	r := start(t, nil)
	r.sink.Break(errors.New("no"))
	if status, _ := r.post("/v1/events", `{"a":1}`, "Idempotency-Key: k"); status != 503 {
		t.Errorf("status %d", status)
	}
	r.sink.Break(nil)
	if status, text := r.post("/v1/events", `{"a":1}`, "Idempotency-Key: k"); status != 200 || len(r.sink.Lines()) != 1 {
		t.Errorf("%d %s", status, text)
	}
}
