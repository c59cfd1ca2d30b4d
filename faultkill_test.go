package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// Killed again and again among receivers that misbehave, siemd ends with every
// event in one state: bad ones in the failed store, once, all others at their
// receivers, and nothing is counted twice. Syslog is not among them: what its
// receiver had not read when both ends broke at the same time is gone.
func TestKilledAmongFaults(t *testing.T) {
	t.Parallel()
	cases := []faultCase{
		{name: "splunk-item", kind: "splunk", fault: "item=400:match=POISON-,slow=2ms"},
		{name: "splunk-code", kind: "splunk", fault: "hec=13:match=POISON-,slow=2ms"},
		{name: "elastic-item", kind: "elastic", fault: "item=400:match=POISON-,item=429:10%,slow=2ms"},
		{name: "http-status", kind: "http", fault: "422:match=POISON-,slow=2ms"},
		{name: "http-413", kind: "http", fault: "413:over=4KB,slow=2ms"},
		{name: "splunk-flaky", kind: "splunk", fault: "503:20%,reset_before:10%,reset_after:5%,slow=2ms"},
		{name: "elastic-flaky", kind: "elastic", fault: "429:20%,short:10%,html:taken:5%,slow=2ms"},
	}
	receivers, outputs := startFaults(t, cases)
	b := startBench(t, outputs)
	const rounds, perRound = 5, 120
	var ids, bad []string
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		g := plugintest.NewGenerator(uint64(round))
		g.Prefix = fmt.Sprintf("R%d-", round)
		for i := range perRound / 10 {
			var lines []byte
			for range 10 {
				ids = append(ids, g.ID(g.Count()))
				lines = g.Append(lines)
			}
			if i%3 == 1 {
				id := fmt.Sprintf("POISON-%d-%d", round, i)
				lines = fmt.Appendf(lines, `{"event_id":%q,"event_type":"alert","title":%q}`+"\n", id, strings.Repeat("disliked ", 600))
				bad = append(bad, id)
			}
			if err := b.post(lines); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond) // so that the kill finds it in different states
		}
		if round < rounds-1 {
			b.kill()
			b.restart()
		}
	}
	slices.Sort(bad)
	w := startWatch(t, b)
	all := len(ids) + len(bad)
	for _, c := range cases {
		c.answer = ""
		want := append(slices.Clone(ids), bad...)
		if !strings.Contains(c.name, "flaky") {
			c.refused = bad
			want = ids
		}
		c.status = map[string]int{"http-status": 422, "http-413": 413}[c.name]
		if c.status == 0 {
			c.status = 400
		}
		at, err := w.await(faultPatience, c.name, "nothing is pending", func(c connection) bool { return c.Pending == 0 })
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, b.log("="+c.name+" "))
			continue
		}
		if (at.figures() != figures{Sent: all - len(c.refused), Failed: len(c.refused)}) {
			t.Errorf("%s ended with %+v, want %d failed of %d", c.name, at, len(c.refused), all)
		}
		if err := c.checkFailed(b); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.repeats = anyTimes; c.kind == "elastic" {
			c.repeats = span{}
		}
		c.repeats.from = 0
		if err := c.checkTaken(receivers[c.name], want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	if n, err := b.metric("siemd_unaccounted_events"); err != nil || n != 0 {
		t.Errorf("siemd_unaccounted_events is %v, %v", n, err)
	}
	w.stop()
	b.stop()
}
