package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

var errSaid = &agent.AnswerError{Endpoint: "https://siem:8088", Status: 400, Answer: "no such field"}

// TestOutagesCostNothing: whatever says nothing about events is waited out, without a single one lost or failed.
func TestOutagesCostNothing(t *testing.T) {
	for name, err := range map[string]error{
		"refused":      errors.New("dial: connection refused"),
		"blocked":      agent.Blocked(errors.New("401")),
		"throttled":    agent.After(5*time.Second, errors.New("429")),
		"again":        agent.After(0, errors.New("stale connection")),
		"deadline":     fmt.Errorf("post: %w", context.DeadlineExceeded),
		"bad deadline": agent.Permanent(fmt.Errorf("post: %w", context.DeadlineExceeded)),
		"bare 500":     agent.Suspect(errors.New("500")),
	} {
		for _, n := range []Concurrency{0, 1, 4} {
			inBubble(t, fmt.Sprintf("%s, concurrency %d", name, n), func(t *testing.T, b *bench) {
				b.cfg.Concurrency = n
				b.cfg.Batch.MaxEvents = 10
				b.fake.set(outage(time.Hour, err))
				b.log.put(nil, events(0, 1000, "anomaly")...)
				b.start()
				within(30 * time.Minute)
				if c := b.cursor.Counts(); c != (wal.Counts{}) {
					t.Errorf("in the outage: counts = %+v", c)
				}
				h := b.runner.Health()
				if h.Status != Unwell || h.LastError == "" || h.NextTry.IsZero() {
					t.Errorf("in the outage: health = %+v", h)
				}
				if n := len(b.fake.requests()); n > 1000 {
					t.Errorf("%d requests in 30 minutes of an outage", n)
				}
				within(32 * time.Minute)
				b.counts(wal.Counts{Sent: 1000})
				if len(b.entries()) != 0 {
					t.Errorf("%d events in the failed store", len(b.entries()))
				}
				if h := b.runner.Health(); h.Status != Healthy || h.Failures != 0 || h.LastSuccess.IsZero() {
					t.Errorf("after it: health = %+v", h)
				}
			})
		}
	}
}

// TestPartialRetriesTheRest: only what was not taken is sent again.
func TestPartialRetriesTheRest(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.fake.set(typed("busy", agent.After(2*time.Second, errors.New("429"))))
		batch := events(0, 100, "good")
		for i := 0; i < 100; i += 3 {
			batch[i] = event(i, "busy")
		}
		b.log.put(nil, batch...)
		b.start()
		within(3 * time.Second)
		b.fake.set(nil)
		within(time.Minute)
		b.counts(wal.Counts{Sent: 100})
		for i := range batch {
			if b.fake.got(i) != 1 {
				t.Errorf("event %d was taken %d times", i, b.fake.got(i))
			}
		}
	})
}

// TestPauseAfterPartial: a target that takes nearly all is not left alone for long.
func TestPauseAfterPartial(t *testing.T) {
	for range 20 { // the pause is a random part
		inBubble(t, "", func(t *testing.T, b *bench) {
			busy := typed("busy", errors.New("429"))
			n := 0
			b.fake.set(func(events []agent.Event) error {
				if n++; n > 1 {
					return nil
				}
				return busy(events)
			})
			batch := events(0, 98, "good")
			b.log.put(nil, append(batch, event(98, "busy"), event(99, "busy"))...)
			b.start()
			within(time.Minute)
			b.counts(wal.Counts{Sent: 100})
			pause, most := b.fake.times[1].Sub(b.fake.times[0]), b.cfg.Retry.Initial.D()/50
			if pause > most {
				t.Errorf("2 of 100 events came again after %v, want at most %v", pause, most)
			}
		})
	}
}

// TestMalformedPartial: an answer that contradicts itself is no answer.
func TestMalformedPartial(t *testing.T) {
	for name, failed := range map[string][]agent.EventError{
		"beyond": {{Index: 10, Err: errSaid}}, "twice": {{Index: 1, Err: errSaid}, {Index: 1, Err: errSaid}},
		"negative": {{Index: -1, Err: errSaid}}, "no error": {{Index: 1}},
	} {
		inBubble(t, name, func(t *testing.T, b *bench) {
			b.fake.set(outage(10*time.Second, &agent.PartialError{Failed: failed}))
			b.log.put(nil, events(0, 10, "good")...)
			b.start()
			within(2 * time.Minute)
			b.counts(wal.Counts{Sent: 10})
		})
	}
}

