package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// await waits until f is true.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// fill appends until the log is full, and returns how many events it took.
// Append's deadline counts for as long as the log is full; what is being
// written is waited for, so that a slow disk is not taken for a full one.
func fill(t testing.TB, l *Log) int {
	t.Helper()
	for n := 0; ; n += 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		c := l.NewChunk()
		for j := range 20 {
			c.Add(event(n + j))
		}
		cm, err := l.Append(ctx, c)
		if err == nil {
			_, _, err = cm.Wait(ctxOf(t))
		}
		cancel()
		if errors.Is(err, agent.ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
	}
}

func TestFullBlocks(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), MaxSize: 64 << 10, Compression: "none"})
	c := l.Cursor("slow", true)
	n := fill(t, l)
	if st := l.Stats(); !st.Full || st.Bytes > 64<<10 || uint64(n) != l.Head()-1 {
		t.Errorf("full at %d events: %+v", n, st)
	}
	if err := l.Ready(); !errors.Is(err, agent.ErrFull) {
		t.Errorf("Ready = %v", err)
	}
	// What it had no room for has left the line, and a look finds some for less.
	l.lookAtSpace()
	if err := l.Ready(); !errors.Is(err, agent.ErrFull) {
		t.Errorf("after a look at an empty line Ready = %v", err)
	}
	// A cancelled append is no full log.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ch := l.NewChunk()
	ch.Add(event(0))
	if _, err := l.Append(ctx, ch); !errors.Is(err, context.Canceled) {
		t.Errorf("Append = %v, want canceled", err)
	}
	// Delivered, saved, truncated: room again, by itself.
	half := uint64(n / 2)
	c.Advance(half, Counts{Sent: half - 1})
	put(t, l, n, 20)
	if err := l.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
	st := l.Stats()
	if st.FirstSeq == 1 || st.FirstSeq > half {
		t.Errorf("first event is %d, the cursor is at %d", st.FirstSeq, half)
	}
	if got := l.Settled(); got != half {
		t.Errorf("Settled = %d, want %d", got, half)
	}
}

