package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

func TestFailedEventsAreListedSentAgainAndPurged(t *testing.T) {
	one := receiver(t, "splunk", plugintest.Options{Token: "x"})
	two := receiver(t, "elastic", plugintest.Options{})
	for _, m := range []*plugintest.Receiver{one, two} {
		if err := m.SetFault("item=400:match=bad"); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.SetFault("hec=6:match=bad"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf("outputs:\n  one: {type: splunk, endpoint: %q, token: x}\n  two: {type: elastic, endpoint: %q}\n", one.URL(), two.URL()))
	for i := range 5 {
		typ := "alert"
		if i == 4 {
			typ = "anomaly"
		}
		a := r.want(200, "POST", "/export", fmt.Sprintf(`{"event_type":%q,"event_source":"s","event_data":{"event_id":"e%d","note":"bad","severity":"high"}}`, typ, i))
		if a.field("results.two") != false || !strings.Contains(fmt.Sprint(a.field("details.two")), "failed") {
			t.Errorf("export = %v", a)
		}
	}
	st := r.want(200, "GET", "/statistics", "")
	if st.field("failed_events") != 10.0 || st.field("total_events") != 10.0 || st.field("connections.one.failed_events") != 5.0 {
		t.Errorf("statistics = %v", st)
	}

	// Page by page, over connections.
	seen := map[string]bool{}
	for path := "/failed?limit=3"; path != ""; {
		a := r.want(200, "GET", path, "")
		var p page[struct {
			ID           string          `json:"id"`
			ConnectionID string          `json:"connection_id"`
			Event        json.RawMessage `json:"event"`
		}]
		if err := json.Unmarshal(a.body, &p); err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Items {
			seen[e.ConnectionID+e.ID] = true
		}
		path = ""
		if p.Next != nil {
			path = "/failed?limit=3&cursor=" + url.QueryEscape(*p.Next)
		}
	}
	if len(seen) != 10 {
		t.Errorf("pages show %d entries: %v", len(seen), seen)
	}
	count := func(query string, want int) answer {
		t.Helper()
		a := r.want(200, "GET", "/failed"+query, "")
		if items, _ := a.field("items").([]any); len(items) != want {
			t.Errorf("failed%s = %v, want %d", query, a, want)
		}
		return a
	}
	a := count("?connection=two&event_type=anomaly", 1)
	if a.field("items.0.connection_id") != "two" || a.field("items.0.event_id") != "e4" || a.field("items.0.status") != 400.0 || a.field("items.0.event.note") != "bad" {
		t.Errorf("entry = %v", a)
	}
	count("?severity=critical", 0)
	count("?severity=high&match=NOTE", 10)
	count("?max_age_hours=0.5", 10)
	id := a.field("items.0.id").(string)
	if a := r.want(200, "GET", "/failed/two/"+id, ""); a.field("event_id") != "e4" {
		t.Errorf("one entry = %v", a)
	}
	if a := r.want(200, "GET", "/failed/export?event_type=anomaly", ""); strings.Count(string(a.body), "\n") != 2 || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("export = %v", a)
	}

	a = r.want(200, "POST", "/retry-failed?connection=two&id="+id, "")
	if fmt.Sprint(a.field("results")) != "map[two:[0 1]]" {
		t.Errorf("retry while it is refused = %v", a)
	}
	if err := two.SetFault(""); err != nil {
		t.Fatal(err)
	}
	r.want(400, "POST", "/retry-failed?limit=0", "")
	a = r.want(200, "POST", "/retry-failed?connection=two&limit=2", "")
	if fmt.Sprint(a.field("results")) != "map[two:[2 0]]" || two.Events() != 2 {
		t.Errorf("retry of two = %v, elastic has %d", a, two.Events())
	}
	a = r.want(200, "POST", "/retry-failed?max_age_hours=24&connection=two", "")
	if fmt.Sprint(a.field("results")) != "map[two:[3 0]]" || two.Events() != 5 {
		t.Errorf("retry = %v, elastic has %d", a, two.Events())
	}
	r.want(400, "POST", "/failed/purge", "")
	a = r.want(200, "DELETE", "/failed?connection=one&event_type=anomaly", "")
	if a.field("removed.one") != 1.0 {
		t.Errorf("purge = %v", a)
	}
	a = r.want(200, "POST", "/failed/purge?all=true", "")
	if a.field("removed.one") != 4.0 {
		t.Errorf("purge = %v", a)
	}
	st = r.want(200, "GET", "/statistics", "")
	if st.field("failed_events") != 0.0 || st.field("sent_events") != 5.0 || st.field("expired_events") != 5.0 {
		t.Errorf("statistics = %v", st)
	}
}

func TestFailedEventsOutliveTheirConnection(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	if err := es.SetFault("item=400"); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("outputs: {es: {type: elastic, endpoint: %q}}\n", es.URL())
	r := newRig(t, yaml)
	r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"f"}}`)
	for _, next := range []string{strings.Replace(yaml, "type:", "enabled: false, type:", 1), "outputs: {}\n"} {
		r.write(next)
		r.want(200, "POST", "/reload", "")
		if a := r.want(200, "GET", "/failed", ""); a.field("items.0.event_id") != "f" {
			t.Errorf("with %q: failed = %v", next, a)
		}
	}
	r.write(yaml)
	r.want(200, "POST", "/reload", "")
	r.want(409, "POST", "/orphans/es/purge", "")
	if err := es.SetFault(""); err != nil {
		t.Fatal(err)
	}
	if a := r.want(200, "POST", "/retry-failed", ""); fmt.Sprint(a.field("results.es")) != "[1 0]" {
		t.Errorf("retry after its return = %v", a)
	}
	r.write("outputs: {}\n")
	r.want(200, "POST", "/reload", "")
	r.want(200, "POST", "/orphans/es/purge", "")
	if a := r.want(200, "GET", "/status", ""); a.field("orphans") != nil {
		t.Errorf("orphans = %v", a.field("orphans"))
	}
}

func TestRefusedLines(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	if a := r.want(200, "GET", "/refused", ""); string(a.body) != `{"items":[],"next":null}`+"\n" {
		t.Errorf("refused = %v", a)
	}
}
