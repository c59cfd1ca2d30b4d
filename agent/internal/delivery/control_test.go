package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

func TestRetryFailed(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxEvents = 7
		refuse := map[string]bool{"bad": true, "worse": true}
		b.fake.set(func(events []agent.Event) error {
			var failed []agent.EventError
			for i, e := range events {
				if refuse[string(e.Type)] {
					failed = append(failed, agent.EventError{Index: i, Err: agent.Permanent(&agent.AnswerError{Status: 422, Answer: "no " + string(e.Type)})})
				}
			}
			if failed == nil {
				return nil
			}
			return &agent.PartialError{Failed: failed}
		})
		for i := range 50 {
			b.log.put(nil, event(i, []string{"bad", "worse", "good", "good"}[i%4]))
		}
		b.start()
		within(10 * time.Second)
		b.counts(wal.Counts{Sent: 24, Failed: 26})
		delete(refuse, "bad")
		if sent, failed, err := b.runner.RetryFailed(t.Context(), FailedFilter{Match: "no "}); sent != 13 || failed != 13 || err != nil {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		b.counts(wal.Counts{Sent: 37, Failed: 13})
		for _, e := range b.entries() {
			if e.EventType != "worse" || e.Attempts != 2 || e.Answer != "no worse" || e.Status != 422 {
				t.Errorf("entry = %+v", e)
			}
		}
		// An outage: nothing changes.
		b.fake.set(outage(time.Hour, errors.New("down")))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if sent, failed, err := b.runner.RetryFailed(ctx, FailedFilter{}); sent != 0 || failed != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		if len(b.entries()) != 13 || b.entries()[0].Attempts != 2 {
			t.Errorf("%d entries after an outage", len(b.entries()))
		}
		within(2 * time.Hour)
		if n := len(b.runner.queue); n != 0 {
			t.Errorf("%d parts were left behind", n)
		}
	})
}

// TestRetryOfManyBadOnes does not trip the guard: they are known to be bad.
func TestRetryOfManyBadOnes(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.fake.set(whole("bad", agent.Permanent(errSaid)))
		for i := range 400 {
			b.log.put(nil, event(2*i, "bad"), event(2*i+1, "good"))
		}
		b.cfg.Batch.MaxEvents = 2
		b.start()
		within(time.Minute)
		b.counts(wal.Counts{Sent: 400, Failed: 400})
		if sent, failed, err := b.runner.RetryFailed(t.Context(), FailedFilter{}); sent != 0 || failed != 400 || err != nil {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		b.log.put(nil, event(1000, "good"))
		within(2 * time.Second)
		b.counts(wal.Counts{Sent: 401, Failed: 400})
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

func TestMetrics(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Filter.EventTypes = []string{"good", "bad"}
		b.cursor.counts, b.cursor.start, b.cursor.seq = wal.Counts{Sent: 7}, 1, 8 // from an earlier life
		b.log.next = 8
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		b.log.put(nil, event(0, "good"), event(1, "bad"), event(2, "other"))
		b.start()
		within(5 * time.Second)
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(3, 4, "good")...)
		within(10 * time.Minute)
		var out bytes.Buffer
		b.env.Metrics.WritePrometheus(&out)
		for _, want := range []string{
			`siemd_output_events_total{output="siem",result="sent"} 8`, `siemd_output_events_total{output="siem",result="failed"} 1`,
			`siemd_output_events_total{output="siem",result="filtered"} 1`, `siemd_output_events_total{output="siem",result="expired"} 0`,
			`siemd_output_pending_events{output="siem"} 4`, `siemd_output_failed_events{output="siem"} 1`,
			`siemd_output_up{output="siem"} 0`, `siemd_output_oldest_pending_age_seconds{output="siem"} 600`,
			`siemd_output_retries_total{output="siem",reason="failure"} `, `siemd_output_request_seconds_count{output="siem"} `,
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, out.String())
			}
		}
		b.stop()
		out.Reset()
		b.env.Metrics.WritePrometheus(&out)
		if strings.Contains(out.String(), "pending_events") || !strings.Contains(out.String(), "events_total") {
			t.Errorf("after the end:\n%s", out.String())
		}
	})
}

