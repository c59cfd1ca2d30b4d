package wal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// gate holds back fsyncs of segments until it is opened.
type gate struct {
	shut atomic.Bool
	open chan struct{}
	fail atomic.Bool
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

// ofSegment reports whether path is in wal/, and not the state, which the keeper saves when it comes round.
func ofSegment(path string) bool { return filepath.Base(filepath.Dir(path)) == "wal" }

func (g *gate) fault(op, path string) error {
	if op == "sync" && ofSegment(path) && g.shut.Load() {
		<-g.open
		if g.fail.Load() {
			g.shut.Store(false)
			return syscall.EIO
		}
	}
	if op == "sync" || op == "syncdir" {
		return errLie
	}
	return nil
}

func marked(l *Log, i int, key string) *Chunk {
	c := l.NewChunk()
	c.Add(event(i))
	c.Mark(agent.Mark{Key: key, Pos: []byte(fmt.Sprint(i + 1))})
	return c
}

// TestFailureTakesThoseBehind: after a failed commit nothing behind it from
// the same source is stored, until its input has begun again.
func TestFailureTakesThoseBehind(t *testing.T) {
	g := newGate()
	l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: g.fault}})
	put(t, l, 0, 1)
	g.shut.Store(true)
	g.fail.Store(true)
	var cms []*Commit
	for i := 1; i < 4; i++ {
		cm, err := l.Append(ctxOf(t), marked(l, i, "a"))
		if err != nil {
			t.Fatal(err)
		}
		cms = append(cms, cm)
	}
	close(g.open)
	for i, cm := range cms {
		if _, _, err := cm.Wait(ctxOf(t)); err == nil {
			t.Errorf("commit %d did not fail", i+1)
		}
		if i == 0 {
			if _, err := l.Append(ctxOf(t), marked(l, 9, "a")); !errors.Is(err, errBehind) {
				t.Errorf("Append behind a failed commit = %v", err)
			}
			// Another source has nothing to do with it.
			cm, err := l.Append(ctxOf(t), marked(l, 5, "b"))
			if err != nil {
				t.Fatal(err)
			}
			if first, _, err := cm.Wait(ctxOf(t)); err != nil || first != 2 {
				t.Errorf("other source: %d, %v", first, err)
			}
		}
	}
	if pos, ok := l.Mark("a"); ok {
		t.Errorf("mark a = %s, nothing of it was stored", pos)
	}
	cm, err := l.Append(ctxOf(t), marked(l, 1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cm.Wait(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if pos, _ := l.Mark("a"); string(pos) != "2" {
		t.Errorf("mark a = %s, want 2", pos)
	}
	if len(l.Marks("")) != 2 || len(l.Marks("b")) != 1 {
		t.Errorf("marks: %v", l.Marks(""))
	}
	// Forgetting a key.
	c := l.NewChunk()
	c.Mark(agent.Mark{Key: "a"})
	if cm, err = l.Append(ctxOf(t), c); err != nil {
		t.Fatal(err)
	}
	if first, last, err := cm.Wait(ctxOf(t)); first != 0 || last != 0 || err != nil {
		t.Errorf("a chunk without events: %d, %d, %v", first, last, err)
	}
	if _, ok := l.Mark("a"); ok {
		t.Error("mark a is still there")
	}
}

// TestGroupCommit: what comes during an fsync shares the next one.
func TestGroupCommit(t *testing.T) {
	g := newGate()
	var writes atomic.Int32
	l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: func(op, path string) error {
		if op == "write" && ofSegment(path) {
			writes.Add(1)
		}
		return g.fault(op, path)
	}}})
	g.shut.Store(true)
	var cms []*Commit
	for i := range 50 {
		cm, err := l.Append(ctxOf(t), marked(l, i, "a"))
		if err != nil {
			t.Fatal(err)
		}
		cms = append(cms, cm)
		if i == 0 {
			wake(l.wakeCommitter)
			await(t, "the first is written", func() bool { return writes.Load() == 1 })
		}
	}
	g.shut.Store(false)
	close(g.open)
	for i, cm := range cms {
		if first, last, err := cm.Wait(ctxOf(t)); err != nil || first != uint64(i+1) || last != first {
			t.Errorf("commit %d: %d-%d, %v", i, first, last, err)
		}
	}
	if n := writes.Load(); n != 2 {
		t.Errorf("%d blocks, want one for the first and one for the rest", n)
	}
}

