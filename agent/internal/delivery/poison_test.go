package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

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
