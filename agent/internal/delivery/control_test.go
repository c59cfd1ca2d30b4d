package delivery

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func TestDrain(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxWait = agent.Duration(time.Hour)
		b.cfg.Filter.EventTypes = []string{"good"}
		b.fake.slow(time.Second)
		b.log.put(nil, events(0, 100, "good")...)
		b.log.put(nil, events(100, 100, "other")...)
		b.start()
		begin := time.Now()
		if err := b.runner.Drain(t.Context()); err != nil || time.Since(begin) != time.Second {
			t.Errorf("Drain = %v after %v", err, time.Since(begin))
		}
		b.counts(wal.Counts{Sent: 100, Filtered: 100})
		if err := b.runner.Drain(t.Context()); err != nil { // nothing to do
			t.Errorf("Drain = %v", err)
		}
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(200, 10, "good")...)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := b.runner.Drain(ctx); err == nil || !strings.Contains(err.Error(), "10 events are left") {
			t.Errorf("Drain in an outage = %v", err)
		}
	})
}

func TestProcessPending(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxWait = agent.Duration(time.Hour)
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		b.log.put(nil, events(0, 9, "good")...)
		b.log.put(nil, event(9, "bad"))
		b.start()
		if sent, failed, err := b.runner.ProcessPending(t.Context(), 1000); sent != 9 || failed != 1 || err != nil {
			t.Errorf("ProcessPending = %d, %d, %v", sent, failed, err)
		}
		// It tries at once what is held back.
		var down atomic.Bool
		down.Store(true)
		b.fake.set(func([]agent.Event) error {
			if down.Load() {
				return agent.After(time.Hour, errors.New("quota"))
			}
			return nil
		})
		b.log.put(nil, events(10, 5, "good")...)
		b.runner.Flush()
		within(time.Minute)
		down.Store(false)
		if sent, failed, err := b.runner.ProcessPending(t.Context(), 1000); sent != 5 || failed != 0 || err != nil {
			t.Errorf("ProcessPending = %d, %d, %v", sent, failed, err)
		}
		b.counts(wal.Counts{Sent: 14, Failed: 1})
	})
}

// TestProcessPendingLimit: what is beyond the limit goes on waiting for others. Every third event is left
// out by the filter, or else by the encoder.
func TestProcessPendingLimit(t *testing.T) {
	for third, refused := range map[string]int{"other": 0, "bad": 1} {
		inBubble(t, third, func(t *testing.T, b *bench) {
			if refused > 0 {
				b.out = &fakeEncoder{b.fake}
			}
			b.cfg.Batch.MaxWait = agent.Duration(time.Hour)
			b.cfg.Filter.EventTypes = []string{"good", "bad"}
			for i := range 51 {
				b.log.put(nil, event(i, []string{"good", "good", third}[i%3]))
			}
			b.start()
			within(time.Second)
			f := func(limit, wantSent, thirds int) {
				t.Helper()
				sent, failed, err := b.runner.ProcessPending(t.Context(), limit)
				if sent != wantSent || failed != refused*thirds || err != nil {
					t.Errorf("ProcessPending(%d) = %d, %d, %v; want %d, %d", limit, sent, failed, err, wantSent, refused*thirds)
				}
				b.check()
			}
			f(10, 7, 3)
			f(1, 1, 0)
			f(3, 2, 1)
			b.log.put(nil, event(51, "good"))
			within(time.Minute)
			f(16, 10, 6) // to event 29
			within(time.Hour)
			b.counts(wal.Counts{Sent: 35, Failed: uint64(refused * 17), Filtered: uint64((1 - refused) * 17)})
			for i := range 52 {
				want := 1
				if i%3 == 2 {
					want = 0
				}
				if got := b.fake.got(i); got != want {
					t.Errorf("event %d was sent %d times, want %d", i, got, want)
				}
			}
		})
	}
}

func TestKick(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var down atomic.Bool
		down.Store(true)
		b.fake.set(func([]agent.Event) error {
			if down.Load() {
				return agent.After(30*time.Minute, errors.New("quota"))
			}
			return nil
		})
		b.log.put(nil, events(0, 5, "good")...)
		b.start()
		within(time.Minute)
		down.Store(false)
		within(time.Minute)
		b.counts(wal.Counts{})
		b.runner.Probed(nil) // a test went well
		within(time.Millisecond)
		b.counts(wal.Counts{Sent: 5})
	})
}

