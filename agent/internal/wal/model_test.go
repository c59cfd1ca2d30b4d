package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
)

// model is the log as it should be: what was acknowledged, and where each
// cursor is. It is compared with a real one under random operations.
type model struct {
	t     *rapid.T
	dir   string
	l     *Log
	fault *switchFault
	tick  time.Duration // of the keeper; 0: it hardly ever comes round by itself

	events  []string          // by sequence number - 1; what was acknowledged
	marks   map[string]string // of acknowledged chunks
	cursors map[string]*modelCursor
	next    int

	// What failed since the last success. After a restart it may be there all
	// the same: the answer is known before the bytes are cut off.
	failed []modelChunk
}

type modelChunk struct {
	commit    *Commit
	events    []string
	key, mark string
}

type modelCursor struct {
	c      *Cursor
	r      *Reader
	seq    uint64 // as last advanced
	counts Counts
}

// switchFault fails operations while it is on.
type switchFault struct {
	mu   sync.Mutex
	left int // operations to fail
	op   string
}

func (f *switchFault) fault(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 && op != "read" && (f.op == "" || f.op == op) {
		f.left--
		if op == "write" {
			halfWrite(path)
		}
		return syscall.EIO
	}
	if op == "sync" || op == "syncdir" {
		return errLie
	}
	return nil
}

// during holds back all operations that have not begun while g runs. Without
// that a copy is of no moment that ever was.
func (f *switchFault) during(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}

// set makes the next left operations of a kind fail.
func (f *switchFault) set(op string, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.left = op, left
}

func (m *model) open() {
	for range 20 {
		l, err := Open(Options{Dir: m.dir, SegmentSize: 4 << 10, Compression: "none", disk: &disk{fault: m.fault.fault}, tick: m.tick})
		if err == nil {
			m.l = l
			break
		}
		if !errors.Is(err, syscall.EIO) {
			m.t.Fatalf("Open: %v", err)
		}
	}
	if m.l == nil {
		m.t.Fatal("the log does not open")
	}
	for name, mc := range m.cursors {
		mc.c = m.l.Cursor(name, true)
		mc.r = m.l.Reader(mc.c)
		if got := mc.c.Seq(); got > mc.seq {
			m.t.Fatalf("cursor %s is at %d after a start, was never beyond %d", name, got, mc.seq)
		}
		mc.seq, mc.counts = mc.c.Seq(), mc.c.Counts()
		if mc.counts.Total() != mc.seq-mc.c.Start() {
			m.t.Fatalf("cursor %s: counts %+v do not add up to %d - %d", name, mc.counts, mc.seq, mc.c.Start())
		}
	}
}

func (m *model) crash() {
	// What a process leaves that is killed: its files as they are. The old log
	// goes on to hold its lock, so the new one works on a copy.
	dir := m.dir + "x"
	m.fault.during(func() {
		for {
			err := os.CopyFS(dir, os.DirFS(m.dir))
			if err == nil {
				return
			}
			os.RemoveAll(dir)
			if !errors.Is(err, os.ErrNotExist) { // the one operation that had begun has moved a file away
				m.t.Fatal(err)
			}
		}
	})
	m.close()
	os.RemoveAll(m.dir)
	m.dir = dir
	m.open()
	m.adoptFailed()
}

// adoptFailed takes the events and marks of failed chunks that came through the crash.
func (m *model) adoptFailed() {
	var extra []string
	_, err := Dump(m.dir, Range{FirstSeq: uint64(len(m.events)) + 1}, func(e *agent.Event) error {
		extra = append(extra, string(e.Body))
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	var failed []string
	for _, f := range m.failed {
		failed = append(failed, f.events...)
		if f.mark != "" {
			if pos, _ := m.l.Mark(f.key); string(pos) == f.mark {
				m.marks[f.key] = f.mark
			}
		}
	}
	if len(extra) > 0 {
		at := slices.Index(failed, extra[0])
		if at < 0 || len(failed) < at+len(extra) || !slices.Equal(failed[at:at+len(extra)], extra) {
			m.t.Fatalf("unknown events after a crash: %v", extra)
		}
	}
	m.events = append(m.events, extra...)
	m.failed = nil
}

func (m *model) close() {
	for _, mc := range m.cursors {
		mc.r.Close()
	}
	m.l.Close()
	m.l = nil
}

// append puts some chunks in line at once, and waits for all.
func (m *model) append(t *rapid.T) {
	var all []modelChunk
	for range rapid.IntRange(1, 4).Draw(t, "chunks") {
		c := m.l.NewChunk()
		s := modelChunk{}
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			e := event(m.next)
			m.next++
			c.Add(e)
			s.events = append(s.events, string(e.Body))
		}
		if rapid.Bool().Draw(t, "mark") {
			s.key, s.mark = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), fmt.Sprint(m.next)
			c.Mark(agent.Mark{Key: s.key, Pos: []byte(s.mark)})
		}
		if rapid.IntRange(0, 5).Draw(t, "target") == 0 {
			c.Target([]string{"a"})
		}
		cm, err := m.l.Append(context.Background(), c)
		if err != nil {
			continue // refused behind a failed one
		}
		s.commit = cm
		all = append(all, s)
	}
	for _, s := range all {
		first, last, err := s.commit.Wait(context.Background())
		if err != nil {
			m.failed = append(m.failed, s)
			continue
		}
		m.failed = nil
		if len(s.events) > 0 {
			if int(first) != len(m.events)+1 || int(last-first)+1 != len(s.events) {
				t.Fatalf("stored as %d-%d, want %d events from %d", first, last, len(s.events), len(m.events)+1)
			}
		}
		m.events = append(m.events, s.events...)
		if s.mark != "" {
			m.marks[s.key] = s.mark
		}
	}
}

