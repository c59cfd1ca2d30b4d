package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// holdFirst never takes the event with number 0, refuses bad ones and takes the others.
func holdFirst(events []agent.Event) error {
	var failed []agent.EventError
	for i, e := range events {
		switch {
		case string(e.ID) == "id-0":
			failed = append(failed, agent.EventError{Index: i, Err: agent.After(time.Second, errors.New("429"))})
		case string(e.Type) == "bad":
			failed = append(failed, agent.EventError{Index: i, Err: agent.Permanent(errSaid)})
		}
	}
	if failed == nil {
		return nil
	}
	return &agent.PartialError{Failed: failed}
}

// TestLedgerBehindAHeldEvent: while one event is held, those behind it that are
// finished count as what they became. When the runner is followed by another
// those that were sent are not sent again, and the counters tell of none twice.
func TestLedgerBehindAHeldEvent(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Filter.EventTypes = []string{"good", "bad"}
		b.fake.set(holdFirst)
		b.log.put(nil, event(0, "good"), event(1, "good"), event(2, "bad"), event(3, "bad"), event(4, "other"))
		b.log.put([]string{"else"}, event(5, "good"))
		b.log.put(nil, event(6, "good"))
		want := func(when string, sent, failed, pending uint64) {
			t.Helper()
			l := b.runner.Ledger()
			c := wal.Counts{Sent: sent, Failed: failed, Filtered: l.Counts.Filtered, Foreign: l.Counts.Foreign}
			if l.Counts != c || l.Pending != pending || l.Accepted != 6 || l.Unaccounted != 0 || l.Counts.Filtered != 1 {
				t.Errorf("%s: %+v, want %d sent, %d failed, 1 filtered, %d pending of 6", when, l, sent, failed, pending)
			}
			var out bytes.Buffer
			b.env.Metrics.WritePrometheus(&out)
			for _, line := range []string{
				fmt.Sprintf("siemd_output_pending_events{output=\"siem\"} %d\n", pending),
				"siemd_output_events_total{output=\"siem\",result=\"sent\"} 2\n",
				"siemd_output_events_total{output=\"siem\",result=\"failed\"} 2\n",
				"siemd_output_events_total{output=\"siem\",result=\"filtered\"} 1\n",
			} {
				if pending <= 1 && sent < 3 && failed == 2 && !strings.Contains(out.String(), line) {
					t.Errorf("%s: no %s in\n%s", when, line, out.String())
				}
			}
		}
		b.start()
		within(10 * time.Second)
		b.counts(wal.Counts{}) // the cursor waits for the first one
		want("held", 2, 2, 1)
		if sent, _, err := b.runner.ProcessPending(timeout(t, time.Second), 100); sent != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ProcessPending = %d, %v", sent, err)
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		b.after = b.failed
		b.start()
		within(10 * time.Second)
		want("in the next runner", 2, 2, 1)
		b.fake.set(nil)
		if sent, failed, err := b.runner.RetryFailed(timeout(t, time.Minute), FailedFilter{}); sent != 2 || failed != 0 || err != nil {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		want("sent again", 4+1, 0, 0)
		within(time.Minute)
		b.counts(wal.Counts{Sent: 5, Filtered: 1, Foreign: 1})
		want("at the end", 5, 0, 0)
		for _, n := range []int{0, 1, 2, 3, 6} {
			if got := b.fake.got(n); got != 1 {
				t.Errorf("event %d was taken %d times", n, got)
			}
		}
	})
}

// TestSingleBadOnes: on a quiet stream every event is a batch. However many bad
// ones follow each other, a good one behind them ends the guard.
func TestSingleBadOnes(t *testing.T) {
	for name, answer := range map[string]func([]agent.Event) error{
		"refused": whole("bad", agent.Permanent(errSaid)), "suspect": whole("bad", agent.Suspect(errSaid)),
	} {
		for _, n := range []Concurrency{0, 1} {
			inBubble(t, fmt.Sprintf("%s, concurrency %d", name, n), func(t *testing.T, b *bench) {
				b.cfg.Concurrency = n
				b.cfg.Batch.MaxWait = agent.Duration(time.Millisecond)
				b.fake.set(answer)
				b.start()
				for i := range 300 {
					b.log.put(nil, event(i, "bad"))
					within(10 * time.Second)
				}
				for i := range 1000 {
					b.log.put(nil, event(300+i, "good"))
					within(time.Minute)
				}
				within(time.Hour)
				b.counts(wal.Counts{Sent: 1000, Failed: 300})
			})
		}
	}
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
