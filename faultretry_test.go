package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// Killed again and again while 'siemd failed retry' is under way, the agent
// has each failed event in its store or has delivered it, and of what it
// delivered at most the batch in flight is in the store nevertheless, to be sent once more.
func TestKilledWhileFailedEventsAreRetried(t *testing.T) {
	t.Parallel()
	const failed, batch, most = 120, 10, 8
	r := startReceiver(t, "splunk", plugintest.Options{Token: "T0K"})
	if err := r.SetFault("item=400:match=BAD-"); err != nil {
		t.Fatal(err)
	}
	b := startBench(t, fmt.Sprintf("outputs:\n  splunk: {type: splunk, endpoint: %q, token: T0K, batch: {max_events: %d, max_wait: 20ms}, retry: {initial: 20ms, max: 50ms}}\n", r.URL(), batch))
	g := plugintest.NewGenerator(1)
	var lines []byte
	var ids []string
	for i := range failed {
		lines = g.Append(lines) // one that is taken, so that not all are refused
		ids = append(ids, fmt.Sprintf("BAD-%d", i))
		lines = fmt.Appendf(lines, `{"event_id":%q,"event_type":"alert","title":"disliked"}`+"\n", ids[i])
	}
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	eventually(t, faultPatience, "the bad events are in the failed store", func() bool {
		c, err := b.connections()
		return err == nil && c["splunk"].Failed == failed && c["splunk"].Pending == 0
	})

	b.stop() // which saves how far it is: a kill alone would have a second's deliveries sent again
	b.restart()
	if err := r.SetFault("slow=20ms"); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	kills, taken := 0, 0
	for ; kills < most && taken < failed; kills++ {
		cmd := siemd("failed", "retry", "-c", b.conf(), "--connection", "splunk")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		enough := min(taken+1+random.IntN(2*batch), failed)
		eventually(t, faultPatience, "some are sent", func() bool { taken = seenOf(r, ids); return taken >= enough })
		time.Sleep(time.Duration(random.IntN(25)) * time.Millisecond) // so that the kill finds it in different states
		b.kill()
		if err := cmd.Wait(); err == nil && seenOf(r, ids) < failed {
			t.Error("retry ended well though the agent was killed")
		}
		kept := map[string]bool{}
		entries, err := b.failed("splunk")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if kept[e.EventID] {
				t.Errorf("%s is in the store twice", e.EventID)
			}
			kept[e.EventID] = true
		}
		both := 0
		for _, id := range ids {
			switch seen := r.Seen(id) > 0; {
			case seen && kept[id]:
				both++
			case !seen && !kept[id]:
				t.Errorf("after kill %d %s is lost", kills, id)
			}
		}
		if both > batch {
			t.Errorf("after kill %d %d events that were sent are in the store, a batch has %d", kills, both, batch)
		}
		b.restart()
	}
	if kills < 3 {
		t.Errorf("only %d kills before all was sent", kills)
	}

	out, diag, code := runSiemd(t, "", "failed", "retry", "-c", b.conf(), "--connection", "splunk")
	if code != 0 {
		t.Errorf("the last retry ended with %d: %s%s", code, out, diag)
	}
	if left, err := b.failed("splunk"); err != nil || len(left) != 0 {
		t.Errorf("%d events are left in the store, %v", len(left), err)
	}
	repeats := 0
	for _, id := range ids {
		if n := r.Seen(id); n == 0 {
			t.Errorf("%s never arrived", id)
		} else {
			repeats += n - 1
		}
	}
	if repeats > kills*batch {
		t.Errorf("%d events were repeated by %d kills", repeats, kills)
	}
	c, err := b.connections()
	if err != nil || c["splunk"].figures() != (figures{Sent: 2 * failed}) || c["splunk"].Unaccounted != 0 {
		t.Errorf("in the end %+v, %v", c["splunk"], err)
	}
	b.stop()
}

// seenOf is how many of the events the receiver has.
func seenOf(r *plugintest.Receiver, ids []string) (n int) {
	for _, id := range ids {
		if r.Seen(id) > 0 {
			n++
		}
	}
	return n
}