func (m *model) read(t *rapid.T) {
	for name, mc := range m.cursors {
		for range rapid.IntRange(0, 5).Draw(t, "blocks") {
			b, ok, err := mc.r.TryNext()
			if err != nil {
				t.Fatalf("%s: TryNext: %v", name, err)
			}
			if !ok {
				if mc.seq > uint64(len(m.events)) || int(mc.r.Seq()) == len(m.events)+1 {
					break
				}
				t.Fatalf("%s: nothing at %d of %d", name, mc.r.Seq(), len(m.events))
			}
			if b.Lost() {
				t.Fatalf("%s: lost %d-%d", name, b.First(), b.Last())
			}
			events, err := b.Events(nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				if got, want := string(events[i].Body), m.events[events[i].Seq-1]; got != want {
					t.Fatalf("%s: event %d is %s, want %s", name, events[i].Seq, got, want)
				}
			}
			d := Counts{Sent: b.Last() + 1 - max(b.First(), mc.seq)}
			if !b.For(name) {
				d = Counts{Foreign: d.Sent}
			}
			mc.seq = b.Last() + 1
			mc.counts.add(d)
			mc.c.Advance(mc.seq, d)
			b.Release()
		}
	}
}

func (m *model) check(t *rapid.T) {
	if m.l == nil {
		return
	}
	if got := m.l.Head(); got != uint64(len(m.events))+1 {
		t.Fatalf("Head = %d, want %d", got, len(m.events)+1)
	}
	for key, want := range m.marks {
		if got, _ := m.l.Mark(key); string(got) != want {
			t.Fatalf("mark %s = %q, want %q", key, got, want)
		}
	}
	for name, mc := range m.cursors {
		if got := mc.c.Counts(); got != mc.counts || mc.c.Seq() != mc.seq {
			t.Fatalf("cursor %s: %+v at %d, want %+v at %d", name, got, mc.c.Seq(), mc.counts, mc.seq)
		}
	}
	if st := m.l.Stats(); st.LostEvents != 0 || st.CorruptBlocks != 0 {
		t.Fatalf("damage: %+v", st)
	}
}

// TestModel: under any sequence of appends, reads, failing disks, truncations,
// stops and crashes the log holds exactly what it acknowledged.
func TestModel(t *testing.T) {
	times := 1 // a hundred sequences each
	if torture {
		times = 50
	}
	run := 0
	for range times {
		checkModel(t, &run)
	}
	t.Attr("trials", fmt.Sprint(run))
}

// checkModel tries sequences of operations, and counts them.
func checkModel(t *testing.T, run *int) {
	base := fastDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		*run++
		m := &model{t: rt, dir: filepath.Join(base, fmt.Sprint(*run)), fault: &switchFault{}, marks: map[string]string{}, cursors: map[string]*modelCursor{"a": {seq: 1}, "b": {seq: 1}}}
		defer func() {
			m.fault.set("", 0)
			if m.l != nil {
				m.close()
			}
			names, _ := os.ReadDir(base)
			for _, n := range names {
				os.RemoveAll(filepath.Join(base, n.Name()))
			}
		}()
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "busy keeper") {
			m.tick = time.Millisecond
		}
		m.open()
		rt.Repeat(map[string]func(*rapid.T){
			"append":  m.append,
			"append2": m.append,
			"read":    m.read,
			"save": func(*rapid.T) {
				m.l.saveState() // it may fail
			},
			"truncate": func(*rapid.T) { m.l.truncate() },
			"restart":  func(*rapid.T) { m.close(); m.open(); m.adoptFailed() },
			"crash":    func(*rapid.T) { m.crash() },
			"fault": func(t *rapid.T) {
				m.fault.mu.Lock()
				defer m.fault.mu.Unlock()
				m.fault.left = rapid.IntRange(1, 3).Draw(t, "times")
				m.fault.op = rapid.SampledFrom([]string{"", "write", "sync", "syncdir", "open", "rename", "remove", "truncate"}).Draw(t, "op")
			},
			"": m.check,
		})
	})
}
