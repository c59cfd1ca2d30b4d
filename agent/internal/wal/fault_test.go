package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// faulty fails operation number n of those that match, and the next times-1.
type faulty struct {
	mu    sync.Mutex
	n     int
	times int
	err   error
	match func(op, path string) bool
	count int
	hit   []string
}

func (f *faulty) fault(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fake := op == "sync" || op == "syncdir" // no test needs real ones
	if op != "read" && (f.match == nil || f.match(op, path)) {
		f.count++
		if f.count >= f.n && f.count < f.n+f.times {
			f.hit = append(f.hit, op+" "+filepath.Base(path))
			if op == "write" && errors.Is(f.err, syscall.ENOSPC) {
				halfWrite(path)
			}
			return f.err
		}
	}
	if fake {
		return errLie
	}
	return nil
}

// halfWrite leaves behind what a write leaves that met a full disk.
func halfWrite(path string) {
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil {
		f.Write([]byte("\xa0\x05" + magic + "half of a block"))
		f.Close()
	}
}

// workload opens a log, puts events one chunk after the other, each again until
// it is stored, restarts in the middle, and returns the log at the end. Open
// may fail as often as the fault says.
func workload(t testing.TB, what, dir string, f *faulty) *Log {
	t.Helper()
	o := Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none", fullWait: time.Millisecond, disk: &disk{fault: f.fault}}
	openAgain := func() *Log {
		for range f.times + 1 {
			l, err := Open(o)
			if err == nil {
				return l
			}
			if len(f.hit) == 0 {
				t.Fatalf("%s: Open: %v", what, err)
			}
		}
		t.Fatalf("%s: the log does not open", what)
		return nil
	}
	l := openAgain()
	l.Cursor("c", true)
	n := uint64(0)
	for i := range 30 {
		size := 1 + i%7
		for tries := 0; ; tries++ {
			first, last, err := tryPut(t, l, int(n), size)
			if err == nil {
				if first != n+1 || last != n+uint64(size) {
					t.Fatalf("%s: %v: got %d-%d, want %d-%d", what, f.hit, first, last, n+1, n+uint64(size))
				}
				break
			}
			if tries > 10 {
				t.Fatalf("%s: still failing: %v", what, err)
			}
		}
		n += uint64(size)
		if i == 15 {
			l.Close() // it may fail: what is stored must not depend on it
			l = openAgain()
		}
	}
	return l
}

func tryPut(t testing.TB, l *Log, i, n int) (first, last uint64, err error) {
	c := l.NewChunk()
	for j := range n {
		c.Add(event(i + j))
	}
	c.Mark(agent.Mark{Key: "k", Pos: []byte(fmt.Sprint(i + n))})
	cm, err := l.Append(ctxOf(t), c)
	if err != nil {
		return 0, 0, err
	}
	if i%2 == 0 { // half of the chunks are left to the committer, if it is faster
		wake(l.wakeCommitter)
		runtime.Gosched()
	}
	return cm.Wait(ctxOf(t))
}

// TestNthFailure fails every file operation of a workload in turn, in several
// ways. Whatever is acknowledged is there, once, and the log goes on.
func TestNthFailure(t *testing.T) {
	kinds := []struct {
		name  string
		err   error
		times int
		match func(op, path string) bool
	}{
		{"EIO", syscall.EIO, 1, nil},
		{"ENOSPC", syscall.ENOSPC, 1, nil},
		{"EROFS twice", syscall.EROFS, 2, nil},
		{"sync", syscall.EIO, 1, func(op, _ string) bool { return op == "sync" || op == "syncdir" }},
		{"write", syscall.ENOSPC, 3, func(op, _ string) bool { return op == "write" }},
		{"rename", syscall.EIO, 1, func(op, _ string) bool { return op == "rename" }},
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			step := 1
			if !torture && k.match == nil {
				step = 7
			}
			dir := fastDir(t)
			tried := 0
			for n := 1; ; n += step {
				tried++
				os.RemoveAll(dir)
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				f := &faulty{n: n, times: k.times, err: k.err, match: k.match}
				what := fmt.Sprintf("%s at operation %d", k.name, n)
				l := workload(t, what, dir, f)
				if pos, ok := l.Mark("k"); !ok || string(pos) != fmt.Sprint(l.Head()-1) {
					t.Errorf("%s: mark = %s, head = %d", what, pos, l.Head())
				}
				s := &sample{head: l.Head()}
				for round := range 2 {
					seen := s.readAll(t, what, l, 0)
					if uint64(len(seen)) != l.Head()-1 {
						t.Fatalf("%s: %v: round %d: %d events are there of %d", what, f.hit, round, len(seen), l.Head()-1)
					}
					if st := l.Stats(); st.LostEvents != 0 || st.CorruptBlocks != 0 {
						t.Errorf("%s: %v: damage: %+v", what, f.hit, st)
					}
					l.Close()
					if round == 0 {
						var err error
						if l, err = Open(Options{Dir: dir, SegmentSize: 4 << 10, disk: noSync()}); err != nil {
							t.Fatal(err)
						}
					}
				}
				if len(f.hit) == 0 {
					t.Attr("trials", fmt.Sprint(tried))
					t.Logf("%d operations", n)
					break // no operation has that number
				}
			}
		})
	}
}

// TestLyingWrite: what a disk says it wrote and did not is found missing, and
// nothing else is.
func TestLyingWrite(t *testing.T) {
	for n := 1; n <= 30; n++ {
		dir := fastDir(t)
		f := &faulty{n: n, times: 1, err: errLie, match: func(op, _ string) bool { return op == "write" }}
		o := Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none", fullWait: time.Millisecond, disk: &disk{fault: f.fault}}
		l := open(t, o)
		l.Cursor("c", true)
		want := 0
		for i := range 30 {
			for {
				_, _, err := tryPut(t, l, 2*i, 2)
				if err == nil {
					break
				}
			}
			want += 2
		}
		head := l.Head()
		l.Close()
		l = open(t, o)
		seen := (&sample{}).readAll(t, fmt.Sprint("lie at ", n), l, 0)
		if len(seen) < int(head)-1-4 {
			t.Errorf("lie at %d: %d events of %d are there: %v", n, len(seen), head-1, f.hit)
		}
		l.Close()
	}
}

// TestRemovedDirectory: the log is made anew, and goes on with its numbers.
func TestRemovedDirectory(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none"})
	c := l.Cursor("c", true)
	n := 0
	for range 5 {
		put(t, l, n, 2)
		n += 2
	}
	if err := os.RemoveAll(walDir(dir)); err != nil {
		t.Fatal(err)
	}
	failed := false
	for range 200 {
		if _, _, err := tryPut(t, l, n, 10); err != nil {
			failed = true
		} else if failed {
			break
		}
	}
	if !failed {
		t.Error("nothing failed")
	}
	if _, _, err := tryPut(t, l, n, 10); err != nil {
		t.Errorf("not back: %v", err)
	}
	r := l.Reader(c)
	defer r.Close()
	for next := uint64(1); next < l.Head(); {
		b, ok, err := r.TryNext()
		if !ok || err != nil || b.First() > next {
			t.Fatalf("TryNext = %v, %v, want a block or a hole at %d", ok, err, next)
		}
		next = b.Last() + 1
		b.Release()
	}
}
