package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// With two endpoints the one that fails is left alone, whatever it does, and
// each event arrives at one of them.
func TestFailover(t *testing.T) {
	t.Parallel()
	type pair struct{ bad, good *plugintest.Receiver }
	pairs := map[string]pair{}
	var outputs strings.Builder
	outputs.WriteString("outputs:\n")
	for kind, faults := range map[string][]string{
		"splunk": {"refuse", "reset_before", "503", "401", "html", "hec=9", "429:retry_after=60"}, "elastic": {"refuse", "404", "502", "huge:n=1"}, "http": {"403", "504"},
		"syslog": {"refuse"}, "cef": {"refuse"},
	} {
		for i, fault := range faults {
			name := fmt.Sprintf("%s-%d", kind, i)
			p := pair{startReceiver(t, kind, plugintest.Options{Fault: fault}), startReceiver(t, kind, plugintest.Options{})}
			pairs[name] = p
			fmt.Fprintf(&outputs, "  %s: {type: %s, endpoint: [%q, %q], batch: {max_events: %d, max_wait: 20ms}", name, kind, p.bad.URL(), p.good.URL(), faultBatch)
			if kind == "splunk" {
				outputs.WriteString(", token: T0K")
			}
			outputs.WriteString("}\n")
		}
	}
	b := startBench(t, outputs.String())
	w := startWatch(t, b)
	lines, ids := faultStream()
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	for name, p := range pairs {
		if _, err := w.await(20*time.Second, name, "all is sent", func(c connection) bool { return c.figures() == figures{Sent: len(ids)} }); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.log("="+name+" "))
			continue
		}
		eventually(t, 20*time.Second, name+" has read everything", func() bool { return p.bad.Stats().Distinct+p.good.Stats().Distinct >= int64(len(ids)) })
		for _, id := range ids {
			if n := p.bad.Seen(id) + p.good.Seen(id); n != 1 {
				t.Errorf("%s: %s arrived %d times", name, id, n)
				break
			}
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}

// concurrency: 1 keeps the order, also through failures; what is too old or
// too far behind expires and is counted; a limited rate is kept.
func TestOrderExpiryAndRate(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	ordered := startReceiver(t, "splunk", plugintest.Options{
		Fault: "503:20%,reset_before:10%,500:10%,429:10%",
		OnEvent: func(e plugintest.Received) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, e.ID)
		},
	})
	var last time.Time
	paced := startReceiver(t, "http", plugintest.Options{OnEvent: func(plugintest.Received) {
		mu.Lock()
		defer mu.Unlock()
		last = time.Now()
	}})
	old := startReceiver(t, "elastic", plugintest.Options{Fault: "503"})
	far := startReceiver(t, "http", plugintest.Options{Fault: "503"})
	b := startBench(t, fmt.Sprintf(`outputs:
  ordered: {type: splunk, endpoint: %q, token: x, concurrency: 1, batch: {max_events: 7, max_wait: 10ms}, retry: {initial: 5ms, max: 20ms}}
  paced: {type: http, endpoint: %q, rate_limit: {events: 200}, batch: {max_events: 50, max_wait: 10ms}}
  old: {type: elastic, endpoint: %q, max_age: 500ms, %[5]s}
  far: {type: http, endpoint: %[4]q, max_lag: 50KB, %[5]s}
`, ordered.URL(), paced.URL(), old.URL(), far.URL(), quick))
	w := startWatch(t, b)
	lines, ids := generate(3, "O-", 400)
	began := time.Now() // not when the first one arrives: that may be noticed late
	for chunk := range chunks(lines, 20) {
		if err := b.post(chunk); err != nil {
			t.Fatal(err)
		}
	}
	all := len(ids)
	wait := func(name, what string, ok func(connection) bool) {
		t.Helper()
		if _, err := w.await(30*time.Second, name, what, ok); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.log("="+name+" "))
		}
	}
	wait("ordered", "all is sent", func(c connection) bool { return c.figures() == figures{Sent: all} })
	mu.Lock()
	if !slices.Equal(order, ids) {
		for i := range min(len(order), len(ids)) {
			if order[i] != ids[i] {
				t.Errorf("event %d of %d to arrive is %s, want %s", i, len(order), order[i], ids[i])
				break
			}
		}
	}
	mu.Unlock()
	wait("old", "all has expired", func(c connection) bool { return c.figures() == figures{Expired: all} })
	wait("far", "most has expired", func(c connection) bool { return c.Expired > all/4 && c.Pending > 0 && c.Expired+c.Pending == all })
	if err := far.SetFault(""); err != nil {
		t.Fatal(err)
	}
	wait("far", "the rest is sent", func(c connection) bool { return c.Pending == 0 && c.Sent > 0 && c.Sent+c.Expired == all })
	wait("paced", "all is sent", func(c connection) bool { return c.figures() == figures{Sent: all} })
	mu.Lock()
	// 400 events, of which a burst of 50 to begin with, at 200 a second.
	if took := last.Sub(began); took < 1500*time.Millisecond {
		t.Errorf("400 events at 200 a second took %v", took)
	}
	mu.Unlock()
	if n := old.Stats().Events; n != 0 {
		t.Errorf("%d expired events arrived", n)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}

// An answer of a GiB costs neither its memory nor an event, however often it comes.
func TestGigabyteAnswers(t *testing.T) {
	t.Parallel()
	cases := []faultCase{
		{name: "splunk", kind: "splunk", keys: "concurrency: 1", fault: "huge:n=5", says: "longer than"},
		{name: "elastic", kind: "elastic", keys: "concurrency: 1", fault: "huge:n=5", says: "longer than"},
		{name: "http", kind: "http", keys: "concurrency: 1", fault: "huge:taken:n=5"},
	}
	receivers, outputs := startFaults(t, cases)
	b := startBench(t, outputs)
	before := peakMemory(t, b.cmd.Process.Pid)
	w := startWatch(t, b)
	lines, ids := faultStream()
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if err := c.run(b, w, receivers[c.name], ids); err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, b.log("="+c.name+" "))
		}
		if receivers[c.name].Stats().Faults == 0 {
			t.Errorf("%s: the fault did not strike", c.name)
		}
	}
	// Half of one answer: the race detector multiplies what is used.
	grown := peakMemory(t, b.cmd.Process.Pid) - before
	if grown > 512<<20 {
		t.Errorf("the peak of memory grew by %d MiB", grown>>20)
	}
	t.Logf("the peak of memory grew by %d MiB", grown>>20)
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}

// peakMemory is the most that a process ever had in memory, in bytes; 0 where nobody tells.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("%v in %s", err, status)
	}
	return kib << 10
}
