package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// unsyncedLog is a copy of a log whose blocks were all written and none
// fsynced, each with a mark of the same source.
func unsyncedLog(t *testing.T, puts int) *sample {
	t.Helper()
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, Compression: "none", Sync: "interval", SyncInterval: time.Hour, tick: time.Hour})
	n := 0
	for range puts {
		n += putMarked(t, l, n, 10)
	}
	s := &sample{files: map[string][]byte{}, opts: Options{Compression: "none"}}
	for name, data := range snapshotDir(t, dir) {
		if filepath.Base(name) != "ballast" {
			s.files[name] = []byte(data)
		}
	}
	copied := fastDir(t)
	s.install(t, copied, func(map[string][]byte) {})
	s.locate(t, copied)
	if len(s.blocks) != puts {
		t.Fatalf("%d blocks, want %d", len(s.blocks), puts)
	}
	return s
}

func putMarked(t testing.TB, l *Log, i, n int) int {
	t.Helper()
	if _, _, err := tryPut(t, l, i, n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOutOfOrder: a power cut between two fsyncs leaves a block behind one
// that was never written. Its mark must not claim the lines of that one.
func TestOutOfOrder(t *testing.T) {
	s := unsyncedLog(t, 4)
	second := s.blocks[1]
	for _, c := range []struct {
		name   string
		change func(b []byte)
		events int
		mark   string
		clean  bool
	}{
		{"nothing", func([]byte) {}, 40, "40", true},
		{"never written", func(b []byte) { clear(b[second.from:second.to]) }, 10, "10", true},
		{"a sector never written", func(b []byte) {
			at := (second.from/sector + 1) * sector
			clear(b[at:min(at+sector, second.to)])
		}, 10, "10", true},
		// Nobody knows whether its fsync came before the damage.
		{"a wrong bit", func(b []byte) { b[second.to-5] ^= 4 }, 30, "10", false},
		{"a wrong bit in the header", func(b []byte) { b[second.from+20] ^= 4 }, 30, "10", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := fastDir(t)
			s.install(t, dir, func(files map[string][]byte) { c.change(files[s.tail]) })
			r, err := Verify(dir)
			if err != nil || r.Clean() != c.clean {
				t.Errorf("Verify = %+v, %v; clean: want %v", r, err, c.clean)
			}
			for round := range 2 {
				l := open(t, Options{Dir: dir, Compression: "none"})
				if seen := s.readAll(t, c.name, l, 0); len(seen) != c.events {
					t.Errorf("start %d: %d events, want %d", round, len(seen), c.events)
				}
				if pos, _ := l.Mark("k"); string(pos) != c.mark {
					t.Errorf("start %d: mark = %s, want %s", round, pos, c.mark)
				}
				if lost := l.Stats().LostEvents; round == 0 && (lost == 0) != c.clean {
					t.Errorf("%d events count as lost", lost)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestOutOfOrderKnown: a later block, or the state, tells that the damaged one
// was fsynced, so all behind it is good.
func TestOutOfOrderKnown(t *testing.T) {
	s := newSample(t, "none", []int{10, 10, 10, 10})
	dir := fastDir(t)
	second := s.blocks[1]
	s.install(t, dir, func(files map[string][]byte) {
		clear(files[second.path][second.from:second.to])
		delete(files, "state.json")
		delete(files, "state.json.old")
	})
	l := open(t, Options{Dir: dir})
	if seen := s.readAll(t, "zeros", l, 0); len(seen) != 30 {
		t.Errorf("%d events, want 30", len(seen))
	}
}

// TestCutFromTheEnd: a kill between two removals of what was not acknowledged
// leaves no segment without those before it.
func TestCutFromTheEnd(t *testing.T) {
	dir := fastDir(t)
	var mu sync.Mutex
	var removed, copies []string
	failing := false
	fault := func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op == "sync" || op == "syncdir":
			return errLie
		case op == "write" && failing:
			failing = false
			return syscall.EIO
		case op == "remove" && filepath.Dir(path) == walDir(dir):
			removed = append(removed, filepath.Base(path))
			to := filepath.Join(fastDir(t), "data")
			if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
			copies = append(copies, to)
		}
		return nil
	}
	l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none", Sync: "interval", SyncInterval: time.Hour, tick: time.Hour, disk: &disk{fault: fault}})
	n := 0
	for range 30 {
		n += putMarked(t, l, n, 10)
	}
	mu.Lock()
	failing = true
	mu.Unlock()
	if _, _, err := tryPut(t, l, n, 10); err == nil {
		t.Fatal("nothing failed")
	}
	await(t, "the log is back", func() bool { return l.Ready() == nil })
	mu.Lock()
	defer mu.Unlock()
	if len(removed) < 3 || !slices.IsSortedFunc(removed, func(a, b string) int { return -cmpStrings(a, b) }) {
		t.Errorf("removed %v, want several, the last first", removed)
	}
	for i, dir := range copies {
		l := open(t, Options{Dir: dir, SegmentSize: 4 << 10})
		l.Cursor("c", true)
		seen := (&sample{}).readAll(t, fmt.Sprint("after removal ", i), l, 0)
		if pos, _ := l.Mark("k"); string(pos) != fmt.Sprint(len(seen)) && len(seen) > 0 {
			t.Errorf("after removal %d: %d events, mark %s", i, len(seen), pos)
		}
		if st := l.Stats(); st.LostEvents > 0 || st.CorruptBlocks > 0 {
			t.Errorf("after removal %d: %+v", i, st)
		}
	}
}

func cmpStrings(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}