// TestSmallLog: a log of a mebibyte has room for producers that together have
// more in line than it holds, one after the other, as its reader goes on.
func TestSmallLog(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), MaxSize: 1 << 20, Compression: "none", tick: 10 * time.Millisecond})
	c := l.Cursor("quick", true)
	ctx := ctxOf(t)
	var producers sync.WaitGroup
	errs := make(chan error, 32)
	for p := range 32 {
		producers.Go(func() {
			for range 4 {
				chunk := l.NewChunk()
				for i := range 200 {
					e := event(p)
					e.Body = append([]byte(nil), strings.Repeat("x", 400+i)...)
					chunk.Add(e)
				}
				cm, err := l.Append(ctx, chunk)
				if err == nil {
					_, _, err = cm.Wait(ctx)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { producers.Wait(); close(done) }()
	for {
		select {
		case err := <-errs:
			t.Fatal(err)
		case <-done:
			if got := l.Head() - 1; got != 32*4*200 {
				t.Errorf("%d events", got)
			}
			return
		case <-time.After(time.Millisecond):
			if from, to := c.Seq(), l.Head(); from < to {
				c.Advance(to, Counts{Sent: to - from})
			}
		}
	}
}

// A passing context's deadline is over when the test says so.
type passing struct {
	context.Context
	over chan struct{}
}

func (p passing) Done() <-chan struct{} { return p.over }

func (p passing) Err() error {
	select {
	case <-p.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestFullInLine: who is in line already when the log turns out to be full waits
// no longer for room than who comes after.
func TestFullInLine(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	d := noSync()
	d.space = func() (int64, int64, error) { return free.Load(), 2 << 30, nil }
	l := open(t, Options{Dir: fastDir(t), MinFree: agent.Portion{Percent: 10}, disk: d, tick: time.Hour})
	put(t, l, 0, 1)
	free.Store(200 << 20) // below 10% of 2 GiB, which nobody has seen yet
	l.mu.Lock()
	l.full.free, l.full.total, l.full.looked = free.Load(), 2<<30, true
	l.mu.Unlock()
	type result struct {
		first uint64
		err   error
	}
	store := func(append, wait context.Context, mark string) (r result) {
		c := l.NewChunk()
		c.Add(event(0))
		if mark != "" {
			c.Mark(agent.Mark{Key: mark, Pos: []byte("1")})
		}
		cm, err := l.Append(append, c)
		if err != nil {
			return result{err: err}
		}
		r.first, _, r.err = cm.Wait(wait)
		return r
	}
	inLine := func(n int) {
		t.Helper()
		await(t, fmt.Sprint(n, " are in line"), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			left := n
			for c := l.line.head; c != nil; c = c.next {
				left--
			}
			return left == 0
		})
	}
	ctx := ctxOf(t)
	short := passing{ctx, make(chan struct{})}
	ending, stop := context.WithCancel(ctx)
	defer stop()
	c := l.NewChunk()
	c.Add(event(0))
	cm, err := l.Append(ending, c)
	if err != nil {
		t.Fatal(err)
	}
	hasty, sameSource, stopped, patient := make(chan result, 1), make(chan result, 1), make(chan result, 1), make(chan result, 1)
	go func() { hasty <- store(short, ctx, "k") }()
	inLine(2)
	go func() { _, _, err := cm.Wait(ctx); stopped <- result{err: err} }()
	go func() { sameSource <- store(ctx, ctx, "k") }()
	go func() { patient <- store(ctx, ctx, "") }()
	inLine(4)
	close(short.over)
	if r := <-hasty; !errors.Is(r.err, agent.ErrFull) || ctx.Err() != nil {
		t.Errorf("err = %v, want ErrFull before the caller gives up", r.err)
	}
	if r := <-sameSource; !errors.Is(r.err, errBehind) {
		t.Errorf("err = %v, want that an earlier part was not stored", r.err)
	}
	stop()
	if r := <-stopped; !errors.Is(r.err, agent.ErrFull) || ctx.Err() != nil {
		t.Errorf("err = %v, want ErrFull once the caller of Append gives up", r.err)
	}
	free.Store(1 << 30)
	if r := <-patient; r.err != nil || r.first != 2 {
		t.Errorf("the patient one has event %d, %v; want 2", r.first, r.err)
	}
}

// TestDropOldestForNobody: a log that drops its oldest events has room again also
// when who found none has gone, and nobody comes before it says so.
func TestDropOldestForNobody(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), MaxSize: 64 << 10, Compression: "none", WhenFull: "drop_oldest", tick: 10 * time.Millisecond})
	l.Cursor("slow", true)
	for n := 0; l.Stats().Bytes < 50<<10; n += 20 {
		put(t, l, n, 20)
	}
	l.mu.Lock()
	l.full.need = l.opts.MaxSize / 4 // as of a large chunk
	room := l.hasRoomLocked()
	l.mu.Unlock()
	if room {
		t.Fatal("there is room for it")
	}
	await(t, "the log is ready", func() bool { return l.Ready() == nil })
}

func TestDropOldest(t *testing.T) {
	dir := fastDir(t)
	o := Options{Dir: dir, MaxSize: 64 << 10, Compression: "none", WhenFull: "drop_oldest"}
	l := open(t, o)
	slow, quick := l.Cursor("slow", true), l.Cursor("quick", true)
	r, late := l.Reader(slow), l.Reader(slow)
	defer r.Close()
	defer late.Close()
	n := 0
	for range 100 {
		ch := l.NewChunk()
		foreign := n%200 == 0
		if foreign {
			ch.Target([]string{"quick"})
		}
		for j := range 20 {
			ch.Add(event(n + j))
		}
		cm, err := l.Append(ctxOf(t), ch)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cm.Wait(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		n += 20
		quick.Advance(l.Head(), Counts{Sent: 20})
	}
	if got, want := quick.Counts(), (Counts{Sent: uint64(n)}); got != want {
		t.Errorf("quick: %+v, want %+v", got, want)
	}
	counts := slow.Counts()
	if counts.Expired == 0 || counts.Foreign == 0 || counts.Total() != slow.Seq()-slow.Start() {
		t.Errorf("slow: %+v at %d", counts, slow.Seq())
	}
	if counts.Foreign+l.ForeignAhead(slow) != 200 {
		t.Errorf("foreign: %d passed, %d ahead, want 200 in all", counts.Foreign, l.ForeignAhead(slow))
	}
	// The runner did not notice yet: it reads on from 1. What is still in
	// memory it gets all the same.
	for next := uint64(1); next < slow.Seq(); {
		b, ok, err := r.TryNext()
		if !ok || err != nil || b.First() > next {
			t.Fatalf("TryNext at %d = %v, %v", next, ok, err)
		}
		d := Counts{Sent: b.Last() + 1 - next}
		switch {
		case b.Lost():
			d = Counts{Expired: d.Sent}
		case !b.For("slow"):
			d = Counts{Foreign: d.Sent}
		}
		next = b.Last() + 1
		slow.Advance(next, d)
		b.Release()
	}
	if counts := slow.Counts(); counts.Total() != slow.Seq()-slow.Start() {
		t.Errorf("slow after the hole: %+v at %d", counts, slow.Seq())
	}
	l.mu.Lock()
	l.warm.drop()
	l.mu.Unlock()
	if b, ok, err := late.TryNext(); err != nil || !ok || !b.Lost() || b.First() != 1 {
		t.Fatalf("from the disk: %v, %v, %v", b, ok, err)
	}
	if st := l.Stats(); st.LostEvents != 0 || st.CorruptBlocks != 0 {
		t.Errorf("what made room counts as damage: %d events lost, %d blocks", st.LostEvents, st.CorruptBlocks)
	}
	l.Close()
	l = open(t, o)
	if got := l.Cursor("slow", false); got.Seq() != slow.Seq() || got.Counts() != slow.Counts() {
		t.Errorf("after a start: %+v at %d", got.Counts(), got.Seq())
	}
}

// TestOvertaken: the log moves a cursor past events that are in flight, and
// then they arrive all the same.
func TestOvertaken(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t)})
	put(t, l, 0, 100)
	c := l.Cursor("c", true)
	c.Advance(11, Counts{Sent: 10})
	l.mu.Lock()
	c.moveLocked(51, nil)
	l.mu.Unlock()
	if got, want := c.Counts(), (Counts{Sent: 10, Expired: 40}); got != want || c.Seq() != 51 {
		t.Errorf("moved: %+v at %d", got, c.Seq())
	}
	c.Advance(31, Counts{Sent: 15, Filtered: 5})
	if got, want := c.Counts(), (Counts{Sent: 25, Filtered: 5, Expired: 20}); got != want || c.Seq() != 51 {
		t.Errorf("told: %+v at %d", got, c.Seq())
	}
	c.Advance(71, Counts{Sent: 40})
	if got, want := c.Counts(), (Counts{Sent: 65, Filtered: 5}); got != want || c.Seq() != 71 {
		t.Errorf("past it: %+v at %d", got, c.Seq())
	}
	c.Adjust(Change{Sent: -5, Failed: 5})
	c.Adjust(Change{Failed: -7, Expired: 5})
	if got, want := c.Counts(), (Counts{Sent: 60, Expired: 5, Filtered: 5}); got != want {
		t.Errorf("adjusted: %+v", got)
	}
}

