package delivery

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func TestFailedStoreCaps(t *testing.T) {
	c := newFakeCursor("siem")
	s := openStore(t, t.TempDir(), c, func(o *FailedOptions) { o.MaxSize = 20_000; o.noSync = true })
	for i := range 100 {
		addTo(t, s, c, 1+i*5, 5)
	}
	s.expire(time.Now())
	var size int64
	for _, seg := range s.segs {
		size += seg.size
	}
	if size > 20_000 || size < 10_000 {
		t.Errorf("%d bytes are kept", size)
	}
	got := c.Counts()
	if got.Failed != uint64(s.Len()) || got.Failed+got.Expired != 500 || got.Expired == 0 {
		t.Errorf("counts = %+v, %d entries", got, s.Len())
	}
	if seqs := list(t, s, FailedFilter{}); seqs[len(seqs)-1] != 500 || len(seqs) != s.Len() {
		t.Errorf("the newest is %d of %d", seqs[len(seqs)-1], len(seqs))
	}
}

func TestFailedStoreAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCursor("siem")
		s := openStore(t, t.TempDir(), c, func(o *FailedOptions) { o.MaxAge = 30 * time.Hour; o.noSync = true })
		for i := range 60 {
			addTo(t, s, c, i+1, 1)
			time.Sleep(time.Hour)
		}
		s.expire(time.Now())
		if n := s.Len(); n < 29 || n > 32 {
			t.Errorf("%d entries, one an hour, after 60 hours", n)
		}
		if got := c.Counts(); got.Failed != uint64(s.Len()) || got.Failed+got.Expired != 60 {
			t.Errorf("counts = %+v", got)
		}
	})
}

// TestFailedStoreCannotWrite: the events are held until it can.
func TestFailedStoreCannotWrite(t *testing.T) {
	inBubble(t, "", func(t *testing.T, b *bench) {
		b.fake.set(typed("bad", agent.Permanent(errSaid)))
		b.log.put(nil, event(0, "good"), event(1, "bad"), event(2, "good"))
		if err := os.Remove(b.dir); err != nil {
			t.Fatal(err)
		}
		b.start()
		if err := os.Remove(b.dir); err != nil {
			t.Fatal(err)
		}
		within(5 * time.Minute)
		b.counts(wal.Counts{})
		if h := b.runner.Health(); h.Status == Healthy || !strings.Contains(h.LastError, "failed store") {
			t.Errorf("health = %+v", h)
		}
		if err := os.Mkdir(b.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		within(2 * time.Minute)
		b.counts(wal.Counts{Sent: 2, Failed: 1})
		if len(b.entries()) != 1 {
			t.Errorf("entries = %v", b.entries())
		}
	})
}
