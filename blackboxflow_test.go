package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// A connection that hangs does not change how another one gets its events.
func TestHangingNeighbour(t *testing.T) {
	t.Parallel()
	well := startReceiver(t, "splunk", plugintest.Options{Light: true})
	mute := startReceiver(t, "elastic", plugintest.Options{Light: true})
	liar := startReceiver(t, "http", plugintest.Options{Light: true})
	b := startBench(t, fmt.Sprintf(`outputs:
  well: {type: splunk, endpoint: %q, token: x, %[4]s}
  mute: {type: elastic, endpoint: %[2]q, timeout: 10m, %[4]s}
  liar: {type: http, endpoint: %[3]q, %[4]s}
`, well.URL(), mute.URL(), liar.URL(), quick))
	const n = 20_000
	deliver := func(seed uint64, prefix string, want int64) time.Duration {
		lines, _ := generate(seed, prefix, n)
		began := time.Now()
		for chunk := range chunks(lines, 1000) {
			if err := b.post(chunk); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 60*time.Second, "the healthy one has all", func() bool { return well.Stats().Distinct >= want })
		return time.Since(began)
	}
	alone := deliver(1, "A-", n)
	if err := mute.SetFault("hang"); err != nil {
		t.Fatal(err)
	}
	if err := liar.SetFault("html,503:50%"); err != nil {
		t.Fatal(err)
	}
	beside := deliver(2, "B-", 2*n)
	awaitFault(t, mute)
	// Both are short and the machine is shared: what is looked for is a wait, not a percentage.
	if beside > 4*alone+20*time.Second {
		t.Errorf("beside a hanging one it took %v, before %v", beside, alone)
	}
	// Also event by event.
	for i := range 10 {
		began := time.Now()
		line, _ := generate(uint64(10+i), fmt.Sprintf("ONE%d-", i), 1)
		if err := b.post(line); err != nil {
			t.Fatal(err)
		}
		eventually(t, 60*time.Second, "it arrives", func() bool { return well.Stats().Distinct >= int64(2*n+i+1) })
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("one event took %v beside a hanging connection", took)
		}
	}
	all, err := b.connections()
	if err != nil {
		t.Fatal(err)
	}
	if c := all["mute"]; c.Pending < n || c.Failed != 0 || c.Unaccounted != 0 {
		t.Errorf("the hanging one has %+v", c)
	}
	for _, r := range []*plugintest.Receiver{mute, liar} {
		if err := r.SetFault("refuse"); err != nil { // what hangs is cut
			t.Fatal(err)
		}
		if err := r.SetFault(""); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]*plugintest.Receiver{"well": well, "mute": mute, "liar": liar} {
		eventually(t, 60*time.Second, name+" has all", func() bool { return r.Stats().Distinct >= 2*n+10 })
		if s := r.Stats(); s.Repeats != 0 || s.Distinct != 2*n+10 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	b.stop()
}

// severities from the least to the worst.
var severities = []string{"informational", "low", "medium", "high", "critical"}

func TestFilters(t *testing.T) {
	t.Parallel()
	lines, _ := generate(7, "F-", 700)
	lines = append(lines, `{"event_id":"F-bare"}
{"event_id":"F-bare-alert","event_type":"alert"}
{"event_id":"F-other","event_type":"custom","severity":"critical"}
{"event_id":"F-own-first","event_type":"anomaly","severity":"low","anomaly":{"severity":"critical"}}
`...)
	type event struct {
		ID       string `json:"event_id"`
		Type     string `json:"event_type"`
		Severity string `json:"severity"`
		Anomaly  struct {
			Severity string `json:"severity"`
		} `json:"anomaly"`
		Risk struct {
			Level string `json:"level"`
		} `json:"risk"`
	}
	var events []event
	for chunk := range chunks(lines, 1) {
		var e event
		if err := json.Unmarshal(chunk, &e); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{e.Anomaly.Severity, e.Risk.Level} {
			if e.Severity == "" {
				e.Severity = s
			}
		}
		if e.Severity == "" {
			e.Severity = "informational"
		}
		events = append(events, e)
	}
	filters := []struct {
		name  string
		types []string
		least string
	}{
		{"all", nil, ""},
		{"types", []string{"anomaly", "alert"}, ""},
		{"custom", []string{"custom"}, ""},
		{"informational", nil, "informational"},
		{"high", nil, "high"},
		{"both", []string{"anomaly", "risk_assessment", "security_event"}, "medium"},
		{"nothing", []string{"no_such_type"}, ""},
	}
	kinds := []string{"splunk", "elastic", "syslog", "cef", "http"}
	receivers := map[string]*plugintest.Receiver{}
	outputs := "outputs:\n"
	for i, f := range filters {
		kind := kinds[i%len(kinds)]
		r := startReceiver(t, kind, plugintest.Options{})
		receivers[f.name] = r
		outputs += fmt.Sprintf("  %s: {type: %s, endpoint: %q, %s, filter: {", f.name, kind, r.URL(), quick)
		if f.types != nil {
			text, _ := json.Marshal(f.types)
			outputs += "event_types: " + string(text) + ", "
		}
		if f.least != "" {
			outputs += "min_severity: " + f.least
		}
		outputs += "}"
		if kind == "splunk" {
			outputs += ", token: x"
		}
		outputs += "}\n"
	}
	b := startBench(t, outputs)
	w := startWatch(t, b)
	for chunk := range chunks(lines, 50) {
		if err := b.post(chunk); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range filters {
		var want []string
		for _, e := range events {
			typed := f.types == nil || slices.Contains(f.types, e.Type)
			severe := f.least == "" || slices.Index(severities, e.Severity) >= slices.Index(severities, f.least)
			if typed && severe {
				want = append(want, e.ID)
			}
		}
		if _, err := w.await(20*time.Second, f.name, "all is settled", func(c connection) bool {
			return c.figures() == figures{Sent: len(want), Filtered: len(events) - len(want)}
		}); err != nil {
			t.Errorf("%s: want %d sent: %v", f.name, len(want), err)
			continue
		}
		r := receivers[f.name]
		eventually(t, 20*time.Second, f.name+" has read everything", func() bool { return r.Stats().Distinct >= int64(len(want)) })
		if n, err := repeats(r, want); n != 0 || err != nil {
			t.Errorf("%s: %d events came again, %v", f.name, n, err)
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}
