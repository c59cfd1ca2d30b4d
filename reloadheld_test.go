package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// While one batch is held, those behind it are delivered. A reload that
// exchanges the output does not deliver them once more.
func TestReloadWhileABatchIsHeld(t *testing.T) {
	t.Parallel()
	c := faultCase{name: "held", kind: "splunk", keys: "concurrency: 4"}
	c.opts = plugintest.Options{Fault: "503:match=POISON-1"}
	c.fault = c.opts.Fault
	receivers, outputs := startFaults(t, []faultCase{c})
	b, r := startBench(t, outputs), receivers[c.name]
	w := startWatch(t, b)
	lines, ids := faultStream()
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	one := func(s connection) bool { return s.Accepted == faultEvents && s.Pending > 0 && s.Pending <= faultBatch }
	if _, err := w.await(faultPatience, c.name, "one batch is held", one); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(b.conf())
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []string{"concurrency: 3", "concurrency: 5"} {
		writeFile(t, b.conf(), strings.Replace(string(conf), c.keys, keys, 1))
		if stdout, stderr, code := runSiemd(t, "", "reload", "-c", b.conf()); code != 0 {
			t.Fatalf("reload: %d %s%s", code, stdout, stderr)
		}
		tried := r.Stats().Faults
		eventually(t, faultPatience, "the exchanged output tries", func() bool { return r.Stats().Faults > tried+1 })
	}
	if err := r.SetFault(""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.await(20*time.Second, c.name, "everything is sent", func(s connection) bool { return s.figures() == figures{Sent: faultEvents} }); err != nil {
		t.Fatal(err)
	}
	if err := c.checkTaken(r, ids); err != nil {
		t.Error(err)
	}
	if n, err := b.metric(`siemd_output_events_total{output="held",result="sent"}`); err != nil || n != faultEvents {
		t.Errorf("the metric counts %v sent, %v", n, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}
