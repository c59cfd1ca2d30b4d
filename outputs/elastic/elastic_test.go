package elastic

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

const password = "s3cr3t-p/ss+word"

func newOutput(t testing.TB, url string, edit func(*Config)) (*Output, *metrics.Set) {
	t.Helper()
	c := Defaults
	c.Endpoint, c.Username, c.Password = []string{url}, "siemd", agent.NewSecret(password)
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	set := metrics.NewSet()
	env := agent.Env{Name: "t", Kind: "output", Version: "1", Identity: agent.DefaultIdentity, Log: slog.New(slog.DiscardHandler), Metrics: set}
	o, err := New(c, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	return o, set
}

func batch(t testing.TB, o *Output, n int) []agent.Event {
	t.Helper()
	events := make([]agent.Event, n)
	for i := range events {
		e := &events[i]
		*e = agent.Event{
			Seq: uint64(i + 1), Time: 1761739200_000000000, Received: 1761739200_000000000, Type: []byte("alert"), ID: fmt.Appendf(nil, "E%d", i),
			Body: fmt.Appendf(nil, `{"event_id":"E%d","event_type":"alert"}`, i),
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

func answering(t testing.TB, status int, body string) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
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
	files, err := filepath.Glob("testdata/resp-es-*.json")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	says := map[string]string{"ok": "ok", "ok-duplicate": "ok", "config": "blocked", "retry": "retry", "drop-event": "permanent"}
	for _, file := range files {
		var v struct {
			Name  string
			Input struct {
				Batch, Status int
				Body          string
			}
			Expect struct {
				Events        []string
				Action, Alarm string
			}
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.Name, func(t *testing.T) {
			o, set := newOutput(t, answering(t, v.Input.Status, v.Input.Body), nil)
			got := words(o.Write(t.Context(), batch(t, o, v.Input.Batch)), v.Input.Batch)
			var want []string
			duplicates := 0
			for _, e := range v.Expect.Events {
				w := says[e]
				switch {
				case e == "retry" && v.Expect.Alarm != "":
					w = "blocked" // held and tried again, with a person told
				case v.Input.Status == 413:
					w = "too large" // a single one has nothing to be split
				case e == "ok-duplicate":
					duplicates++
				}
				want = append(want, w)
			}
			if v.Expect.Action == "split" {
				want = []string{"too large", "too large", "too large"}
			}
			if want := strings.Join(want, ", "); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			wantMetric(t, set, "siemd_output_duplicates_total", duplicates)
		})
	}
}

func wantMetric(t *testing.T, set *metrics.Set, name string, want int) {
	t.Helper()
	var text bytes.Buffer
	set.WritePrometheus(&text)
	if line := fmt.Sprintf("%s{output=\"t\"} %d\n", name, want); !strings.Contains(text.String(), line) {
		t.Errorf("no %q in\n%s", line, text.String())
	}
}

func TestJudge(t *testing.T) {
	f := func(status int, kind, reason, op string, want verdict) {
		t.Helper()
		if got := judge(item{Status: status, Type: kind, Reason: reason}, op); got != want {
			t.Errorf("judge(%d, %s, %s, %s) = %d, want %d", status, kind, reason, op, got, want)
		}
	}
	f(200, "", "", "index", taken)
	f(201, "", "", "create", taken)
	f(409, "version_conflict_engine_exception", "", "create", duplicate)
	f(409, "version_conflict_engine_exception", "", "index", retried)
	f(429, "es_rejected_execution_exception", "", "create", retried)
	f(429, "rejected_execution_exception", "", "create", retried)
	f(429, "circuit_breaking_exception", "", "create", retried)
	f(429, "cluster_block_exception", "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]", "create", held)
	f(403, "cluster_block_exception", "index read-only / allow delete", "create", held)
	f(403, "security_exception", "", "create", held)
	f(404, "index_not_found_exception", "", "create", held)
	for _, kind := range []string{"document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception", "illegal_argument_exception", "index_closed_exception", "invalid_index_name_exception", ""} {
		f(400, kind, "something", "create", refused)
	}
	f(400, "illegal_argument_exception", "only write ops with an op_type of create are allowed in data streams", "index", held)
	f(400, "illegal_argument_exception", "Document ID is not supported in create/index operation request", "create", held)
	f(400, "illegal_argument_exception", "pipeline with id [nope] does not exist", "create", held)
	// An event that quotes those texts cannot hold up the others.
	f(400, "document_parsing_exception", "only write ops with an op_type of create are allowed in data streams", "create", refused)
	f(400, "illegal_argument_exception", "immense term in field [pipeline with id [x]]", "create", refused)
	f(413, "", "", "create", refused)
	f(500, "exception", "", "create", suspected)
	f(502, "", "", "create", retried)
	f(503, "unavailable_shards_exception", "", "create", retried)
	f(504, "", "", "create", retried)
	f(408, "", "", "create", retried)
	f(418, "", "", "create", held)
	f(0, "", "", "create", retried)
	f(-1, "", "", "create", retried)
}

func TestAnswers(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		o, _ := newOutput(t, answering(t, status, body), nil)
		if got := words(o.Write(t.Context(), batch(t, o, 2)), 2); got != want {
			t.Errorf("%d %s\ngot %s, want %s", status, body, got, want)
		}
	}
	f(200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`, "ok, ok")
	f(200, `{"took":3,"errors":false,"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b","status":200}}]}`+"\n", "ok, ok")
	f(200, "{\n \"errors\" : false,\n \"items\" : [ {\"create\":{\"status\" : 201}}, {\"create\":{\"status\":201}} ] }", "ok, ok")
	f(200, `{"items":[{"create":{"status":201}},{"create":{"status":201}}],"errors":false}`, "ok, ok")
	f(200, `{"errors":true,"items":[{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"\"status\":400"}}},{"create":{"status":201}}]}`, "ok, ok")
	f(200, `{"errors":true,"items":[{"create":{"status":409}},{"create":{"status":2011}}]}`, "ok, retry")
	// The flag is not to be trusted, the items are.
	f(200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":503}}]}`, "ok, retry")
	f(200, `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`, "ok, ok")
	f(200, `{"errors":false,"items":[{"create":{"status":201}}]}`, "retry, retry")
	f(200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}},{"create":{"status":201}}]}`, "retry, retry")
	f(200, `{"errors":false}`, "retry, retry")
	f(200, `{"errors":false,"items":[{},{}]}`, "retry, retry")
	f(200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]`, "retry, retry")
	f(200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":"201"}}]}`, "retry, retry")
	f(200, `{"errors":false,"items":[{"create":{}},{"create":{"status":null}}]}`, "retry, retry")
	f(200, `<html>login</html>`, "retry, retry")
	f(200, ``, "retry, retry")
	f(204, ``, "retry, retry")
	f(200, `{"errors":true,"items":[{"create":{"status":400,"error":"old style"}},{"create":{"status":201}}]}`, "permanent, ok")
	f(400, `{"error":{"type":"action_request_validation_exception","reason":"id is too long"},"status":400}`, "permanent, permanent")
	f(400, `{"error":{"type":"illegal_argument_exception","reason":"request [/_bulk] contains unrecognized parameter: [x]"},"status":400}`, "blocked, blocked")
	f(400, `{"error":"no handler found","status":400}`, "permanent, permanent")
	f(400, `<html>400 The plain HTTP request was sent to HTTPS port</html>`, "suspect, suspect")
	f(406, `{"error":"Content-Type header is not supported"}`, "blocked, blocked")
	f(500, `{"error":{"type":"x"}}`, "suspect, suspect")
	f(302, ``, "blocked, blocked")
}

