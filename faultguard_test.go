package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// One bad event is poison; all events bad is a mistake of ours. After a
// hundred refusals in a row the rest is held.
func TestEverythingRefused(t *testing.T) {
	t.Parallel()
	cases := []faultCase{
		{name: "splunk", kind: "splunk", fault: "item=400"},
		{name: "splunk-unnumbered", kind: "splunk", fault: "hec=6"},
		{name: "elastic", kind: "elastic", fault: "item=400"},
		{name: "http", kind: "http", fault: "400"},
		{name: "http-413", kind: "http", fault: "413"},
	}
	receivers, outputs := startFaults(t, cases)
	b := startBench(t, outputs)
	w := startWatch(t, b)
	lines, ids := faultStream()
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	const guard = 100
	for _, c := range cases {
		at, err := w.await(faultPatience, c.name, "it is held", func(s connection) bool {
			return s.Health == "failed" && strings.Contains(s.LastError, "refused in a row")
		})
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, b.log("="+c.name+" "))
		}
		// It goes on trying, and nothing more is refused.
		// Also those count as failed that were refused behind one that is held; on a slow disk some are still being stored.
		want := figures{Failed: guard, Pending: faultEvents - guard}
		if at, err = w.await(faultPatience, c.name, "further tries, and a hundred stored", func(s connection) bool {
			return s.Failures > at.Failures+5 && s.figures() == want
		}); err != nil {
			t.Fatalf("%s has %+v, want %+v: %v", c.name, at, want, err)
		}
		if entries, err := b.failed(c.name); err != nil || len(entries) != guard {
			t.Errorf("%s: the failed store has %d entries, %v", c.name, len(entries), err)
		}
	}
	for _, c := range cases {
		r := receivers[c.name]
		if err := r.SetFault(""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.await(faultPatience, c.name, "the rest is sent", func(s connection) bool {
			return s.figures() == figures{Sent: faultEvents - guard, Failed: guard}
		}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := c.retry(b, w, r, ids); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}

// A 500 may be about the events or about the server. It is held against the
// events only if the target takes others meanwhile, so that an outage costs
// nothing; where nothing else flows they wait.
func TestSuspectsNeedTheProofOfOthers(t *testing.T) {
	t.Parallel()
	cases := []faultCase{
		{name: "splunk", kind: "splunk", fault: "500:match=POISON-"},
		{name: "elastic", kind: "elastic", fault: "500:match=POISON-"},
		{name: "elastic-item", kind: "elastic", fault: "item=500:match=POISON-"},
		{name: "http", kind: "http", fault: "500:match=POISON-"},
	}
	receivers, outputs := startFaults(t, cases)
	b := startBench(t, outputs)
	w := startWatch(t, b)
	// Alone, the disliked one waits.
	stream, ids := faultStream()
	only, rest := stream[:strings.IndexByte(string(stream), '\n')+1], stream[strings.IndexByte(string(stream), '\n')+1:]
	if err := b.post(only); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		at, err := w.await(faultPatience, c.name, "some failures", func(s connection) bool { return s.Failures > 5 })
		if err != nil || at.figures() != (figures{Pending: 1}) {
			t.Errorf("%s has %+v, %v", c.name, at, err)
		}
	}
	if err := b.post(rest); err != nil {
		t.Fatal(err)
	}
	g := plugintest.NewGenerator(5)
	g.Prefix = "MORE-"
	for _, c := range cases {
		// Others go on flowing, until these are known to be bad.
		_, err := w.await(faultPatience, c.name, "the disliked ones are refused", func(s connection) bool {
			if s.Failed == len(poison) && s.Pending == 0 {
				return true
			}
			ids = append(ids, g.ID(g.Count()))
			if err := b.post(g.Append(nil)); err != nil {
				t.Error(err)
			}
			return false
		})
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, b.log("="+c.name+" "))
		}
	}
	for _, c := range cases {
		if _, err := w.await(faultPatience, c.name, "all is settled", func(s connection) bool {
			return s.figures() == figures{Sent: len(ids) - len(poison), Failed: len(poison)}
		}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		c.refused, c.status = poison, 500
		if err := c.checkFailed(b); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		entries, err := b.failed(c.name)
		for _, e := range entries {
			if e.Attempts < 3 {
				err = fmt.Errorf("%s was given up after %d attempts", e.EventID, e.Attempts)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := c.checkTaken(receivers[c.name], without(ids, poison)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
}
