package wal

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func ctxOf(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func event(i int) *agent.Event {
	body := []byte(fmt.Sprintf(`{"event_id":"id-%06d","event_type":"anomaly","source":"host-%d","n":%d}`, i, i%7, i))
	return &agent.Event{
		Time: 1700000000_000000000 + int64(i), Received: 1700000001_000000000, Severity: agent.Severity(i % 6),
		ID: body[13:22], Type: []byte([]string{"anomaly", "alert", ""}[i%3]), Source: []byte(fmt.Sprint("host-", i%7)), Input: fmt.Sprint("in", i%2), Body: body,
	}
}

func equalEvents(a, b *agent.Event) bool {
	return a.Seq == b.Seq && a.Time == b.Time && a.Received == b.Received && a.Severity == b.Severity && a.Input == b.Input &&
		bytes.Equal(a.ID, b.ID) && bytes.Equal(a.Type, b.Type) && bytes.Equal(a.Source, b.Source) && bytes.Equal(a.Body, b.Body)
}

// put appends n events, from number i on, and waits until they are durable.
// Half of the chunks are left to the committer, if it is faster.
func put(t testing.TB, l *Log, i, n int) (first, last uint64) {
	t.Helper()
	c := l.NewChunk()
	for j := range n {
		c.Add(event(i + j))
	}
	cm, err := l.Append(ctxOf(t), c)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if i%2 == 0 {
		wake(l.wakeCommitter)
		runtime.Gosched()
	}
	first, last, err = cm.Wait(ctxOf(t))
	if err != nil {
		t.Fatalf("Wait: %v", err)
	}
	return first, last
}

func TestAppendAndRead(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, SegmentSize: 16 << 10})
	c := l.Cursor("a", true)
	total := 0
	for i := range 50 {
		first, last := put(t, l, total, i+1)
		if first != uint64(total+1) || last != uint64(total+i+1) {
			t.Fatalf("Wait = %d, %d; want %d, %d", first, last, total+1, total+i+1)
		}
		total += i + 1
	}
	for round := range 3 {
		r := l.Reader(c)
		n := 0
		for n < total {
			b, err := r.Next(ctxOf(t))
			if err != nil {
				t.Fatal(err)
			}
			events, err := b.Events(nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				if events[i].Seq != uint64(n+1) {
					t.Fatalf("seq = %d, want %d", events[i].Seq, n+1)
				}
				want := event(n)
				want.Seq = events[i].Seq
				if !equalEvents(&events[i], want) {
					t.Fatalf("round %d: got %+v, want %+v", round, events[i], *want)
				}
				n++
			}
			b.Release()
		}
		if _, ok, err := r.TryNext(); ok || err != nil {
			t.Errorf("TryNext at the end = %v, %v", ok, err)
		}
		r.Close()
		if round == 1 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, Options{Dir: dir, SegmentSize: 16 << 10})
			c = l.Cursor("a", false)
		}
	}
	if l.Head() != uint64(total+1) {
		t.Errorf("Head = %d, want %d", l.Head(), total+1)
	}
}

// TestSince: a reader that has caught up hears since when the events of a block waited.
func TestSince(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	r := l.Reader(l.Cursor("a", true))
	for i, since := range []int64{0, 12345} {
		c := l.NewChunk()
		c.Add(event(i))
		c.Since(since)
		commit, err := l.Append(ctxOf(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := commit.Wait(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		b, err := r.Next(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		if b.Since() != since {
			t.Errorf("Since = %d, want %d", b.Since(), since)
		}
		b.Release()
	}
	r.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	r = l.Reader(l.Cursor("a", false))
	defer r.Close()
	for range 2 {
		b, err := r.Next(ctxOf(t))
		if err != nil || b.Since() != 0 {
			t.Errorf("from the disk: Since = %d, %v", b.Since(), err)
		}
		b.Release()
	}
}

func TestManyProducersAndReaders(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: 64 << 10})
	const producers, chunks, size = 20, 20, 10
	var wg sync.WaitGroup
	for r := range 4 {
		c := l.Cursor(fmt.Sprint("r", r), true)
		wg.Go(func() {
			rd := l.Reader(c)
			defer rd.Close()
			next := uint64(1)
			for next <= producers*chunks*size {
				b, err := rd.Next(ctxOf(t))
				if err != nil {
					t.Error(err)
					return
				}
				ev, err := b.Events(nil)
				if err != nil || b.First() != next || len(ev) != b.Count() {
					t.Errorf("block %d-%d, want %d: %v", b.First(), b.Last(), next, err)
				}
				next = b.Last() + 1
				c.Advance(next, Counts{Sent: uint64(b.Count())})
				b.Release()
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			for i := range chunks {
				put(t, l, p*1000+i, size)
			}
		})
	}
	wg.Wait()
	if got := l.Stats(); got.CorruptBlocks != 0 || got.LostEvents != 0 {
		t.Errorf("damage: %+v", got)
	}
}
