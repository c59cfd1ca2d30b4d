package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/idempotency"
	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/plugintest"
)

// TestAnExportIsDoneOnce: whoever sends a request with its key again gets one
// event, and is told what has become of it since, also after a restart.
func TestAnExportIsDoneOnce(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	if err := es.SetFault("503"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf(`outputs:
  es: {type: elastic, endpoint: %q, retry: {initial: 20ms, max: 50ms}}
  picky: {type: elastic, endpoint: %q, filter: {event_types: [telemetry]}}
`, es.URL(), es.URL()))
	const body = `{"event_type":"alert","event_source":"s","event_data":{"n":1},"connections":["es","picky"]}`
	first := r.want(200, "POST", "/export?wait=50ms", body, "Idempotency-Key", "k")
	if first.field("results.es") != false || first.header.Get(replayHeader) != "" {
		t.Errorf("first = %v %v", first, first.header)
	}
	if err := es.SetFault(""); err != nil {
		t.Fatal(err)
	}
	again := func(what string) {
		t.Helper()
		a := r.want(200, "POST", "/export?wait=10s", body, "Idempotency-Key", "k")
		if a.header.Get(replayHeader) != "true" || a.field("event_id") != first.field("event_id") || a.field("seq") != first.field("seq") ||
			a.field("results.es") != true || a.field("results.picky") != false || a.field("details.picky") == nil {
			t.Errorf("%s = %v %v", what, a, a.header)
		}
	}
	again("sent again")
	r.stop()
	r.start()
	again("after a restart")
	if es.Events() != 1 {
		t.Errorf("%d events arrived, want 1", es.Events())
	}

	// The key is the caller's own, for that body.
	r.want(422, "POST", "/export", strings.Replace(body, `"n":1`, `"n":2`, 1), "Idempotency-Key", "k")
	other := r.want(200, "POST", "/export?wait=10s", body, "Idempotency-Key", "k", "Authorization", "Bearer "+writeToken)
	if other.header.Get(replayHeader) != "" || other.field("event_id") == first.field("event_id") {
		t.Errorf("another caller = %v", other)
	}
	r.want(400, "POST", "/export", body, "Idempotency-Key", strings.Repeat("k", 256))
	// What was refused leaves the key free.
	r.want(400, "POST", "/export", `{"event_type":"alert","event_data":{"a":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}}`, "Idempotency-Key", "deep")
	r.want(200, "POST", "/export?wait=0s", body, "Idempotency-Key", "deep")
}

// TestAnExportIsDoneOnceAmongMany: of many at once one stores the event.
func TestAnExportIsDoneOnceAmongMany(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	r := newRig(t, fmt.Sprintf("outputs: {es: {type: elastic, endpoint: %q}}\n", es.URL()))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a := r.call("POST", "/export?wait=20s", `{"event_type":"alert","event_data":{"a":1}}`, "Idempotency-Key", "same")
			if a.status != 200 || a.field("results.es") != true {
				t.Errorf("export = %v", a)
			}
		})
	}
	wg.Wait()
	if a := r.want(200, "GET", "/statistics", ""); a.field("sent_events") != 1.0 || es.Events() != 1 {
		t.Errorf("statistics = %v, %d arrived", a, es.Events())
	}
}

// TestAnExportIsDoneOnceOverACrash: only the first mark, which shares the event's fsync, is on disk.
func TestAnExportIsDoneOnceOverACrash(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	const body = `{"event_type":"alert","event_data":{"a":1}}`
	req := exportRequest{EventType: "alert", EventData: json.RawMessage(`{"a":1}`)}
	key := idempotency.Of("export", "token "+TokenName, "k")
	k, first, err := r.server.keys.Begin(t.Context(), key, idempotency.Of(req.EventType, "", string(req.EventData), ""))
	if err != nil || !first {
		t.Fatal(first, err)
	}
	stored, _, err := r.agent.Store(t.Context(), supervisor.Export{
		Event: []byte(`{"event_type":"alert","a":1}`), Patience: time.Second, Origin: k.Origin(),
		Mark: func(id string) *agent.Mark { return k.Mark(fmt.Appendf(nil, `{"event_id":%q}`, id)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	a := r.want(200, "POST", "/export", body, "Idempotency-Key", "k")
	if a.header.Get(replayHeader) != "true" || a.field("event_id") != stored.EventID {
		t.Errorf("after a crash = %v", a)
	}
	if a := r.want(200, "GET", "/status", ""); a.field("wal.next_seq") != nil && a.field("wal.next_seq") != float64(stored.Seq+1) {
		t.Errorf("status = %v", a)
	}
}

func TestAConnectionIsMadeOnce(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	const body = `{"name":"n","siem_type":"cef","endpoint":"siem.example.com","enabled":false,"enabled_event_types":["*"]}`
	first := r.want(201, "POST", "/connections", body, "Idempotency-Key", "k")
	id := first.field("connection_id").(string)
	r.want(200, "PUT", "/connections/"+id, `{"name":"renamed"}`)
	check := func() {
		t.Helper()
		a := r.want(201, "POST", "/connections", body, "Idempotency-Key", "k")
		if a.header.Get(replayHeader) != "true" || a.field("connection_id") != id || a.field("name") != "renamed" || a.header.Get("Location") != prefix+"/connections/"+id {
			t.Errorf("sent again = %v", a)
		}
	}
	check()
	r.stop()
	r.start()
	check()
	r.want(422, "POST", "/connections", strings.Replace(body, `"n"`, `"m"`, 1), "Idempotency-Key", "k")
	if a := r.want(201, "POST", "/connections", body, "Idempotency-Key", "k2"); a.field("connection_id") == id {
		t.Errorf("another key = %v", a)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if a := r.call("POST", "/connections", body, "Idempotency-Key", "many"); a.status != 201 {
				t.Errorf("POST = %v", a)
			}
		})
	}
	wg.Wait()
	var list []json.RawMessage
	if err := json.Unmarshal(r.want(200, "GET", "/connections", "").body, &list); err != nil || len(list) != 3 {
		t.Errorf("%d connections, want 3", len(list))
	}
	r.server.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	if a := r.want(201, "POST", "/connections", body, "Idempotency-Key", "k"); a.field("connection_id") == id {
		t.Errorf("a day later = %v", a)
	}
}
