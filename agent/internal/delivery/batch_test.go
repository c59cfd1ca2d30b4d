package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func sized(n, size int) agent.Event {
	e := event(n, "good")
	e.Body = fmt.Appendf(nil, `{"n":%d,"pad":"`, n)
	e.Body = append(e.Body, strings.Repeat("x", size-len(e.Body)-2)...)
	e.Body = append(e.Body, `"}`...)
	return e
}

func TestBatchLimits(t *testing.T) {
	cut := func(name string, f func(c *Config), put func(l *fakeLog), want ...int) {
		inBubble(t, name, func(t *testing.T, b *bench) {
			b.cfg.Concurrency = 1
			f(&b.cfg)
			put(b.log)
			b.start()
			within(3 * time.Second)
			if got := b.fake.requests(); !slices.Equal(got, want) {
				t.Errorf("requests = %v, want %v", got, want)
			}
		})
	}
	cut("events", func(c *Config) { c.Batch.MaxEvents = 4 }, func(l *fakeLog) { l.put(nil, events(0, 10, "good")...) }, 4, 4, 2)
	cut("over blocks", func(c *Config) { c.Batch.MaxEvents = 4 }, func(l *fakeLog) {
		for i := range 5 {
			l.put(nil, events(i*2, 2, "good")...)
		}
	}, 4, 4, 2)
	cut("bytes", func(c *Config) { c.Batch.MaxBytes = 1000 }, func(l *fakeLog) {
		l.put(nil, sized(0, 400), sized(1, 400), sized(2, 400), sized(3, 5000), sized(4, 500), sized(5, 500), sized(6, 100))
	}, 2, 1, 1, 2, 1)
}

func TestEncodedSizeCounts(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Concurrency = 1
		b.cfg.Batch.MaxBytes = 1000
		b.out = &fakeEncoder{fakeOutput: b.fake} // two bytes more
		b.log.put(nil, sized(0, 498), sized(1, 498), sized(2, 499), sized(3, 499), sized(4, 2000))
		b.start()
		within(3 * time.Second)
		if got := b.fake.requests(); !slices.Equal(got, []int{2, 1, 1, 1}) {
			t.Errorf("requests = %v", got)
		}
	})
}

// TestLinger: a quiet stream is sent within max_wait of its oldest event.
func TestLinger(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.start()
		begin := time.Now()
		for i := range 10 {
			b.log.put(nil, event(i, "good"))
			within(300 * time.Millisecond)
		}
		within(2 * time.Second)
		var at []time.Duration
		for _, x := range b.fake.times {
			at = append(at, x.Sub(begin))
		}
		// The first leaves at 1 s, with what came until then; the next wait begins with the event of 1.2 s.
		if want := []time.Duration{time.Second, 2200 * time.Millisecond, 3400 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("sent at %v, want %v", at, want)
		}
	})
}

// TestBurst: what is left over behind full batches goes when nothing follows
// for a twentieth of max_wait; what comes later waits as ever.
func TestBurst(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxEvents = 5
		b.start()
		begin := time.Now()
		b.log.put(nil, events(0, 12, "good")...)
		within(40 * time.Millisecond)
		b.log.put(nil, event(12, "good")) // the burst goes on
		within(2 * time.Second)
		b.log.put(nil, event(13, "good"))
		within(2 * time.Second)
		var at []time.Duration
		for _, x := range b.fake.times {
			at = append(at, x.Sub(begin))
		}
		if want := []time.Duration{0, 0, 90 * time.Millisecond, 3040 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("sent at %v, want %v", at, want)
		}
	})
}

// TestSince: max_wait counts from when an event came about, if its input knows.
func TestSince(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.start()
		begin := time.Now()
		since := func(ago time.Duration, n int) {
			b.log.append(&fakeBlock{log: b.log, events: events(n, 1, "good"), n: 1, since: time.Now().Add(-ago).UnixNano()})
		}
		since(400*time.Millisecond, 0)
		within(100 * time.Millisecond)
		b.log.put(nil, event(1, "good"))
		within(900 * time.Millisecond) // the first has waited its second after 600 ms, and the next comes with it
		since(time.Minute, 2)          // at once
		within(500 * time.Millisecond)
		b.log.put(nil, event(3, "good"))
		within(100 * time.Millisecond)
		since(time.Hour, 4) // at once, and what waits with it
		within(100 * time.Millisecond)
		since(-time.Hour, 5) // by a clock that was put back since
		within(2 * time.Second)
		var at []time.Duration
		for _, x := range b.fake.times {
			at = append(at, x.Sub(begin))
		}
		want := []time.Duration{600 * time.Millisecond, time.Second, 1600 * time.Millisecond, 2700 * time.Millisecond}
		if !slices.Equal(at, want) || !slices.Equal(b.fake.requests(), []int{2, 1, 2, 1}) {
			t.Errorf("sent %v at %v, want [2 1 2 1] at %v", b.fake.requests(), at, want)
		}
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxWait = agent.Duration(time.Minute)
		b.start()
		b.log.put(nil, events(0, 3, "good")...)
		b.runner.Flush()
		within(time.Millisecond)
		b.counts(wal.Counts{Sent: 3})
		b.log.put(nil, events(3, 3, "good")...)
		within(time.Second)
		b.counts(wal.Counts{Sent: 3}) // the flush is over
	})
}

