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