func TestMinFree(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	d := noSync()
	d.space = func() (int64, int64, error) { return free.Load(), 2 << 30, nil }
	l := open(t, Options{Dir: fastDir(t), MinFree: agent.Portion{Percent: 10}, disk: d})
	put(t, l, 0, 1)
	free.Store(200 << 20) // below 10% of 2 GiB
	l.lookAtSpace()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	c := l.NewChunk()
	c.Add(event(0))
	cm, err := l.Append(ctx, c)
	if err == nil {
		_, _, err = cm.Wait(ctx)
	}
	if !errors.Is(err, agent.ErrFull) {
		t.Errorf("err = %v, want ErrFull", err)
	}
	free.Store(1 << 30)
	await(t, "there is room", func() bool { return l.Ready() == nil })
	put(t, l, 1, 1)
}

// TestFullDisk fills a real, small filesystem with other people's files.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: a full disk needs root to mount a small tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no tmpfs can be mounted: %v: %s", err, out)
	}
	defer exec.Command("umount", "-l", dir).Run()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: data, SegmentSize: 64 << 10, Compression: "none", tick: 100 * time.Millisecond, fullWait: 100 * time.Millisecond}
	l := open(t, o)
	await(t, "the ballast is there", func() bool { _, err := os.Stat(l.ballastPath()); return err == nil })
	if err := os.WriteFile(filepath.Join(dir, "others"), make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c := l.Cursor("c", true)
	stored := 0
	for round := range 3 {
		// Until the disk is full.
		for failed := 0; failed < 3; {
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			ch := l.NewChunk()
			for j := range 500 {
				ch.Add(event(stored + j))
			}
			cm, err := l.Append(ctx, ch)
			cancel()
			if err == nil {
				// Long enough for what is being written: a deadline then
				// would leave open whether it was stored.
				_, _, err = cm.Wait(ctxOf(t))
			}
			if err == nil {
				stored += 500
			} else {
				failed++
			}
		}
		if err := l.Ready(); err == nil {
			t.Errorf("round %d: Ready on a full disk", round)
		}
		if got := l.Head(); got != uint64(stored)+1 {
			t.Errorf("round %d: Head = %d, acknowledged %d", round, got, stored)
		}
		if round == 1 { // also over a restart
			l.Close()
			var err error
			if l, err = Open(o); err != nil {
				t.Fatalf("Open on a full disk: %v", err)
			}
			c = l.Cursor("c", false)
		}
		// Everything is readable, and delivering it makes room without help.
		seen := (&sample{}).readAll(t, fmt.Sprint("round ", round), l, 0)
		if want := stored - int(c.Seq()) + 1; len(seen) != want {
			t.Errorf("round %d: %d events are there, want %d", round, len(seen), want)
		}
		c.Advance(l.Head(), Counts{Sent: l.Head() - c.Seq()})
		await(t, "the log is writable again", func() bool { return l.Ready() == nil && l.Stats().Segments < 10 })
	}
	if st := l.Stats(); st.LostEvents != 0 || st.CorruptBlocks != 0 {
		t.Errorf("damage: %+v", st)
	}
	l.Close()
}
