package wal

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestTruncationStall: while segments are removed, however long the disk takes
// for each, appends and the state go on.
func TestTruncationStall(t *testing.T) {
	var armed atomic.Bool
	removing, goOn, over := make(chan string), make(chan struct{}), make(chan struct{})
	dir := fastDir(t)
	d := &disk{fault: func(op, path string) error {
		switch {
		case op == "sync" || op == "syncdir":
			return errLie
		case op == "remove" && ofSegment(path) && armed.Load():
			select {
			case removing <- path:
				select {
				case <-goOn:
				case <-over:
				}
			case <-over:
			}
		}
		return nil
	}}
	l := open(t, Options{Dir: dir, Compression: "none", disk: d, SegmentSize: 64 << 10, tick: 10 * time.Millisecond})
	defer close(over)
	c := l.Cursor("c", true)
	big := event(0)
	big.Body = append(big.Body, make([]byte, 70<<10)...) // fills a segment
	const segments = 3 * removeAtOnce / 2
	for l.Stats().Segments <= segments {
		ch := l.NewChunk()
		ch.Add(big)
		cm, err := l.Append(ctxOf(t), ch)
		if err == nil {
			_, _, err = cm.Wait(ctxOf(t))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Lock()
	seq, last := l.durable.seq, l.segs[segments].path
	l.mu.Unlock()
	armed.Store(true)
	c.Advance(seq, Counts{Sent: seq - 1})
	for i := range segments {
		var path string
		select {
		case path = <-removing:
		case <-ctxOf(t).Done():
			t.Fatalf("%d of %d segments were removed", i, segments)
		}
		if filepath.Base(path) >= filepath.Base(last) {
			t.Fatalf("%s is removed, the last finished one is before %s", path, last)
		}
		if i == 0 || i == removeAtOnce-1 || i == segments-1 {
			done := make(chan error, 1)
			go func() {
				for j := range 6 { // led by the caller, or by the committer
					if _, _, err := tryPut(t, l, j, 1); err != nil {
						done <- err
						return
					}
				}
				done <- l.saveState()
			}()
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
			case <-ctxOf(t).Done():
				t.Fatalf("removal %d: appends wait for it", i)
			}
			if got := l.Settled(); got != seq {
				t.Errorf("Settled = %d, want %d", got, seq)
			}
		}
		// A round of removals has its end, so that the keeper gets to its other work.
		if left := l.Stats().Segments; i < removeAtOnce && left != 1+segments-removeAtOnce {
			t.Errorf("removal %d: %d segments are left", i, left)
		}
		goOn <- struct{}{}
	}
	armed.Store(false)
	await(t, "one is left", func() bool { return l.Stats().Segments == 1 })
}

// TestRemovedIsNoDamage: a reader whose cursor is gone holds nothing back. What was
// removed before it came is missing, and nobody calls that damage.
func TestRemovedIsNoDamage(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), Compression: "none", SegmentSize: 64 << 10, tick: 10 * time.Millisecond})
	c, gone := l.Cursor("c", true), l.Cursor("gone", true)
	r := l.Reader(gone)
	defer r.Close()
	gone.Close()
	if err := l.Purge("gone"); err != nil {
		t.Fatal(err)
	}
	for n := 0; l.Stats().Segments < 4; n += 100 {
		put(t, l, n, 100)
	}
	c.Advance(l.Head(), Counts{Sent: l.Head() - 1})
	await(t, "the segments are removed", func() bool { return l.Stats().Segments == 1 })
	l.mu.Lock()
	l.warm.drop()
	l.mu.Unlock()
	b, ok, err := r.TryNext()
	if err != nil || !ok || !b.Lost() {
		t.Fatalf("TryNext = %v, %v, %v", b, ok, err)
	}
	if st := l.Stats(); st.LostEvents != 0 {
		t.Errorf("%d events count as lost to damage", st.LostEvents)
	}
}
