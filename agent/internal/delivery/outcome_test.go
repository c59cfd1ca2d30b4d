package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

var errSaid = &agent.AnswerError{Endpoint: "https://siem:8088", Status: 400, Answer: "no such field"}

// inBubble runs f with a bench in a bubble of fake time, and adds up in the end.
func inBubble(t *testing.T, name string, f func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			defer b.end()
			f(t, b)
		})
	})
}

// within lets d pass.
func within(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// outage answers with err until d has passed.
func outage(d time.Duration, err error) func([]agent.Event) error {
	end := time.Now().Add(d)
	return func([]agent.Event) error {
		if time.Now().Before(end) {
			return err
		}
		return nil
	}
}

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

// TestPoison: exactly the bad events end in the failed store, whatever way the target has of saying so.
func TestPoison(t *testing.T) {
	for name, answer := range map[string]func([]agent.Event) error{
		"per item":        typed("bad", agent.Permanent(errSaid)),
		"whole batch":     whole("bad", agent.Permanent(errSaid)),
		"too large":       whole("bad", agent.TooLarge(errSaid)),
		"suspect":         whole("bad", agent.Suspect(errSaid)),
		"suspect by item": typed("bad", agent.Suspect(errSaid)),
	} {
		for _, n := range []Concurrency{0, 1} {
			for _, at := range [][]int{{0}, {57}, {199}, {3, 4, 100, 150}} {
				inBubble(t, fmt.Sprintf("%s, concurrency %d, %v", name, n, at), func(t *testing.T, b *bench) {
					b.cfg.Concurrency = n
					b.cfg.Batch.MaxEvents = 50
					b.fake.set(answer)
					batch := events(0, 200, "good")
					bad := map[int]bool{}
					for _, i := range at {
						batch[i] = event(i, "bad")
						bad[i] = true
					}
					b.log.put(nil, batch...)
					b.start()
					within(10 * time.Minute)
					for i := range 20 { // somebody has to show that the target is well
						b.log.put(nil, event(200+i, "good"))
						within(time.Minute)
					}
					b.counts(wal.Counts{Sent: uint64(220 - len(at)), Failed: uint64(len(at))})
					for i := range batch {
						if want := map[bool]int{false: 1, true: 0}[bad[i]]; b.fake.got(i) != want {
							t.Errorf("event %d was taken %d times, want %d", i, b.fake.got(i), want)
						}
					}
					entries := b.entries()
					if len(entries) != len(at) {
						t.Fatalf("%d entries, want %d", len(entries), len(at))
					}
					e := entries[0]
					if e.Status != 400 || e.Answer != "no such field" || e.Endpoint != "https://siem:8088" ||
						e.ConnectionID != "siem" || e.EventType != "bad" || e.Attempts < 1 || !strings.Contains(string(e.Event), `"event_type":"bad"`) {
						t.Errorf("entry = %+v", e)
					}
				})
			}
		}
	}
}

// TestLonePoison: an event that is blamed alone, in a quiet stream, waits for
// a witness; when others pass it gives way.
func TestLonePoison(t *testing.T) {
	for _, n := range []Concurrency{0, 1} {
		inBubble(t, fmt.Sprint(n), func(t *testing.T, b *bench) {
			b.cfg.Concurrency = n
			b.fake.set(whole("bad", agent.Suspect(errSaid)))
			b.log.put(nil, event(0, "bad"))
			b.start()
			within(time.Hour)
			b.counts(wal.Counts{})
			for i := range 20 {
				b.log.put(nil, event(i+1, "good"))
				within(time.Minute)
			}
			b.counts(wal.Counts{Sent: 20, Failed: 1})
		})
	}
}

// TestManyPoisons fills the window with events that are blamed: the others get through all the same.
func TestManyPoisons(t *testing.T) {
	for _, n := range []Concurrency{0, 1, 2} {
		inBubble(t, fmt.Sprint(n), func(t *testing.T, b *bench) {
			b.cfg.Concurrency = n
			b.cfg.Batch.MaxEvents = 1
			b.opts = func(o *Options) { o.MaxBytes = 1 << 10 } // less than the window
			b.fake.set(whole("bad", agent.Suspect(errSaid)))
			for i := range 60 {
				b.log.put(nil, event(i, "bad"))
			}
			b.log.put(nil, events(60, 40, "good")...)
			b.start()
			within(4 * time.Hour)
			if n := 60; b.cursor.Counts().Failed+b.cursor.Counts().Sent != 0 && b.cursor.Counts() != (wal.Counts{Sent: 40, Failed: uint64(n)}) {
				t.Errorf("counts = %+v", b.cursor.Counts())
			}
		})
	}
}

// TestGuard: when everything is refused, at most a hundred go to the failed store.
func TestGuard(t *testing.T) {
	for name, answer := range map[string]func([]agent.Event) error{
		"whole":    func([]agent.Event) error { return agent.Permanent(errSaid) },
		"per item": typed("good", agent.Permanent(errSaid)),
	} {
		for _, n := range []Concurrency{0, 1} {
			inBubble(t, fmt.Sprintf("%s, concurrency %d", name, n), func(t *testing.T, b *bench) {
				b.cfg.Concurrency = n
				b.fake.set(answer)
				b.log.put(nil, events(0, 5000, "good")...)
				b.start()
				within(time.Hour)
				if n := b.failed.Len(); n != guardLimit {
					t.Errorf("%d events in the failed store, want %d", n, guardLimit)
				}
				if h := b.runner.Health(); h.Status != Unwell || !strings.Contains(h.LastError, "in a row") {
					t.Errorf("health = %+v", h)
				}
				b.check()
				b.fake.set(nil)
				b.runner.Kick()
				within(2 * time.Minute)
				b.counts(wal.Counts{Sent: 5000 - guardLimit, Failed: guardLimit})
				if h := b.runner.Health(); h.Status != Healthy {
					t.Errorf("after it: health = %+v", h)
				}
				if sent, failed, err := b.runner.RetryFailed(t.Context(), FailedFilter{}); sent != guardLimit || failed != 0 || err != nil {
					t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
				}
				b.counts(wal.Counts{Sent: 5000})
			})
		}
	}
}

// TestGuardLetsGo: more than a hundred bad events in a row are held, but those behind them get through and free them.
func TestGuardLetsGo(t *testing.T) {
	for _, n := range []Concurrency{0, 1} {
		inBubble(t, fmt.Sprint(n), func(t *testing.T, b *bench) {
			b.cfg.Concurrency = n
			b.fake.set(whole("bad", agent.Permanent(errSaid)))
			b.log.put(nil, events(0, 1200, "bad")...)
			b.log.put(nil, events(1200, 300, "good")...)
			b.start()
			for i := range 40 {
				b.log.put(nil, events(1500+10*i, 10, "good")...)
				within(time.Hour)
			}
			b.counts(wal.Counts{Sent: 700, Failed: 1200})
		})
	}
}

// TestEncodeErrors: what cannot be encoded is refused without a request.
func TestEncodeErrors(t *testing.T) {
	inBubble(t, "some", func(t *testing.T, b *bench) {
		b.out = &fakeEncoder{fakeOutput: b.fake}
		batch := events(0, 300, "good")
		batch[10], batch[299], batch[50] = event(10, "bad"), event(299, "bad"), event(50, "panics")
		b.log.put(nil, batch...)
		b.start()
		within(5 * time.Second)
		b.counts(wal.Counts{Sent: 297, Failed: 3})
		if e := b.entries()[0]; e.Answer != "cannot be rendered" || e.Endpoint != "https://siem.example.com" {
			t.Errorf("entry = %+v", e)
		}
	})
	inBubble(t, "all", func(t *testing.T, b *bench) {
		b.out = &fakeEncoder{fakeOutput: b.fake}
		b.log.put(nil, events(0, 1000, "bad")...)
		b.start()
		within(time.Minute)
		if n := b.failed.Len(); n != guardLimit {
			t.Errorf("%d events in the failed store, want %d", n, guardLimit)
		}
		if h := b.runner.Health(); h.Status != Unwell {
			t.Errorf("health = %+v", h)
		}
		for i := range 9 {
			b.log.put(nil, event(1000+i, "good"))
			within(time.Minute)
		}
		b.counts(wal.Counts{Sent: 9, Failed: 1000})
	})
	inBubble(t, "more than the window", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxEvents = 1
		b.out = &fakeEncoder{fakeOutput: b.fake}
		b.opts = func(o *Options) { o.MaxBytes = 10 << 10 }
		for i := range 110 {
			b.log.put(nil, event(i, "bad"))
		}
		b.start()
		within(time.Minute)
		for i := range 9 {
			b.log.put(nil, event(110+i, "good"))
			within(time.Minute)
		}
		b.counts(wal.Counts{Sent: 9, Failed: 110})
	})
}

// A fakeEncoder renders the body between angle brackets.
type fakeEncoder struct{ *fakeOutput }

func (e *fakeEncoder) Encode(dst []byte, ev *agent.Event) ([]byte, error) {
	switch string(ev.Type) {
	case "bad":
		return append(dst, "half"...), errors.New("cannot be rendered")
	case "panics":
		panic("boom")
	}
	return append(append(append(dst, '<'), ev.Body...), '>'), nil
}

func (e *fakeEncoder) Write(ctx context.Context, events []agent.Event) error {
	for _, ev := range events {
		if string(ev.Wire) != "<"+string(ev.Body)+">" {
			return fmt.Errorf("wire = %q", ev.Wire)
		}
	}
	return e.fakeOutput.Write(ctx, events)
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
