package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTrials runs every scenario in small with the real programs: the harness
// itself must neither lose nor invent an event.
func TestTrials(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	bin := t.TempDir()
	for name, pkg := range map[string]string{"siemd": "..", "siemd-floor": "./floor"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Setenv("PATH", os.Getenv("PATH")) // as it was, afterwards
	t.Chdir(filepath.Dir(bin))
	if err := lookFirstIn(filepath.Base(bin)); err != nil {
		t.Fatal(err)
	}
	s := &settings{
		events: 20_000, rate: 2000, length: 2 * time.Second, idle: 20, patience: 30 * time.Second, work: t.TempDir(),
	}
	agents, err := pickAgents([]string{"floor", "siemd"})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct{ agent, target, scenario string }{
		{"floor", "hec", "bulk"},
		{"floor", "hec", "steady"},
		{"siemd", "hec", "bulk"},
		{"siemd", "elastic", "bulk"},
		{"siemd", "syslog", "bulk"},
		{"siemd", "hec", "kill"},
		{"siemd", "hec", "fanout"},
		{"siemd", "hec", "files"},
		{"siemd", "hec", "steady"},
		{"siemd", "hec", "outage"},
		{"siemd", "hec", "idle"},
	} {
		t.Run(strings.Join([]string{run.agent, run.target, run.scenario}, " "), func(t *testing.T) {
			i := slices.IndexFunc(agents, func(a agent) bool { return a.name == run.agent })
			r, err := s.trial(agents[i], run.target, run.scenario)
			if err != nil {
				t.Fatal(err)
			}
			if r.Lost != 0 || (r.Repeated != 0 && run.scenario != "kill" && run.scenario != "outage") {
				t.Errorf("%d lost, %d repeated", r.Lost, r.Repeated)
			}
			if run.scenario != "idle" && (r.Delivered == 0 || r.Rate == 0 || r.Requests == 0) {
				t.Errorf("a figure is missing: %+v", r)
			}
			if run.scenario == "steady" && (r.P50 <= 0 || r.P99 < r.P50) {
				t.Errorf("latency is missing: %+v", r)
			}
		})
	}
}

// TestConfigs makes the config of every agent for every target.
func TestConfigs(t *testing.T) {
	for _, a := range agents {
		if a.config == "" {
			continue
		}
		for _, target := range targetNames {
			dir := t.TempDir()
			argv, err := a.command(site{Dir: dir, State: dir, Input: dir + "/in", Target: target, Addrs: []string{"127.0.0.1:4321"}})
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(a.config, ".tmpl")))
			if err != nil || !bytes.Contains(b, []byte("4321")) || !slices.Contains(argv, filepath.Join(dir, strings.TrimSuffix(a.config, ".tmpl"))) {
				t.Errorf("%s to %s: %v\n%q\n%s", a.name, target, err, argv, b)
			}
		}
	}
}

func TestLedger(t *testing.T) {
	l := newLedger(100, false)
	body := []byte(`{"event":{"event_id":"SEQ-1000000007"}}{"event":{"event_id":"SEQ-1000000008","related":"SEQ-1000000008"}}` + "SEQ-1000000500 SEQ-10000")
	if last := l.take(body, -1); last != 8 || l.distinct.Load() != 2 || l.arrivals.Load() != 2 {
		t.Errorf("last %d, %d of %d arrivals are distinct", last, l.distinct.Load(), l.arrivals.Load())
	}
	l.take(body, -1)
	if l.distinct.Load() != 2 || l.arrivals.Load() != 4 {
		t.Errorf("after a repeat %d of %d arrivals are distinct", l.distinct.Load(), l.arrivals.Load())
	}
}

// TestPieces cuts a stream at every place: each event counts once all the same.
func TestPieces(t *testing.T) {
	stream := []byte(`91 <131>1 - h - - - [x eventId="SEQ-1000000001"] {"id":"SEQ-1000000001"} 12 SEQ-1000000002 rest of it`)
	for cut := range stream {
		l, before := newLedger(10, false), -1
		var kept []byte
		for _, piece := range [][]byte{stream[:cut], stream[cut:]} {
			all := append(kept, piece...)
			end := whole(all)
			before = l.take(all[:end], before)
			kept = bytes.Clone(all[end:])
		}
		if l.distinct.Load() != 2 || l.arrivals.Load() != 2 {
			t.Fatalf("cut at %d: %d of %d arrivals are distinct", cut, l.distinct.Load(), l.arrivals.Load())
		}
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	err := report(&out, []result{
		{Agent: "b", Mode: "disk", Target: "hec", Scenario: "bulk", Rate: 100, Repeated: 3},
		{Agent: "a", Mode: "fsync", Target: "hec", Scenario: "bulk", Rate: 300},
		{Agent: "a", Mode: "fsync", Target: "hec", Scenario: "bulk", Rate: 500},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### bulk, hec", "| b | disk | 1 | 100 |", "| a | fsync | 2 | 400 (300–500) |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestReportIntoADocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	old := "# Figures\n\n" + tablesBegin + "\n| stale |\n" + tablesEnd + "\nThe end.\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceTables(path, []result{{Agent: "a", Mode: "disk", Target: "hec", Scenario: "idle", RSS: 17}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); !strings.HasPrefix(text, "# Figures\n\n"+tablesBegin+"\n") || strings.Contains(text, "stale") ||
		!strings.Contains(text, "| a | disk | 1 | 0.0 | 17.0 | 0 |") || !strings.HasSuffix(text, tablesEnd+"\nThe end.\n") {
		t.Errorf("%s", text)
	}
}
