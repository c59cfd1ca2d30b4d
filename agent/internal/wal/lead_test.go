package wal

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TestLead: who finds the log idle stores its chunk without the log's own goroutines.
func TestLead(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		l, err := newLog(Options{Dir: fastDir(t), SegmentSize: 4 << 10, Sync: sync})
		if err != nil {
			t.Fatal(err)
		}
		if l.lock, err = lockDir(l.opts.Dir); err != nil {
			t.Fatal(err)
		}
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		for i := range 60 { // several segments
			c := marked(l, i, "a")
			cm, err := l.Append(ctxOf(t), c)
			if err != nil {
				t.Fatal(err)
			}
			if first, last, err := cm.Wait(ctxOf(t)); err != nil || first != uint64(i+1) || last != first {
				t.Fatalf("%s: event %d: %d-%d, %v", sync, i, first, last, err)
			}
		}
		if got := l.Head(); sync == "always" && got != 61 || sync == "interval" && got != 1 {
			t.Errorf("%s: Head = %d", sync, got)
		}
		go l.commitLoop()
		go l.syncLoop()
		close(l.keeperEnded)
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", sync, err)
		}
		l = open(t, l.opts)
		if pos, _ := l.Mark("a"); string(pos) != "60" || l.Head() != 61 {
			t.Errorf("%s: after a start mark %s, head %d", sync, pos, l.Head())
		}
	}
}

// TestLeftInLine: a chunk that nobody waits for is written when the keeper comes round.
func TestLeftInLine(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), tick: 5 * time.Millisecond})
	cm, err := l.Append(ctxOf(t), marked(l, 0, "a"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "it is stored", func() bool { return l.Head() == 2 })
	if first, _, err := cm.Wait(ctxOf(t)); err != nil || first != 1 {
		t.Errorf("%d, %v", first, err)
	}
}

// TestLeaderHangs: a disk that does not answer holds the caller that leads, and no
// other beyond its deadline. Close waits for it.
func TestLeaderHangs(t *testing.T) {
	var armed atomic.Bool
	hung, release := make(chan struct{}), make(chan struct{})
	l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: func(op, path string) error {
		if op == "sync" && ofSegment(path) && armed.Swap(false) {
			close(hung)
			<-release
		}
		return nil
	}}})
	armed.Store(true)
	led := make(chan error)
	go func() {
		cm, err := l.Append(context.Background(), marked(l, 0, "a"))
		if err == nil {
			_, _, err = cm.Wait(context.Background())
		}
		led <- err
	}()
	<-hung
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	cm, err := l.Append(ctxOf(t), marked(l, 1, "b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cm.Wait(ctx); !errors.Is(err, agent.ErrFull) {
		t.Errorf("the next one: %v", err)
	}
	if cm, err = l.Append(ctxOf(t), marked(l, 2, "c")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	await(t, "it is closing", func() bool { return errors.Is(l.Ready(), agent.ErrClosed) })
	select {
	case err := <-closed:
		t.Fatalf("closed under the leader: %v", err)
	case err := <-led:
		t.Fatalf("answered without an fsync: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(release)
	if err := <-led; err != nil {
		t.Error(err)
	}
	if first, _, err := cm.Wait(ctxOf(t)); err != nil || first != 2 {
		t.Errorf("in line at the end: %d, %v", first, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestFullBeforeTheWait: a chunk that was left in line, and finds the log full when
// it is waited for, is the committer's, which looks for room.
func TestFullBeforeTheWait(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	space := func() (int64, int64, error) { return free.Load(), 1 << 41, nil }
	l := open(t, Options{Dir: fastDir(t), tick: time.Hour, fullWait: time.Millisecond, disk: &disk{space: space}})
	cm, err := l.Append(ctxOf(t), marked(l, 0, "a"))
	if err != nil {
		t.Fatal(err)
	}
	free.Store(0)
	l.lookAtSpace()
	if err := l.Ready(); !errors.Is(err, agent.ErrFull) {
		t.Fatalf("Ready = %v", err)
	}
	free.Store(1 << 40)
	if _, _, err := cm.Wait(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
