package wal

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := Open(Options{Dir: fastDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	c := l.Cursor("c", true)
	r := l.Reader(c)
	cm, err := l.Append(ctxOf(t), marked(l, 0, "a"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		b, err := r.Next(context.Background())
		if err == nil {
			b.Release()
			_, err = r.Next(context.Background())
		}
		got <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, agent.ErrClosed) {
		t.Errorf("Next = %v, want ErrClosed", err)
	}
	// What was in line before Close is stored.
	if _, _, err := cm.Wait(context.Background()); err != nil {
		t.Errorf("Wait = %v", err)
	}
	if _, err := l.Append(context.Background(), marked(l, 1, "a")); !errors.Is(err, agent.ErrClosed) {
		t.Errorf("Append = %v, want ErrClosed", err)
	}
	if err := l.Ready(); !errors.Is(err, agent.ErrClosed) {
		t.Errorf("Ready = %v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	r.Close()
}

// TestInterval: sync: interval answers before the fsync, shows events to
// readers after it, and counts what a broken disk takes.
func TestInterval(t *testing.T) {
	g := newGate()
	l := open(t, Options{Dir: fastDir(t), Sync: "interval", SyncInterval: 5 * time.Millisecond, disk: &disk{fault: g.fault}})
	c := l.Cursor("c", true)
	r := l.Reader(c)
	defer r.Close()
	put(t, l, 0, 5)
	b, err := r.Next(ctxOf(t))
	if err != nil || b.Last() != 5 {
		t.Fatalf("Next = %v, %v", b, err)
	}
	b.Release()
	g.fail.Store(true)
	g.shut.Store(true)
	put(t, l, 5, 3) // acknowledged, and not yet durable
	if got := l.Head(); got != 6 {
		t.Errorf("Head = %d before the fsync", got)
	}
	close(g.open)
	await(t, "the disk has failed", func() bool { return !g.shut.Load() && l.Ready() == nil && l.Head() == 9 })
	if first, _ := put(t, l, 8, 2); first != 9 {
		t.Errorf("the next event is %d, want 9: acknowledged numbers are not given twice", first)
	}
	b, err = r.Next(ctxOf(t))
	if err != nil || !b.Lost() || b.First() != 6 || b.Last() != 8 {
		t.Fatalf("Next = %+v, %v, want 6-8 lost", b, err)
	}
	b.Release()
	if b, err = r.Next(ctxOf(t)); err != nil || b.Lost() || b.First() != 9 {
		t.Errorf("Next = %+v, %v, want 9", b, err)
	}
	b.Release()
	if st := l.Stats(); st.LostEvents != 3 {
		t.Errorf("stats: %+v", st)
	}
}

func TestLocked(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir})
	_, err := Open(Options{Dir: dir})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != syscall.Getpid() {
		t.Errorf("err = %v, want a LockedError with our pid", err)
	}
	if _, err := Repair(dir, nil); !errors.As(err, &locked) {
		t.Errorf("Repair = %v, want a LockedError", err)
	}
	l.Close()
	open(t, Options{Dir: dir})
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Compression: "lz4"}, {Sync: "never"}, {WhenFull: "explode"}} {
		o.Dir = t.TempDir()
		var ke *agent.KeyError
		if _, err := Open(o); !errors.As(err, &ke) {
			t.Errorf("%+v: err = %v, want a KeyError", o, err)
		}
	}
}
