package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// tapLines opens a tap and gives its events, "name data", one by one.
func (r *rig) tapLines(query string) (next func() string, stop func()) {
	r.t.Helper()
	req, err := http.NewRequest("GET", r.base+prefix+"/tap?"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+readToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		data, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("tap = %d %s", resp.StatusCode, data)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func() string {
		name := ""
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				name = strings.TrimPrefix(line, "event: ")
			case strings.HasPrefix(line, "data: "):
				return name + " " + strings.TrimPrefix(line, "data: ")
			}
		}
		return "closed"
	}, func() { resp.Body.Close() }
}

func TestTapShowsWhatFlows(t *testing.T) {
	cef := receiver(t, "cef", plugintest.Options{})
	r := newRig(t, fmt.Sprintf("outputs: {cef: {type: cef, endpoint: %q, filter: {event_types: [alert]}}}\n", cef.Addr()))
	send := func(typ, id, severity string) {
		t.Helper()
		r.want(200, "POST", "/export?wait=0s", fmt.Sprintf(`{"event_type":%q,"event_source":"<img src=x>","event_data":{"event_id":%q,"severity":%q}}`, typ, id, severity))
	}
	send("alert", "before", "high")
	all, stopAll := r.tapLines("limit=3")
	defer stopAll()
	one, stopOne := r.tapLines("connection=cef&severity=high&match=WANTED&limit=1")
	defer stopOne()
	send("anomaly", "a1", "low")
	send("alert", "other", "high")
	send("alert", "wanted", "low")
	send("alert", "wanted-high", "critical")
	for _, want := range []string{"a1", "other", "wanted"} {
		kind, data, _ := strings.Cut(all(), " ")
		var e tapped
		if err := json.Unmarshal([]byte(data), &e); err != nil || kind != "event" || e.EventID != want || e.Input != "api" || e.Rendered != "" {
			t.Errorf("tap shows %s %s, want %s", kind, data, want)
		}
	}
	if end := all(); end != `end {"reason":"limit"}` {
		t.Errorf("tap ends with %s", end)
	}
	kind, data, _ := strings.Cut(one(), " ")
	var e tapped
	if err := json.Unmarshal([]byte(data), &e); err != nil || kind != "event" || e.EventID != "wanted-high" || !strings.Contains(e.Rendered, "CEF:0|") {
		t.Errorf("tap of a connection shows %s %s", kind, data)
	}
	if o := r.want(200, "GET", "/status", ""); o.field("orphans") != nil {
		t.Errorf("a tap has left %v", o.field("orphans"))
	}
	r.want(404, "GET", "/tap?connection=nobody", "")
	r.want(400, "GET", "/tap?severity=x", "")
}

func TestTapsAreFewAndEndWithTheAgent(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	var next func() string
	for range maxTaps {
		n, stop := r.tapLines("rate=5")
		defer stop()
		next = n
	}
	r.want(503, "GET", "/tap", "")
	for i := range 20 {
		r.want(200, "POST", "/export?wait=0s", fmt.Sprintf(`{"event_type":"alert","event_source":"s","event_data":{"event_id":"%d"}}`, i))
	}
	for range 5 {
		if line := next(); !strings.HasPrefix(line, "event ") {
			t.Errorf("tap shows %s", line)
		}
	}
	r.stop()
	for line := next(); line != "closed"; line = next() {
		if strings.HasPrefix(line, "event ") && strings.Contains(line, `"event_id":"19"`) {
			t.Log("all within the rate: the clock went on")
		}
	}
}