// TestPanic: an output that panics is an output that did not answer.
func TestPanic(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		n := 0
		b.fake.set(func([]agent.Event) error {
			if n++; n <= 3 {
				panic("boom")
			}
			return nil
		})
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Minute)
		b.counts(wal.Counts{Sent: 10})
	})
}

// TestRetryAfterIsHonoured: not before d, and at once when d is zero.
func TestRetryAfterIsHonoured(t *testing.T) {
	inBubble(t, "later", func(t *testing.T, b *bench) {
		b.fake.set(outage(time.Nanosecond+time.Second, agent.After(20*time.Second, errors.New("503"))))
		b.log.put(nil, event(0, "good"))
		b.start()
		within(15 * time.Second)
		if n := len(b.fake.requests()); n != 1 {
			t.Errorf("%d requests in the time asked for", n)
		}
		within(10 * time.Second)
		b.counts(wal.Counts{Sent: 1})
	})
	inBubble(t, "at once", func(t *testing.T, b *bench) {
		n := 0
		b.fake.set(func([]agent.Event) error {
			if n++; n == 1 {
				return agent.After(0, errors.New("stale"))
			}
			return nil
		})
		b.log.put(nil, event(0, "good"))
		b.start()
		within(time.Second)
		b.counts(wal.Counts{Sent: 1})
	})
}

// TestSlowTargetGetsLess: what cannot be sent within the timeout is halved.
func TestSlowTargetGetsLess(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Concurrency = 1
		b.fake.set(func(events []agent.Event) error {
			if len(events) > 30 {
				return fmt.Errorf("post: %w", context.DeadlineExceeded)
			}
			return nil
		})
		b.log.put(nil, events(0, 100, "good")...)
		b.start()
		within(time.Hour)
		b.counts(wal.Counts{Sent: 100})
	})
}

// TestHang: a request that does not return in time is given up, and others are not started meanwhile without limit.
func TestHang(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.fake.slow(time.Hour)
		b.cfg.Batch.MaxEvents = 10
		b.log.put(nil, events(0, 1000, "good")...)
		b.start()
		within(10 * time.Minute)
		if b.fake.peak() > autoMax {
			t.Errorf("%d requests at once", b.fake.peak())
		}
		b.fake.slow(0)
		within(3 * time.Minute)
		b.counts(wal.Counts{Sent: 1000})
	})
}

// TestMaxAge: what waits too long expires, in the log and out of it.
func TestMaxAge(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.MaxAge = agent.Duration(10 * time.Minute)
		b.cfg.Batch.MaxEvents = 10
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(0, 1000, "good")...)
		b.start()
		within(59 * time.Minute)
		b.counts(wal.Counts{Expired: 1000})
		b.log.put(nil, events(1000, 10, "good")...)
		within(3 * time.Minute)
		b.counts(wal.Counts{Expired: 1000, Sent: 10})
	})
}

// TestShortMaxAge: what is too old by more than a tenth is not sent any more.
func TestShortMaxAge(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.MaxAge = agent.Duration(2 * time.Second)
		b.cfg.Retry = Retry{agent.Duration(100 * time.Millisecond), agent.Duration(200 * time.Millisecond), 3}
		b.fake.set(outage(3*time.Second, errors.New("down")))
		b.start()
		within(300 * time.Millisecond)
		b.log.put(nil, events(0, 10, "good")...)
		within(2500 * time.Millisecond)
		b.counts(wal.Counts{Expired: 10})
		within(time.Minute)
		b.counts(wal.Counts{Expired: 10})
	})
}

// TestMaxLag: the oldest go when too much waits.
func TestMaxLag(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.MaxLag = 10 << 10
		b.cfg.Batch.MaxEvents = 10
		b.fake.set(outage(time.Hour, errors.New("down")))
		for i := range 100 {
			b.log.put(nil, events(i*10, 10, "good")...)
		}
		b.start()
		within(time.Minute)
		c := b.cursor.Counts()
		if c.Expired < 500 || c.Expired > 900 || c.Sent != 0 {
			t.Errorf("counts = %+v", c)
		}
		within(2 * time.Hour)
		if c := b.cursor.Counts(); c.Sent < 100 || c.Sent+c.Expired != 1000 {
			t.Errorf("counts = %+v", c)
		}
	})
}