func TestReasonsReachPeople(t *testing.T) {
	o, _ := newOutput(t, answering(t, 200, `{"errors":true,"items":[{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:20] failed to parse field [a] of type [long]","caused_by":{"type":"x","reason":"For input string: \"b\""}}}}]}`), nil)
	err := o.Write(t.Context(), batch(t, o, 1))
	var partial *agent.PartialError
	var answer *agent.AnswerError
	if !errors.As(err, &partial) || !errors.As(partial.Failed[0].Err, &answer) {
		t.Fatalf("Write = %v", err)
	}
	want := `document_parsing_exception: [1:20] failed to parse field [a] of type [long] (For input string: "b")`
	if answer.Status != 400 || answer.Answer != want || answer.Endpoint == "" {
		t.Errorf("%+v, want %s", answer, want)
	}
}

func TestFailureStoreIsCounted(t *testing.T) {
	for _, body := range []string{
		`{"errors":false,"items":[{"create":{"status":201,"failure_store":"used"}},{"create":{"status":201}},{"create":{"status":201,"failure_store":"used"}}]}`,
		`{"errors":true,"items":[{"create":{"status":201,"failure_store":"used"}},{"create":{"status":409}},{"create":{"status":201,"failure_store":"used"}}]}`,
	} {
		o, set := newOutput(t, answering(t, 200, body), nil)
		if err := o.Write(t.Context(), batch(t, o, 3)); err != nil {
			t.Error(err)
		}
		wantMetric(t, set, "siemd_output_failure_store_total", 2)
	}
}

