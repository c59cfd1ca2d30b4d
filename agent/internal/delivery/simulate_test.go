package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// TestSimulation lets everything go wrong in any order, over crashes and
// restarts, and then adds up: every event is in exactly one state.
// SIEMD_SEEDS=n runs n seeds ("make seeds": thousands), SIEMD_SEED=n only that one.
func TestSimulation(t *testing.T) {
	first, n := uint64(1), uint64(60)
	if testing.Short() {
		n = 15
	}
	if os.Getenv("SIEMD_TORTURE") != "" {
		n = 5000
	}
	if k, err := strconv.ParseUint(os.Getenv("SIEMD_SEEDS"), 10, 64); err == nil {
		n = k
	}
	if k, err := strconv.ParseUint(os.Getenv("SIEMD_SEED"), 10, 64); err == nil {
		first, n = k, 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSimulation(t, seed).run() })
		})
	}
}

// A simulation is one life of an output.
type simulation struct {
	*bench
	t       *testing.T
	rng     *rand.Rand
	target  *rand.Rand        // the fake's, guarded by its lock like what it uses
	n       int               // events so far
	kinds   map[uint64]string // by sequence number
	want    wal.Counts        // if bad ones stay bad
	bad     uint64
	mode    int     // how the target refuses bad events
	trouble float64 // how often it has trouble of its own
	mended  bool    // it takes bad events
	repeats bool    // events may be taken twice
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{bench: newBench(t), t: t, rng: rand.New(rand.NewPCG(seed, 1)), target: rand.New(rand.NewPCG(seed, 2)), kinds: map[uint64]string{}}
	s.mode = s.rng.IntN(5)
	s.trouble = []float64{0, 0.1, 0.5, 0.9}[s.rng.IntN(4)]
	c := &s.cfg
	c.Concurrency = []Concurrency{0, 1, 3}[s.rng.IntN(3)]
	c.Batch.MaxEvents = 1 + s.rng.IntN(30)
	c.Batch.MaxBytes = agent.Bytes(1<<10 + s.rng.IntN(4<<10))
	c.Filter.EventTypes = []string{"good", "bad", "unsendable"}
	if s.rng.IntN(4) == 0 {
		c.RateLimit.Events = 200
	}
	s.opts = func(o *Options) { o.MaxBytes = int64(1<<10 + s.rng.IntN(16<<10)) }
	s.fake.delay = time.Duration(s.rng.IntN(100)) * time.Millisecond
	s.fake.set(s.answer)
	if s.rng.IntN(2) == 0 {
		s.out = &simEncoder{s.fake}
	}
	return s
}

// simEncoder cannot encode events of one type.
type simEncoder struct{ *fakeOutput }

func (*simEncoder) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	if string(e.Type) == "unsendable" {
		return dst, errors.New("unsendable")
	}
	return append(dst, e.Body...), nil
}

func (s *simulation) chance(p float64) bool { return s.rng.Float64() < p }

// answer is called with the fake's lock held, so by one goroutine at a time.
func (s *simulation) answer(events []agent.Event) error {
	if s.target.Float64() < s.trouble {
		switch s.target.IntN(8) {
		case 0:
			return errors.New("refused")
		case 1:
			return agent.Blocked(errors.New("401"))
		case 2:
			return agent.After(time.Duration(s.target.IntN(3))*time.Second, errors.New("429"))
		case 3:
			return fmt.Errorf("post: %w", context.DeadlineExceeded)
		case 4:
			s.repeats = true // taken, but the answer was lost
			for _, e := range events {
				if string(e.Type) == "good" {
					s.note(e)
				}
			}
			return errors.New("reset")
		case 5:
			panic("boom")
		default: // some of them, another time
			var failed []agent.EventError
			for i, e := range events {
				switch {
				case s.isBad(e):
					failed = append(failed, agent.EventError{Index: i, Err: agent.Permanent(errSaid)})
				case s.target.Float64() < 0.3:
					failed = append(failed, agent.EventError{Index: i, Err: agent.After(time.Second, errors.New("429"))})
				}
			}
			return &agent.PartialError{Failed: failed}
		}
	}
	bad := func(err error) error {
		for _, e := range events {
			if s.isBad(e) {
				return err
			}
		}
		return nil
	}
	switch s.mode {
	case 0:
		return bad(agent.Permanent(errSaid))
	case 1:
		return bad(agent.TooLarge(errSaid))
	case 2:
		return bad(agent.Suspect(errSaid))
	case 3:
		return typedIf(events, s.isBad, agent.Suspect(errSaid))
	}
	return typedIf(events, s.isBad, agent.Permanent(errSaid))
}

func (s *simulation) isBad(e agent.Event) bool {
	return !s.mended && string(e.Type) != "good"
}

func typedIf(events []agent.Event, bad func(agent.Event) bool, err error) error {
	var failed []agent.EventError
	for i, e := range events {
		if bad(e) {
			failed = append(failed, agent.EventError{Index: i, Err: err})
		}
	}
	if failed == nil {
		return nil
	}
	return &agent.PartialError{Failed: failed}
}

func (s *simulation) note(e agent.Event) {
	if s.fake.taken == nil {
		s.fake.taken = map[string]int{}
	}
	s.fake.taken[string(e.ID)]++
}

func (s *simulation) put(kinds ...string) {
	var list []agent.Event
	for _, k := range kinds {
		list = append(list, event(s.n, k))
		s.n++
		switch k {
		case "good":
			s.want.Sent++
		case "bad", "unsendable":
			s.bad++
		case "other":
			s.want.Filtered++
		}
	}
	first := s.log.put(nil, list...)
	for i, k := range kinds {
		s.kinds[first+uint64(i)] = k
	}
}

func (s *simulation) run() {
	s.start()
	for range 10 + s.rng.IntN(40) {
		s.step()
		if s.stop == nil {
			s.start()
		}
	}
	// All is well in the end, and there is traffic to show it.
	s.fake.mu.Lock()
	s.trouble = 0
	s.fake.mu.Unlock()
	for i := 0; s.runner.Pending() > 0 || i < 3; i++ {
		s.put("good")
		time.Sleep(time.Minute)
		synctest.Wait()
		if i > 3000 {
			s.t.Fatalf("%d events are still pending: %+v", s.runner.Pending(), s.runner.Health())
		}
	}
	s.settle()
}