// TestLog: a failure is logged when it begins, changes and ends, not each time.
func TestLog(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var out bytes.Buffer
		b.env.Log = slog.New(slog.NewTextHandler(&out, nil))
		b.fake.set(outage(time.Hour, errors.New("down")))
		b.log.put(nil, events(0, 100, "good")...)
		b.start()
		within(2 * time.Hour)
		b.stop()
		lines := strings.Count(out.String(), "\n")
		if lines != 3 || !strings.Contains(out.String(), "takes events again") { // begins, is called failed, ends
			t.Errorf("log:\n%s", out.String())
		}
	})
}

// TestLedgerSpeaks: a difference is logged with both sides, once.
func TestLedgerSpeaks(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var out bytes.Buffer
		b.env.Log = slog.New(slog.NewTextHandler(&out, nil))
		b.log.put(nil, events(0, 10, "good")...)
		b.start()
		within(2 * time.Second)
		b.cursor.mu.Lock()
		b.cursor.counts.Sent -= 3
		b.cursor.mu.Unlock()
		within(time.Minute)
		if b.runner.Unaccounted() != 3 || strings.Count(out.String(), "does not add up") != 1 || !strings.Contains(out.String(), "passed=10 counted=7") {
			t.Errorf("unaccounted = %d\n%s", b.runner.Unaccounted(), out.String())
		}
		b.cursor.mu.Lock()
		b.cursor.counts.Sent += 3
		b.cursor.mu.Unlock()
		within(time.Minute)
		if b.runner.Unaccounted() != 0 || fmt.Sprint(b.runner.Pending()) != "0" {
			t.Errorf("unaccounted = %d", b.runner.Unaccounted())
		}
	})
}

// TestRetryBeforeTheCursor: an event is in the failed store before the cursor
// passes it, and can leave it again before that. It is counted once all the same.
func TestRetryBeforeTheCursor(t *testing.T) {
	setup := func(b *bench) (mended, down *atomic.Bool) {
		mended, down = new(atomic.Bool), new(atomic.Bool)
		down.Store(true)
		b.cfg.Concurrency = 2
		b.cfg.Batch.MaxEvents = 5
		b.fake.set(func(events []agent.Event) error {
			switch {
			case down.Load() && string(events[0].ID) == "id-0":
				return &agent.PartialError{Failed: []agent.EventError{{Index: 0, Err: agent.After(time.Hour, errors.New("busy"))}}}
			case !mended.Load():
				return typed("bad", agent.Permanent(errSaid))(events)
			}
			return nil
		})
		batch := events(0, 10, "good")
		batch[7] = event(7, "bad")
		b.log.put(nil, batch...)
		b.log.put(nil, event(10, "bad")) // a batch of its own, when the linger is over
		b.start()
		within(5 * time.Second)
		return mended, down
	}
	retry := func(b *bench) {
		b.t.Helper()
		if sent, failed, err := b.runner.RetryFailed(b.t.Context(), FailedFilter{}); sent != 2 || failed != 0 || err != nil {
			b.t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		if c := b.cursor.Counts(); c != (wal.Counts{}) {
			b.t.Errorf("counts = %+v before the cursor moved", c)
		}
		synctest.Wait()
	}
	inBubble(t, "then it passes", func(t *testing.T, b *bench) {
		mended, down := setup(b)
		mended.Store(true)
		b.fake.set(func(events []agent.Event) error {
			if down.Load() && string(events[0].ID) == "id-0" {
				return agent.After(time.Hour, errors.New("busy"))
			}
			return nil
		})
		retry(b)
		down.Store(false)
		within(2 * time.Hour)
		b.counts(wal.Counts{Sent: 11})
	})
	inBubble(t, "then it starts again", func(t *testing.T, b *bench) {
		mended, down := setup(b)
		mended.Store(true)
		retry(b)
		mended.Store(false)
		b.stop()
		down.Store(false)
		b.start()
		within(time.Minute)
		b.counts(wal.Counts{Sent: 9, Failed: 2})
		if b.failed.Len() != 2 {
			t.Errorf("%d entries", b.failed.Len())
		}
	})
}
