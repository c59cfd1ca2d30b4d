package wal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func TestCursors(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir})
	put(t, l, 0, 10)
	latest, oldest := l.Cursor("latest", false), l.Cursor("oldest", true)
	if latest.Seq() != 11 || oldest.Seq() != 1 {
		t.Errorf("latest %d, oldest %d", latest.Seq(), oldest.Seq())
	}
	oldest.Advance(5, Counts{Sent: 2, Failed: 1, Filtered: 1})
	oldest.Adjust(Change{Failed: -1, Sent: 1})
	if err := l.Purge("oldest"); err == nil {
		t.Error("a cursor in use was purged")
	}
	if err := l.Purge("nobody"); err == nil {
		t.Error("a cursor that is not there was purged")
	}
	l.Close()
	l = open(t, Options{Dir: dir})
	list := l.Cursors()
	if len(list) != 2 || list[0].Active || list[1].Active {
		t.Fatalf("cursors: %+v", list)
	}
	want := CursorInfo{Name: "oldest", Seq: 5, Start: 1, Saved: 5, Pending: 6, Counts: Counts{Sent: 3, Filtered: 1}}
	if sent := list[1].LastSent; sent.IsZero() || !list[0].LastSent.IsZero() || !l.Cursor("oldest", false).LastSent().Equal(sent) {
		t.Errorf("last sent %s and %s", sent, list[0].LastSent)
	}
	want.LastSent = list[1].LastSent
	if list[1].Saved = 5; list[1] != want {
		t.Errorf("got %+v, want %+v", list[1], want)
	}
	c := l.Cursor("latest", true) // it is there: where it is
	if c.Seq() != 11 || c.Name() != "latest" {
		t.Errorf("latest is at %d after a start", c.Seq())
	}
	c.Close()
	if err := l.Purge("latest"); err != nil {
		t.Error(err)
	}
	if len(l.Cursors()) != 1 {
		t.Errorf("cursors: %+v", l.Cursors())
	}
}

// TestTargets: events for named outputs are foreign to the others, also after a start.
func TestTargets(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir})
	a, b := l.Cursor("a", true), l.Cursor("b", true)
	send := func(n int, targets ...string) {
		c := l.NewChunk()
		for i := range n {
			c.Add(event(i))
		}
		c.Target(targets)
		cm, err := l.Append(ctxOf(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cm.Wait(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	}
	send(3)
	send(4, "a")
	send(5, "b", "c")
	send(1)
	check := func(c *Cursor, want uint64) {
		t.Helper()
		if got := l.ForeignAhead(c); got != want {
			t.Errorf("%s: %d foreign ahead, want %d", c.Name(), got, want)
		}
	}
	check(a, 5)
	check(b, 4)
	r := l.Reader(a)
	var counts Counts
	for range 3 {
		blk, err := r.Next(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		if blk.For("a") {
			counts.Sent += uint64(blk.Count())
		} else {
			counts.Foreign += uint64(blk.Count())
			if got := blk.Targets(); len(got) != 2 || got[0] != "b" {
				t.Errorf("targets %v", got)
			}
		}
		blk.Release()
	}
	r.Close()
	a.Advance(r.Seq(), counts)
	check(a, 0)
	// A crash right behind the last save: state and blocks together know.
	l.saveState()
	send(2, "b")
	copied := l.Cursor("new", true)
	check(copied, 11)
	l.Close()
	l = open(t, Options{Dir: dir})
	check(l.Cursor("a", false), 2)
	check(l.Cursor("b", false), 4)
	check(l.Cursor("new", false), 11)
	if info := l.Cursors()[0]; info.Pending != 1 {
		t.Errorf("a: %+v, want 1 pending", info)
	}
}

func TestHas(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t)})
	c := l.Cursor("c", true)
	put(t, l, 0, 12) // types anomaly, alert and none, all severities
	many := l.NewChunk()
	for i := range maxKinds + 1 {
		many.Add(&agent.Event{Type: []byte{byte('0' + i)}, Body: []byte("{}")})
	}
	cm, err := l.Append(ctxOf(t), many)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cm.Wait(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r := l.Reader(c)
	defer r.Close()
	blk, err := r.Next(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		typ  string
		min  agent.Severity
		want bool
	}{{"alert", agent.Unset, true}, {"alert", agent.High, true}, {"alert", agent.Critical, false}, {"telemetry", agent.Unset, false}} {
		got := blk.Has(func(typ []byte, sev agent.Severity) bool { return string(typ) == f.typ && sev >= f.min })
		if got != f.want {
			t.Errorf("Has(%s, %s) = %v", f.typ, f.min, got)
		}
	}
	blk.Release()
	// Too many kinds to count: anything may be there.
	if blk, err = r.Next(ctxOf(t)); err != nil || !blk.Has(func([]byte, agent.Severity) bool { return false }) {
		t.Errorf("Has = false for a block with too many kinds: %v", err)
	}
	blk.Release()
}

// TestStateLost: without a state outputs start at the oldest event, whatever they asked for.
func TestStateLost(t *testing.T) {
	s := newSample(t, "s2", []int{5, 5})
	dir := fastDir(t)
	s.install(t, dir, func(f map[string][]byte) { f["state.json"], f["state.json.old"] = nil, nil })
	l := open(t, Options{Dir: dir})
	if c := l.Cursor("c", false); c.Seq() != 1 {
		t.Errorf("the cursor is at %d", c.Seq())
	}
	l.Close()
	// Only this once.
	l = open(t, Options{Dir: dir})
	if c := l.Cursor("d", false); c.Seq() != 11 {
		t.Errorf("a later cursor is at %d", c.Seq())
	}
}

// TestStateBefore: when the newest state is damaged the one before is enough
// to go on from.
func TestStateBefore(t *testing.T) {
	dir := fastDir(t)
	for round := range 3 {
		l := open(t, Options{Dir: dir})
		c := l.Cursor("c", true)
		put(t, l, 5*round, 5)
		c.Advance(c.Seq()+5, Counts{Sent: 5})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Dir: dir})
	if c := l.Cursor("c", true); c.Seq() < 11 || c.Counts().Sent != c.Seq()-1 {
		t.Errorf("the cursor is at %d and counts %+v; the state before had it at 11 at least", c.Seq(), c.Counts())
	}
}
