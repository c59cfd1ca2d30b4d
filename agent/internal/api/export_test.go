package api

import (
	"fmt"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

func TestExportIsDeliveredWithoutLinger(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: "x"})
	cef := receiver(t, "cef", plugintest.Options{})
	r := newRig(t, fmt.Sprintf(`
outputs:
  splunk: {type: splunk, endpoint: %q, token: x, batch: {max_wait: 10m}}
  cef: {type: cef, endpoint: %q, batch: {max_wait: 10m}, filter: {event_types: [alert]}}
  off: {type: splunk, endpoint: %q, token: x, enabled: false}
`, splunk.URL(), cef.Addr(), splunk.URL()))

	a := r.want(200, "POST", "/export", `{"event_type":"anomaly","event_source":"engine","event_data":{"event_id":"e1","severity":"high"}}`)
	if a.field("event_id") != "e1" || a.field("results.splunk") != true || a.field("results.cef") != nil || a.field("results.off") != nil {
		t.Errorf("export = %v", a)
	}
	if splunk.Seen("e1") != 1 || cef.Seen("e1") != 0 {
		t.Errorf("splunk saw %v, cef %v", splunk.IDs(), cef.IDs())
	}
	a = r.want(200, "POST", "/export?wait=3s", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"e2"},"connections":["cef","off"]}`)
	if a.field("results.cef") != true || a.field("results.off") != false || a.field("details.off") == nil || a.field("results.splunk") != nil {
		t.Errorf("export to named ones = %v", a)
	}
	if splunk.Seen("e2") != 0 {
		t.Error("an event for others came to splunk")
	}
	a = r.want(200, "POST", "/export", `{"event_type":"telemetry","event_source":"s","event_data":{"event_id":"e3"},"connections":["cef"]}`)
	if a.field("results.cef") != false || a.field("details.cef") == nil {
		t.Errorf("export of what the filter leaves out = %v", a)
	}
	eventually(t, "the other cursors have passed", func() bool {
		a = r.want(200, "GET", "/statistics", "")
		return a.field("pending_events") == 0.0
	})
	for path, want := range map[string]any{
		"total_events": 2.0, "sent_events": 2.0, "failed_events": 0.0, "pending_events": 0.0, "success_rate": 1.0, "active_connections": 2.0,
		"connections.splunk.sent_events": 1.0, "connections.cef.sent_events": 1.0, "connections.cef.filtered_events": 1.0 + 1,
		"connections.splunk.health_status": "healthy",
	} {
		if got := a.field(path); got != want {
			t.Errorf("statistics: %s = %v, want %v", path, got, want)
		}
	}
}

func TestExportRefusesWhatItDoesNotKnow(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	for name, body := range map[string]string{
		"type":        `{"event_type":"anomoly","event_source":"x","event_data":{}}`,
		"no type":     `{"event_source":"x","event_data":{}}`,
		"field":       `{"event_type":"alert","event_source":"x","event_data":{},"colour":"red"}`,
		"connection":  `{"event_type":"alert","event_source":"x","event_data":{},"connections":["nobody"]}`,
		"no data":     `{"event_type":"alert","event_source":"x"}`,
		"data":        `{"event_type":"alert","event_source":"x","event_data":[1]}`,
		"other type":  `{"event_type":"alert","event_source":"x","event_data":{"event_type":"anomaly"}}`,
		"not JSON":    `{"event_type":`,
		"two objects": `{"event_type":"alert","event_source":"x","event_data":{}} {}`,
	} {
		a := r.call("POST", "/export", body)
		if a.status != 400 || a.header.Get("Content-Type") != "application/problem+json" || a.field("status") != 400.0 {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := r.call("POST", "/export?wait=61s", `{"event_type":"alert","event_source":"x","event_data":{}}`); a.status != 400 {
		t.Errorf("a wait of 61s = %v", a)
	}
	a := r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"x","event_data":{}}`)
	if id, _ := a.field("event_id").(string); id == "" {
		t.Errorf("no event_id in %v", a)
	}
}

func TestPendingAndFailed(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: "x"})
	if err := splunk.SetFault("503"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, fmt.Sprintf("outputs: {splunk: {type: splunk, endpoint: %q, token: x, retry: {initial: 1h, max: 2h}}}\n", splunk.URL()))
	a := r.want(200, "POST", "/export?wait=200ms", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"p1"}}`)
	if a.field("results.splunk") != false || a.field("details.splunk") == nil {
		t.Errorf("export during an outage = %v", a)
	}
	a = r.want(200, "GET", "/health", "")
	if a.field("connections.splunk.healthy") != false || a.field("connections.splunk.status") != "degraded" || a.field("connections.splunk.last_error") == nil {
		t.Errorf("health = %v", a)
	}
	if err := splunk.SetFault(""); err != nil {
		t.Fatal(err)
	}
	a = r.want(200, "POST", "/process-pending?limit=1000", "")
	if fmt.Sprint(a.field("results.splunk")) != "[1 0]" {
		t.Errorf("process-pending = %v", a)
	}
	if splunk.Seen("p1") != 1 {
		t.Errorf("splunk saw %v", splunk.IDs())
	}
}
