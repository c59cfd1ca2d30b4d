package wal

import (
	"testing"
	"time"
)

// TestFarCursorIsSaved: after a crash a fast output repeats what it delivered
// since its cursor was saved. That is not put off for a second.
func TestFarCursorIsSaved(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, Compression: "none", tick: time.Hour})
	put(t, l, 0, farMoved+1)
	c := l.Cursor("fast", true)
	c.Advance(farMoved+1, Counts{Sent: farMoved})
	deadline := time.Now().Add(time.Minute)
	for {
		st, _, err := readState(dir)
		if err == nil && st != nil && st.Cursors["fast"].Seq == farMoved+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cursor is not on disk: %+v, %v", st, err)
		}
		time.Sleep(time.Millisecond)
	}
}