// TestOrder: one request at a time, in the order of the log, whatever goes wrong.
func TestOrder(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Concurrency = 1
		b.cfg.Batch.MaxEvents = 7
		b.fake.slow(10 * time.Millisecond)
		n := 0
		b.fake.set(func(events []agent.Event) error {
			switch n++; {
			case n%5 == 0:
				return errors.New("reset")
			case n%7 == 0:
				return agent.TooLarge(errors.New("413"))
			case n%11 == 0:
				return agent.After(0, errors.New("stale"))
			}
			return nil
		})
		for i := range 20 {
			b.log.put(nil, events(i*10, 10, "good")...)
		}
		b.start()
		within(time.Hour)
		if b.fake.peak() != 1 {
			t.Errorf("%d requests at once", b.fake.peak())
		}
		var order []string
		for i := range 200 {
			order = append(order, fmt.Sprintf("id-%d", i))
		}
		// A single event that is too large is refused: leave those out.
		for _, e := range b.entries() {
			order = slices.DeleteFunc(order, func(id string) bool { return id == e.EventID })
		}
		if !slices.Equal(b.fake.order, order) {
			t.Errorf("order = %v", b.fake.order)
		}
	})
}

// TestConcurrency: up to N requests at once, committed in order.
func TestConcurrency(t *testing.T) {
	inBubble(t, "fixed", func(t *testing.T, b *bench) {
		b.cfg.Concurrency = 4
		b.cfg.Batch.MaxEvents = 10
		b.fake.slow(time.Second)
		first := true
		b.fake.set(func(events []agent.Event) error {
			if string(events[0].ID) == "id-0" && first {
				first = false
				return errors.New("reset")
			}
			return nil
		})
		b.log.put(nil, events(0, 100, "good")...)
		b.start()
		within(1500 * time.Millisecond)
		if b.fake.peak() != 4 {
			t.Errorf("%d requests at once", b.fake.peak())
		}
		if seq := b.cursor.Seq(); seq != 1 {
			t.Errorf("the cursor passed a batch that was not taken: %d", seq)
		}
		within(time.Minute)
		b.counts(wal.Counts{Sent: 100})
	})
	inBubble(t, "auto", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxEvents = 10
		b.fake.slow(50 * time.Millisecond)
		b.log.put(nil, events(0, 5000, "good")...)
		b.start()
		within(time.Minute)
		if b.fake.peak() != autoMax {
			t.Errorf("%d requests at once", b.fake.peak())
		}
		if s := b.runner.Stats(); s.Concurrency != autoMax || s.P50 != 50*time.Millisecond {
			t.Errorf("stats = %+v", s)
		}
	})
}

// serialOutput does one thing at a time.
type serialOutput struct{ *fakeOutput }

func (serialOutput) OneAtATime() bool { return true }

// TestOneAtATime: nobody's timeout passes while it waits for another.
func TestOneAtATime(t *testing.T) {
	for _, n := range []Concurrency{0, 1, 4} {
		inBubble(t, fmt.Sprint(n), func(t *testing.T, b *bench) {
			b.cfg.Concurrency = n
			b.cfg.Batch.MaxEvents = 10
			b.out = serialOutput{b.fake}
			b.fake.slow(20 * time.Second)
			b.log.put(nil, events(0, 200, "good")...)
			b.start()
			within(10 * time.Minute)
			if b.fake.peak() != 1 {
				t.Errorf("%d requests at once", b.fake.peak())
			}
			b.counts(wal.Counts{Sent: 200})
		})
	}
}

func TestRateLimit(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.RateLimit.Events = 100
		b.cfg.Batch.MaxEvents = 10
		b.log.put(nil, events(0, 1000, "good")...)
		b.start()
		within(5 * time.Second)
		if n := b.cursor.Counts().Sent; n < 480 || n > 520 {
			t.Errorf("%d events in 5 s at 100/s", n)
		}
		within(6 * time.Second)
		b.counts(wal.Counts{Sent: 1000})
	})
}

// TestOrderOfTheRest: what a target puts off is not overtaken where order is kept.
func TestOrderOfTheRest(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Concurrency = 1
		b.cfg.Batch.MaxEvents = 10
		n := 0
		b.fake.set(func(events []agent.Event) error {
			if n++; n > 1 {
				return nil
			}
			var failed []agent.EventError
			for i := range events[4:] {
				failed = append(failed, agent.EventError{Index: 4 + i, Err: agent.After(5*time.Second, errors.New("429"))})
			}
			return &agent.PartialError{Failed: failed}
		})
		b.log.put(nil, events(0, 50, "good")...)
		b.start()
		within(time.Minute)
		for i, id := range b.fake.order {
			if id != fmt.Sprintf("id-%d", i) {
				t.Fatalf("order = %v", b.fake.order)
			}
		}
		b.counts(wal.Counts{Sent: 50})
	})
}
