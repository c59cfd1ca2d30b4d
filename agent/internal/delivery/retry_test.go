package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

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

// TestLimitOfRetryAndPurge takes the oldest, over several batches.
func TestLimitOfRetryAndPurge(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.cfg.Batch.MaxEvents = 4
		b.cfg.Concurrency = 1
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		for i := range 20 {
			b.log.put(nil, event(i, []string{"bad", "good"}[i%2]))
		}
		b.start()
		within(10 * time.Second)
		b.counts(wal.Counts{Sent: 10, Failed: 10})
		all := b.entries()
		if n, err := b.failed.Purge(FailedFilter{Limit: 2}); n != 2 || err != nil {
			t.Errorf("Purge = %d, %v", n, err)
		}
		b.fake.set(nil)
		if sent, failed, err := b.runner.RetryFailed(t.Context(), FailedFilter{Limit: 5}); sent != 5 || failed != 0 || err != nil {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		if left := b.entries(); len(left) != 3 || left[0].ID != all[7].ID {
			t.Errorf("left: %+v", left)
		}
		b.counts(wal.Counts{Sent: 15, Failed: 3, Expired: 2})
	})
}

// TestRetryIsCut: a retry says so if the runner ends before it.
func TestRetryIsCut(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		b.log.put(nil, events(0, 5, "bad")...)
		b.start()
		within(10 * time.Second)
		b.counts(wal.Counts{Failed: 5})
		b.fake.set(nil)
		b.fake.slow(time.Hour)
		type result struct {
			sent, failed int
			err          error
		}
		done := make(chan result, 1)
		go func() {
			var r result
			r.sent, r.failed, r.err = b.runner.RetryFailed(context.Background(), FailedFilter{})
			done <- r
		}()
		within(time.Second)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		if r := <-done; r.sent != 0 || r.failed != 0 || !errors.Is(r.err, ErrStopped) {
			t.Errorf("RetryFailed = %+v", r)
		}
		b.counts(wal.Counts{Failed: 5})
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
