package wal

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestListVerifyDump(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none"})
	l.Cursor("c", true)
	n := 0
	for range 30 {
		put(t, l, n, 7)
		n += 7
	}
	for _, state := range []string{"live", "stopped"} {
		list, _, err := List(dir)
		if err != nil || len(list) < 4 {
			t.Fatalf("%s: List = %+v, %v", state, list, err)
		}
		events, next := uint64(0), uint64(1)
		for _, s := range list {
			events += s.Events
			if s.Events > 0 && (s.FirstSeq != next || s.LastSeq != next+s.Events-1 || s.Begun.IsZero() || s.Ended.Before(s.Begun)) {
				t.Errorf("%s: %+v, want it to begin at %d", state, s, next)
			}
			next += s.Events
		}
		if events != uint64(n) {
			t.Errorf("%s: %d events listed, want %d", state, events, n)
		}
		r, err := Verify(dir)
		if err != nil || !r.Clean() || r.Events != uint64(n) || r.NextSeq != uint64(n)+1 || r.State != "ok" {
			t.Errorf("%s: Verify = %+v, %v", state, r, err)
		}
		var seqs []uint64
		damaged, err := Dump(dir, Range{FirstSeq: 20, LastSeq: 40, Since: time.Unix(0, event(0).Received), Until: time.Unix(0, event(0).Received+1)}, func(e *agent.Event) error {
			want := event(int(e.Seq) - 1)
			want.Seq = e.Seq
			if !equalEvents(e, want) {
				t.Errorf("%s: %+v", state, e)
			}
			seqs = append(seqs, e.Seq)
			return nil
		})
		if err != nil || len(damaged) != 0 || len(seqs) != 21 || seqs[0] != 20 || seqs[20] != 40 {
			t.Errorf("%s: dumped %v, damage %v, %v", state, seqs, damaged, err)
		}
		if _, err := Dump(dir, Range{Until: time.Unix(0, event(0).Received)}, func(e *agent.Event) error { return errors.New("none is that old") }); err != nil {
			t.Error(err)
		}
		stop := errors.New("stop")
		if _, err := Dump(dir, Range{}, func(*agent.Event) error { return stop }); err != stop {
			t.Errorf("%s: Dump = %v, want the callback's error", state, err)
		}
		l.Close()
	}
	for _, f := range []func() error{
		func() error { _, _, err := List(t.TempDir()); return err },
		func() error { _, err := Verify(t.TempDir()); return err },
	} {
		if err := f(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("without a log: %v", err)
		}
	}
}

// TestEmptied: when all outputs are finished with all segments but the empty
// last one, what is gone is no damage. It is if one still waits for it.
func TestEmptied(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none", tick: time.Hour}) // nobody else removes segments
	c := l.Cursor("c", true)
	for i := range 3 {
		e := event(i)
		e.Body = append(e.Body, make([]byte, 5<<10)...) // fills a segment
		ch := l.NewChunk()
		ch.Add(e)
		cm, err := l.Append(ctxOf(t), ch)
		if err == nil {
			_, _, err = cm.Wait(ctxOf(t))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the last segment begins", func() bool { return l.Stats().Segments == 4 })
	c.Advance(4, Counts{Sent: 3})
	for _, other := range []string{"x", "y"} { // something new for each generation of the state
		if err := l.saveState(); err != nil {
			t.Fatal(err)
		}
		l.Cursor(other, false)
	}
	if err := l.saveState(); err != nil {
		t.Fatal(err)
	}
	l.truncate()
	if st := l.Stats(); st.Segments != 1 || st.Bytes != 0 {
		t.Fatalf("%+v, want one empty segment", st)
	}
	for _, state := range []string{"live", "stopped"} {
		if r, err := Verify(dir); err != nil || !r.Clean() || r.FirstSeq != 4 || r.NextSeq != 4 {
			t.Errorf("%s: Verify = %+v, %v", state, r, err)
		}
		if list, _, err := List(dir); err != nil || len(list) != 1 || list[0].Damage != nil {
			t.Errorf("%s: List = %+v, %v", state, list, err)
		}
		l.Close()
	}
	l = open(t, Options{Dir: dir})
	l.Cursor("c", true)
	put(t, l, 3, 5)
	l.Close()
	path := segmentPath(walDir(dir), 4)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err != nil || len(r.Damage) != 1 || r.Damage[0].FirstSeq != 4 || r.Damage[0].LastSeq != 8 {
		t.Errorf("Verify = %+v, %v", r, err)
	}
}

// TestUnfinished: half a write at the end was never acknowledged, and is no
// damage; but it is if the state knows of more.
func TestUnfinished(t *testing.T) {
	s := newSample(t, "none", []int{5, 5, 5})
	dir := fastDir(t)
	last := s.blocks[len(s.blocks)-1]
	cut := func(f map[string][]byte) { f[s.tail] = f[s.tail][:last.to-10] }
	s.install(t, dir, cut)
	r, err := Verify(dir)
	if err != nil || r.Clean() {
		t.Errorf("the state knows of the block: %+v, %v", r, err)
	}
	s.install(t, dir, func(f map[string][]byte) {
		f[s.tail] = append(f[s.tail], f[s.tail][last.from:last.to-10]...)
	})
	r, err = Verify(dir)
	if err != nil || !r.Clean() || r.Unfinished != last.to-last.from-10 {
		t.Errorf("half a write behind all that is known: %+v, %v", r, err)
	}
	o := s.opts
	o.Dir = dir
	l := open(t, o)
	if st := l.Stats(); st.CorruptBlocks != 0 || st.Quarantined != 1 {
		t.Errorf("stats: %+v", st)
	}
	if first, _ := put(t, l, 15, 1); first != 16 {
		t.Errorf("first = %d", first)
	}
}

// TestGolden: a log that version 1 of the format wrote can be read for ever.
func TestGolden(t *testing.T) {
	golden := filepath.Join("testdata", "v1")
	if *update {
		dir := t.TempDir()
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Now: func() time.Time { return now }})
		c := l.Cursor("c", true)
		for i, codec := range []byte{codecNone, codecS2, codecZstd} {
			l.codec = codec
			for j := range 3 {
				put(t, l, 60*i+20*j, 20)
			}
		}
		cm, err := l.Append(ctxOf(t), marked(l, 180, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cm.Wait(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		c.Advance(5, Counts{Sent: 1, Failed: 1, Filtered: 1, Expired: 1})
		l.Close()
		os.RemoveAll(golden)
		os.Remove(filepath.Join(dir, "lock"))
		if err := os.CopyFS(golden, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err != nil || !r.Clean() || r.Events != 181 {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	l := open(t, Options{Dir: dir})
	if pos, ok := l.Mark("a"); !ok || string(pos) != "181" {
		t.Errorf("mark = %q", pos)
	}
	if c := l.Cursor("c", false); c.Seq() != 5 || c.Counts() != (Counts{Sent: 1, Failed: 1, Filtered: 1, Expired: 1}) {
		t.Errorf("cursor at %d, %+v", c.Seq(), c.Counts())
	}
	r := l.Reader(l.Cursor("all", true))
	defer r.Close()
	next := 0
	for next < 181 {
		b, err := r.Next(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		events, err := b.Events(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			want := event(next)
			want.Seq = uint64(next + 1)
			if !equalEvents(&events[i], want) {
				t.Fatalf("got %+v, want %+v", events[i], want)
			}
			next++
		}
		b.Release()
	}
}
