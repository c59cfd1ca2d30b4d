package wal

import (
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestUnreadable: a place that a disk in order cannot read is given up after a
// few tries and counted; while the disk is away nothing is, and all of it is
// there when it is back.
func TestUnreadable(t *testing.T) {
	for _, what := range []string{"headers", "payload"} {
		for _, away := range []bool{false, true} {
			var failing atomic.Bool
			l := open(t, Options{Dir: fastDir(t), Compression: "none", disk: &disk{fault: func(op, path string) error {
				switch {
				case op == "read" && failing.Load():
					return syscall.EIO
				case filepath.Base(path) == "probe.tmp" && failing.Load() && away:
					return syscall.EIO
				}
				return nil
			}}})
			put(t, l, 0, 10)
			r := l.Reader(l.Cursor("c", true))
			failing.Store(what == "headers")
			lost := false
			for range 3 * maxTries {
				b, ok, err := r.TryNext()
				if err != nil {
					continue
				}
				if !ok {
					t.Fatalf("%s: there is nothing", what)
				}
				failing.Store(true)
				for range 3 * maxTries {
					if _, err = b.Events(nil); b.Lost() {
						break
					}
				}
				if lost = b.Lost(); !lost && err == nil {
					t.Fatalf("%s: it was read", what)
				}
				b.Release()
				break
			}
			if lost == away {
				t.Errorf("%s, disk away %v: lost %v", what, away, lost)
			}
			if got := l.Stats().LostEvents; away && got != 0 || !away && got != 10 {
				t.Errorf("%s, disk away %v: %d events lost", what, away, got)
			}
			r.Close()
			if !away {
				continue
			}
			failing.Store(false)
			if seen := (&sample{}).readAll(t, what, l, 0); len(seen) != 10 {
				t.Errorf("%s: %d events are there again", what, len(seen))
			}
		}
	}
}