// TestProbedWhileIdle: where nothing waits, the last probe is all there is to go by.
func TestProbedWhileIdle(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.start()
		is := func(want Status) {
			t.Helper()
			if h := b.runner.Health(); h.Status != want || want == Healthy && (h.Failures != 0 || h.LastError == "") {
				t.Errorf("health = %+v, want %s", h, want)
			}
		}
		b.runner.Probed(agent.Blocked(errSaid))
		is(Unwell)
		b.runner.Probed(nil)
		is(Healthy)
		within(time.Hour)
		is(Healthy)
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(0, 5, "good")...)
		within(time.Minute)
		is(Degraded)
		b.runner.Probed(nil) // and yet the events are not taken
		within(time.Second)
		is(Degraded)
	})
}

func TestWaitFor(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Filter.EventTypes = []string{"good", "bad", "stuck"}
		b.fake.set(func(events []agent.Event) error {
			var failed []agent.EventError
			for i, e := range events {
				switch string(e.Type) {
				case "bad":
					failed = append(failed, agent.EventError{Index: i, Err: agent.Permanent(errSaid)})
				case "stuck":
					failed = append(failed, agent.EventError{Index: i, Err: agent.After(time.Hour, errors.New("busy"))})
				}
			}
			if failed == nil {
				return nil
			}
			return &agent.PartialError{Failed: failed}
		})
		b.start()
		ask := func(seq uint64, want Result, reason string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			o, err := b.runner.WaitFor(ctx, seq)
			if o.Result != want || !strings.Contains(o.Reason, reason) || (err != nil) != (want == Pending) {
				t.Errorf("WaitFor(%d) = %v %q, %v, want %v %q", seq, o.Result, o.Reason, err, want, reason)
			}
		}
		b.log.put(nil, event(0, "good"), event(1, "bad"), event(2, "other"))
		b.log.put([]string{"else"}, event(3, "good"))
		for range 2 { // before and after
			ask(1, Sent, "")
			ask(2, Failed, "no such field")
			ask(3, Filtered, "filter")
			ask(4, Foreign, "other connections")
		}
		b.log.put(nil, event(4, "good"), event(5, "bad"), event(6, "other"), event(7, "stuck"))
		for range 2 { // while the batch is not finished
			ask(5, Sent, "")
			ask(6, Failed, "no such field")
			ask(7, Filtered, "filter")
			ask(8, Pending, "")
		}
		ask(9, Pending, "")
		if len(b.runner.asked) != 0 {
			t.Errorf("%d questions were left behind", len(b.runner.asked))
		}
		if !b.runner.Takes([]byte("good"), agent.Low) || b.runner.Takes([]byte("other"), agent.Low) {
			t.Error("Takes is wrong")
		}
	})
}

// TestStop: requests in flight may end; then nothing is touched any more.
func TestStop(t *testing.T) {
	inBubble(t, "in flight", func(t *testing.T, b *bench) {
		b.fake.slow(3 * time.Second)
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Second)
		begin := time.Now()
		b.end()
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("it took %v", d)
		}
		b.counts(wal.Counts{Sent: 10})
		if _, err := b.runner.WaitFor(t.Context(), 5); !errors.Is(err, ErrStopped) {
			t.Errorf("WaitFor = %v", err)
		}
		if err := b.runner.Drain(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("Drain = %v", err)
		}
		if err := b.runner.Run(t.Context()); err == nil {
			t.Error("it ran twice")
		}
	})
	inBubble(t, "cut short", func(t *testing.T, b *bench) {
		b.fake.slow(20 * time.Second)
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Second)
		begin := time.Now()
		b.end()
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
		b.counts(wal.Counts{})
		b.fake.slow(0)
		b.start() // a successor, at the same place
		within(2 * time.Second)
		b.counts(wal.Counts{Sent: 10})
	})
	inBubble(t, "while it holds", func(t *testing.T, b *bench) {
		b.fake.set(outage(time.Hour, agent.Blocked(errors.New("401"))))
		b.log.put(nil, events(0, 10_000, "good")...)
		b.start()
		within(10 * time.Minute)
		begin := time.Now()
		b.end()
		if d := time.Since(begin); d > 0 {
			t.Errorf("it took %v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a Write that does not listen
		b := newBench(t)
		b.out = deaf{}
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Second)
		if err := b.stop(); err == nil {
			t.Error("Run = nil while a Write runs")
		}
		b.counts(wal.Counts{})
		within(time.Hour)
	})
}

type deaf struct{}

func (deaf) Write(context.Context, []agent.Event) error { time.Sleep(30 * time.Minute); return nil }

// TestIsolation: what one output does to its runner is nothing to another's.
func TestIsolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fake.slow(10 * time.Millisecond)
		b.start()
		bad := newBench(t)
		bad.log = b.log
		bad.fake.slow(time.Hour)
		bad.start()
		for i := range 100 {
			b.log.put(nil, events(i*100, 100, "good")...)
		}
		within(2 * time.Second)
		b.counts(wal.Counts{Sent: 10_000})
		bad.counts(wal.Counts{})
		bad.stop()
		b.end()
	})
}