// TestWaitGivesUp: a chunk that is still in line when its context ends is taken back.
func TestWaitGivesUp(t *testing.T) {
	g := newGate()
	l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: g.fault}})
	g.shut.Store(true)
	first, err := l.Append(ctxOf(t), marked(l, 0, "a"))
	if err != nil {
		t.Fatal(err)
	}
	wake(l.wakeCommitter)
	await(t, "the first has left the line", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return first.chunk == nil })
	second, err := l.Append(ctxOf(t), marked(l, 1, "b"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, _, err := second.Wait(ctx); !errors.Is(err, agent.ErrFull) {
		t.Errorf("in line: %v, want ErrFull", err)
	}
	if _, _, err := first.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("being written: %v, want the context's error", err)
	}
	g.shut.Store(false)
	close(g.open)
	await(t, "the first is durable", func() bool { return l.Head() == 2 })
	if _, ok := l.Mark("b"); ok {
		t.Error("what was taken back is there")
	}
}

// TestLineIsBounded: Append blocks while too much waits.
func TestLineIsBounded(t *testing.T) {
	g := newGate()
	l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: g.fault}, Compression: "none"})
	g.shut.Store(true)
	big := event(0)
	big.Body = append(big.Body, make([]byte, 900<<10)...)
	taken := 0
	var cms []*Commit
	for range 100 {
		c := l.NewChunk()
		c.Add(big)
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		cm, err := l.Append(ctx, c)
		defer cancel()
		if err != nil {
			if !errors.Is(err, agent.ErrFull) {
				t.Errorf("err = %v", err)
			}
			break
		}
		cms = append(cms, cm)
		taken += 900 << 10
		if len(cms) == 1 { // what fits in the line behind it is taken at once
			wake(l.wakeCommitter)
			await(t, "the first has left the line", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return cm.chunk == nil })
		}
	}
	if limit := lineLimit + unsyncedLimit + 3<<20; taken > limit || taken < lineLimit {
		t.Errorf("%d bytes were taken, want at most %d", taken, limit)
	}
	g.shut.Store(false)
	close(g.open)
	for _, cm := range cms {
		if _, _, err := cm.Wait(ctxOf(t)); err != nil {
			t.Error(err)
		}
	}
	if got := l.Head(); got != uint64(len(cms))+1 {
		t.Errorf("Head = %d, want %d", got, len(cms)+1)
	}
}

func TestTooLarge(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), MaxSize: 1 << 20})
	c := l.NewChunk()
	e := event(0)
	e.Body = make([]byte, 600<<10)
	c.Add(e)
	if _, err := l.Append(ctxOf(t), c); !errors.Is(err, agent.ErrBatchTooLarge) {
		t.Errorf("err = %v", err)
	}
}

// TestLargeBlocks: a chunk larger than a block is a block of its own.
func TestLargeBlocks(t *testing.T) {
	for _, codec := range []string{"none", "s2", "zstd"} {
		l := open(t, Options{Dir: fastDir(t), Compression: codec})
		c := l.Cursor("c", true)
		for _, n := range []int{1, 12_000, 5} {
			put(t, l, int(l.Head())-1, n)
		}
		seen := (&sample{}).readAll(t, codec, l, 0)
		if len(seen) != 12_006 {
			t.Errorf("%s: %d events", codec, len(seen))
		}
		if codec != "none" && l.Stats().Bytes > 512<<10 {
			t.Errorf("%s: %d bytes on disk", codec, l.Stats().Bytes)
		}
		c.Close()
	}
}