// What is said of items that are all the same is what would be said of each.
func TestAnswersOfEqualItems(t *testing.T) {
	for item, want := range map[string]counts{
		`{"create":{"status":201}}`:                        {},
		`{"create":{"status":409,"error":{"type":"x"}}}`:   {duplicates: 1},
		`{"create":{"status":201,"failure_store":"used"}}`: {failureStore: 1},
		`{"create":{"status":429}}`:                        {-1, -1},
		`{"create":{"status":2011}}`:                       {-1, -1},
		`{}`:                                               {-1, -1},
		``:                                                 {-1, -1},
	} {
		for n := 1; n < 5; n++ {
			for listed := range 6 {
				body := `{"errors":false,"items":[` + strings.TrimSuffix(strings.Repeat(item+",", listed), ",") + "]}"
				got, ok := allTaken([]byte(body), n, "create")
				if wanted := want.duplicates >= 0 && listed == n; ok != wanted || ok && got != (counts{want.duplicates * n, want.failureStore * n}) {
					t.Errorf("%d items of %d, %s: %v, %v", listed, n, item, got, ok)
				}
			}
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`))
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":400,"error":{"type":"a","reason":"\"status\":201"}}},{"create":{"status":409}}]}`))
	f.Add([]byte(`{"errors":false,"items":[{"index":{"status":201,"failure_store":"used"}},{"x":{"status":2}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, fast := allTaken(body, 2, "create")
		items, ok := parse(body)
		if !fast || !ok || !json.Valid(body) {
			return
		}
		// What the quick look takes for success, the parser must too, on whatever a server of this protocol sends.
		bad, diverted := 0, 0
		for _, it := range items {
			if v := judge(it, "create"); v != taken && v != duplicate {
				bad++
			}
			if it.FailureStore == "used" {
				diverted++
			}
		}
		if len(items) == 2 && bad == 0 && diverted > quick.failureStore {
			t.Errorf("%d events in the failure store, counted %d", diverted, quick.failureStore)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	const n = 1000
	const (
		taken     = `{"create":{"status":201}}`
		duplicate = `{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[E]: version conflict, document already exists"}}}`
		busy      = `{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation"}}}`
	)
	for _, c := range []struct{ name, usual, hundredth string }{
		{"taken", taken, taken}, {"duplicates", duplicate, duplicate}, {"one in a hundred refused", taken, busy},
	} {
		b.Run(c.name, func(b *testing.B) {
			items := make([]string, n)
			for i := range items {
				items[i] = c.usual
				if i%100 == 50 {
					items[i] = c.hundredth
				}
			}
			answer := fmt.Sprintf(`{"errors":%t,"items":[%s]}`, c.hundredth != taken, strings.Join(items, ","))
			o, _ := newOutput(b, answering(b, 200, answer), nil)
			events := batch(b, o, n)
			size := 0
			for i := range events {
				size += len(events[i].Wire)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				var partly *agent.PartialError
				if err := o.Write(b.Context(), events); err != nil && (c.hundredth != busy || !errors.As(err, &partly)) {
					b.Fatal(err)
				}
			}
		})
	}
}
