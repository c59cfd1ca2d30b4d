package wal

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// TestClockJumps: a clock that jumps by years at any call, over restarts too,
// costs no event, no position and no order.
func TestClockJumps(t *testing.T) {
	rounds := 20
	if os.Getenv("SIEMD_TORTURE") != "" {
		rounds = 500
	}
	t.Attr("trials", strconv.Itoa(rounds))
	dir := fastDir(t)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(7, 7))
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Unix(1_700_000_000+rng.Int64N(10*365*86400)-5*365*86400, rng.Int64N(1e9))
	}
	n := 0
	for round := range rounds {
		l := open(t, Options{Dir: dir, SegmentSize: 8 << 10, Now: now, disk: noSync()})
		c := l.Cursor("c", true)
		if pos, ok := l.Mark("in/file"); round > 0 && (!ok || string(pos) != strconv.Itoa(n)) {
			t.Fatalf("round %d: the position is %q, want %d", round, pos, n)
		}
		for range 20 {
			chunk := l.NewChunk()
			for range 1 + n%5 {
				e := event(n)
				e.Time, e.Received = now().UnixNano(), now().UnixNano()
				chunk.Add(e)
				n++
			}
			chunk.Mark(agent.Mark{Key: "in/file", Pos: []byte(strconv.Itoa(n))})
			cm, err := l.Append(ctxOf(t), chunk)
			if err == nil {
				_, _, err = cm.Wait(ctxOf(t))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if l.Head() != uint64(n)+1 {
			t.Fatalf("round %d: the head is %d after %d events", round, l.Head(), n)
		}
		r := l.Reader(c)
		for c.Seq() <= uint64(n) {
			b, err := r.Next(ctxOf(t))
			if err != nil {
				t.Fatal(err)
			}
			events, err := b.Events(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Seq != c.Seq() {
					t.Fatalf("round %d: event %d came where %d was due", round, e.Seq, c.Seq())
				}
				c.Advance(e.Seq+1, Counts{Sent: 1})
			}
			b.Release()
		}
		r.Close()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
