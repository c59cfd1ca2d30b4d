package wal

import (
	"testing"
	"time"
)

// TestTruncationStall: while segments of the default size are removed no
// append waits longer than 20 ms for it. On a busy machine any append may wait
// longer for its turn, so it is tried again: a stall of truncation's own shows
// every time.
func TestTruncationStall(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), Compression: "none", disk: noSync(), tick: 200 * time.Millisecond})
	c := l.Cursor("c", true)
	segments := 100
	if testing.Short() || raceEnabled {
		segments = 20
	}
	const limit = 20 * time.Millisecond
	least := time.Hour
	for try := 0; try < 8 && least > limit; try++ {
		least = min(least, truncationStall(t, l, c, segments))
	}
	if least > limit {
		t.Errorf("each truncation made an append wait %v longer or more, want at most %v", least, limit)
	}
}

// truncationStall fills segments, lets go of them, and is the longest time that
// an append takes until they are gone, less what it takes anyway.
func truncationStall(t *testing.T, l *Log, c *Cursor, segments int) (longest time.Duration) {
	t.Helper()
	big := event(0)
	big.Body = append(big.Body, make([]byte, 900<<10)...)
	for l.Stats().Segments <= segments {
		ch := l.NewChunk()
		ch.Add(big)
		cm, err := l.Append(ctxOf(t), ch)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cm.Wait(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(l.Head(), Counts{Sent: l.Head() - c.Seq()})
	began := time.Now()
	longest = longestAppend(t, l, func() bool { return l.Stats().Segments <= 2 })
	took := time.Since(began)
	// What a busy machine does to appends in as much time without truncation.
	began = time.Now()
	usual := longestAppend(t, l, func() bool { return time.Since(began) > took })
	t.Logf("%d segments removed: the longest append took %v, %v without", segments, longest, usual)
	return longest - usual
}

func longestAppend(t *testing.T, l *Log, until func() bool) (longest time.Duration) {
	t.Helper()
	for !until() {
		began := time.Now()
		put(t, l, 0, 1)
		longest = max(longest, time.Since(began))
		time.Sleep(100 * time.Microsecond) // so that they do not fill the log
	}
	return longest
}
