package wal

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Where not a byte can be written the log opens all the same, so that what it
// holds is delivered, and saves its state once there is room.
func TestOpensOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	l.Cursor("c", true)
	put(t, l, 1, 10)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	full.Store(true)
	l = open(t, Options{Dir: dir, disk: &disk{fault: func(op, path string) error {
		if full.Load() && (op == "write" || strings.HasSuffix(path, ".tmp")) {
			return syscall.ENOSPC
		}
		return nil
	}}})
	c := l.Cursor("c", true)
	b, err := l.Reader(c).Next(ctxOf(t))
	if err != nil || b.Count() != 10 {
		t.Fatalf("the log has %v, %v", b, err)
	}
	b.Release()
	c.Advance(11, Counts{Sent: 10})
	full.Store(false)
	await(t, "the state is saved", func() bool {
		st, err := peekState(dir)
		return err == nil && st.Cursors["c"].Seq == 11
	})
}
