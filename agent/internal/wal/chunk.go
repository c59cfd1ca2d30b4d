package wal

import (
	"slices"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// A Chunk is a batch of events on its way into the log: it is stored as a
// whole or not at all, in one block. It is filled by one goroutine and then
// given to Append, which takes it over.
type Chunk struct {
	buf     *buffer // stored events, behind room for the header of the first run; nil: none, or packed without it
	packed  *buffer // the same, compressed without the room; nil: not yet
	size    int     // of the events, in bytes
	usual   int     // size of buf when the chunk was last in use
	runs    []run
	kinds   kindTable
	marks   []agent.Mark
	targets []string
	since   int64
	count   int

	// While in line; guarded by Log.mu.
	next, prev *Chunk
	commit     *Commit
}

// A run is a sequence of events from the same input.
type run struct {
	input string
	base  int64 // times are relative to it
	start int   // in Chunk.buf
	count int
}

var chunks = sync.Pool{New: func() any { return new(Chunk) }}

// NewChunk is an empty chunk. One that is not given to Append may be forgotten.
func (l *Log) NewChunk() *Chunk { return chunks.Get().(*Chunk) }

// Add copies e into the chunk, but for Seq, which the log assigns, and Wire.
// ID, Type and Source cost a few bytes only if they are parts of e.Body.
func (c *Chunk) Add(e *agent.Event) {
	need := maxEventHead + len(e.ID) + len(e.Type) + len(e.Source) + len(e.Body)
	if c.buf == nil || cap(c.buf.b)-len(c.buf.b) < need {
		c.grow(need)
	}
	if n := len(c.runs); n == 0 || c.runs[n-1].input != e.Input {
		c.runs = append(c.runs, run{input: e.Input, base: e.Received, start: len(c.buf.b)})
	}
	r := &c.runs[len(c.runs)-1]
	r.count++
	c.count++
	c.buf.b = appendEvent(c.buf.b, e, r.base)
	c.size = len(c.buf.b) - maxRunHeader
	c.kinds.add(e.Type, e.Severity, 1) // after the copy, which brings the type into the cache
}

// grow makes room for n bytes more.
func (c *Chunk) grow(n int) {
	old := c.buf
	if old == nil {
		c.buf = newBuffer(max(c.usual, maxRunHeader+n))
		c.buf.b = c.buf.b[:maxRunHeader]
		return
	}
	c.buf = newBuffer(max(2*cap(old.b), len(old.b)+n))
	c.buf.b = append(c.buf.b, old.b...)
	old.release()
}

// Mark adds a mark, which becomes durable together with the events. A chunk
// may have marks and no events. Pos is copied.
func (c *Chunk) Mark(m agent.Mark) {
	if m.Pos != nil {
		m.Pos = append([]byte{}, m.Pos...)
	}
	c.marks = append(c.marks, m)
}

// Target limits the events to the outputs of these names. Nil: no limit.
func (c *Chunk) Target(names []string) { c.targets = slices.Clone(names) }

// Since says when the oldest of the events can have come about, UTC
// nanoseconds; 0: nobody knows. Readers that have caught up hear of it (Block.Since).
func (c *Chunk) Since(ns int64) { c.since = ns }

// Len is the number of events.
func (c *Chunk) Len() int { return c.count }

// Size is the chunk's size in bytes, before compression.
func (c *Chunk) Size() int { return c.size }

// recycle empties the chunk for its next user.
func (c *Chunk) recycle() {
	for _, b := range []*buffer{c.buf, c.packed} {
		if b != nil {
			b.release()
		}
	}
	clear(c.runs)
	clear(c.marks)
	*c = Chunk{usual: min(maxRunHeader+c.size, 4<<20), runs: c.runs[:0], marks: c.marks[:0], kinds: c.kinds}
	c.kinds.reset()
	chunks.Put(c)
}

// maxKinds bounds the table of kinds, since types come from outside.
const maxKinds = 64

// A kind counts the events of one type and severity.
type kind struct {
	typ      []byte
	severity agent.Severity
	count    uint64
}

// A kindTable counts events by kind. Over says that there were too many kinds
// and the table is of no use.
type kindTable struct {
	list []kind
	seen [128]uint8 // where in list a kind was that hashes to here
	over bool
}

func (t *kindTable) add(typ []byte, sev agent.Severity, n uint64) {
	h := len(typ)
	if h > 0 {
		h += int(typ[0])<<2 ^ int(typ[len(typ)-1])<<4
	}
	seen := &t.seen[(h+int(sev))%len(t.seen)]
	if i := int(*seen); i < len(t.list) {
		if k := &t.list[i]; k.severity == sev && string(k.typ) == string(typ) {
			k.count += n
			return
		}
	}
	if t.over {
		return
	}
	for i := range t.list {
		if k := &t.list[i]; k.severity == sev && string(k.typ) == string(typ) {
			k.count += n
			*seen = uint8(i)
			return
		}
	}
	if len(t.list) == maxKinds {
		t.over = true
		return
	}
	*seen = uint8(len(t.list))
	if cap(t.list) > len(t.list) {
		t.list = t.list[:len(t.list)+1]
	} else {
		t.list = append(t.list, kind{})
	}
	k := &t.list[*seen]
	k.typ, k.severity, k.count = append(k.typ[:0], typ...), sev, n
}

func (t *kindTable) merge(o *kindTable) {
	t.over = t.over || o.over
	for i := range o.list {
		t.add(o.list[i].typ, o.list[i].severity, o.list[i].count)
	}
}

func (t *kindTable) reset() { t.list, t.over = t.list[:0], false }
