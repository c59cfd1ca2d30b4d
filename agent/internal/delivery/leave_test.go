package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TestExchangesRepeatNothing: whatever is held when one runner follows another,
// and however often that happens, no event is taken twice.
func TestExchangesRepeatNothing(t *testing.T) {
	for seed := range uint64(15) {
		inBubble(t, fmt.Sprint("seed ", seed), func(t *testing.T, b *bench) {
			const total = 600
			r, pauses := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			b.cfg.Batch.MaxEvents = 1 + r.IntN(20)
			b.cfg.Filter.EventTypes = []string{"good", "bad"}
			moody := func(events []agent.Event) error {
				if r.IntN(3) == 0 {
					return errors.New("503")
				}
				var failed []agent.EventError
				for i, e := range events {
					switch {
					case string(e.ID) == "id-0", r.IntN(10) == 0:
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
			b.fake.set(moody)
			types := make([]string, total)
			for i := range total {
				types[i] = [...]string{"good", "good", "good", "good", "good", "good", "other", "bad"}[r.IntN(8)]
				b.log.put(nil, event(i, types[i]))
			}
			types[0] = "good" // and never taken until the end
			b.log.blocks[0].events[0].Type = []byte("good")
			for range 6 {
				b.start()
				within(time.Duration(pauses.IntN(8000)) * time.Millisecond)
				if err := b.stop(); err != nil {
					t.Fatal(err)
				}
				b.after = b.failed
			}
			b.fake.set(typed("bad", agent.Permanent(errSaid)))
			b.start()
			within(time.Hour)
			for i, typ := range types {
				want := 0
				if typ == "good" {
					want = 1
				}
				if got := b.fake.got(i); got != want {
					t.Errorf("event %d, which is %s, was taken %d times", i, typ, got)
				}
			}
			if l := b.runner.Ledger(); l.Pending != 0 || l.Unaccounted != 0 {
				t.Errorf("at the end: %+v", l)
			}
		})
	}
}
