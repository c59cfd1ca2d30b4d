package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// TestMemory: what is held stays within the budget and one block, however long the outage.
func TestMemory(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		const limit = 64 << 10
		b.opts = func(o *Options) { o.MaxBytes = limit }
		b.out = &fakeEncoder{fakeOutput: b.fake}
		b.fake.set(outage(time.Hour, errors.New("down")))
		for i := range 200 {
			b.log.put(nil, sized(i, 4<<10), sized(i, 4<<10))
		}
		b.start()
		within(50 * time.Minute)
		if n := b.runner.Stats().BytesHeld; n > 2*limit+16<<10 || n < limit {
			t.Errorf("%d bytes held", n)
		}
		within(20 * time.Minute)
		b.counts(wal.Counts{Sent: 400})
	})
}

// TestSparse: blocks with one event each that passes the filter do not wait for the linger when memory runs out.
func TestSparse(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.opts = func(o *Options) { o.MaxBytes = 64 << 10 }
		b.cfg.Filter.EventTypes = []string{"alert"}
		for i := range 1000 {
			big := sized(2*i, 8<<10)
			b.log.put(nil, big, event(2*i+1, "alert"))
		}
		b.start()
		within(10 * time.Second)
		b.counts(wal.Counts{Sent: 1000, Filtered: 1000})
	})
}

// TestWireSurvivesGrowth: the encoded events of a batch stay right while its buffer moves.
func TestWireSurvivesGrowth(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		var got bytes.Buffer
		b.cfg.Concurrency = 1
		b.out = &recorder{fakeEncoder{b.fake}, &got}
		var want bytes.Buffer
		for i := range 500 {
			e := sized(i, 100+i*7)
			fmt.Fprintf(&want, "<%s>", e.Body)
			b.log.put(nil, e)
		}
		b.start()
		within(10 * time.Second)
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Error("the wire is not the events")
		}
	})
}

type recorder struct {
	fakeEncoder
	got *bytes.Buffer
}

func (r *recorder) Write(ctx context.Context, events []agent.Event) error {
	for _, e := range events {
		r.got.Write(e.Wire)
	}
	return r.fakeEncoder.Write(ctx, events)
}

// What was not used between two trims is dropped, from below; what is used comes back first.
func TestSpares(t *testing.T) {
	p := spares{most: 3}
	a, b, c := &span{}, &span{}, &span{}
	for _, s := range []*span{a, b, c, {}} {
		p.put(s)
	}
	p.trim()
	if len(p.list) != 3 {
		t.Fatalf("%d spares, want the first three", len(p.list))
	}
	for range 5 { // one is enough
		if s := p.take(); s != c {
			t.Fatal("the last one did not come back first")
		}
		p.put(c)
	}
	p.trim()
	if len(p.list) != 1 || p.list[0] != c {
		t.Errorf("%d spares after a trim, want the one that is used", len(p.list))
	}
	p.trim()
	if p.take() != nil {
		t.Error("a spare that nobody used is still there")
	}
}
