package wal

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Counts says what became of the events that a cursor has passed. Foreign are
// those for other outputs.
type Counts struct {
	Sent     uint64 `json:"sent"`
	Failed   uint64 `json:"failed"`
	Filtered uint64 `json:"filtered"`
	Expired  uint64 `json:"expired"`
	Foreign  uint64 `json:"foreign"`
}

// Total is the sum.
func (c Counts) Total() uint64 { return c.Sent + c.Failed + c.Filtered + c.Expired + c.Foreign }

func (c *Counts) add(d Counts) {
	c.Sent += d.Sent
	c.Failed += d.Failed
	c.Filtered += d.Filtered
	c.Expired += d.Expired
	c.Foreign += d.Foreign
}

// A Change moves events that a cursor has passed from one count to another:
// a failed event that was sent after all is {Failed: -1, Sent: 1}.
type Change struct {
	Sent, Failed, Filtered, Expired int64
}

// A Cursor is how far one output has come. At all times
// Counts().Total() == Seq() - Start(), if its user keeps to Advance's rule.
type Cursor struct {
	log  *Log
	name string

	// Guarded by log.mu.
	start  uint64
	seq    uint64 // next event not finished
	told   uint64 // as far as its user has advanced; below seq if the log moved on without it
	counts Counts
	ahead  uint64 // events between seq and the durable head that are for others
	active bool

	lastSent time.Time // when it was last told of events that were sent; zero: never
	skipped  []Span    // events for others between told and seq
}

// Cursor is the cursor of that name. If there is none, it is made at the head
// of the log, or at the oldest event; also at the oldest if the saved state
// was lost, because then nobody knows what its output has seen.
func (l *Log) Cursor(name string, oldest bool) *Cursor {
	c, made := l.cursor(name, oldest)
	if made {
		// An event may be acknowledged the moment this returns, and a crash
		// then must not move the new cursor past it.
		if err := l.saveState(); err != nil {
			l.log.Warn("a new cursor is not on disk yet", "output", name, "err", err)
		}
	}
	return c
}

func (l *Log) cursor(name string, oldest bool) (c *Cursor, made bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.cursors[name]; c != nil {
		c.active = true
		return c, false
	}
	c = &Cursor{log: l, name: name, active: true, seq: l.durable.seq}
	if oldest || l.fresh {
		c.seq = l.segs[0].first
	}
	c.start, c.told = c.seq, c.seq
	l.cursors[name] = c
	l.changedLocked()
	if head := l.durable; c.seq < head.seq {
		// What is for others among the events that are there; publish counts those that come.
		l.mu.Unlock()
		ahead := l.foreign(name, c.seq, head.seq)
		l.mu.Lock()
		c.ahead = min(c.ahead+ahead, l.durable.seq-c.seq)
	}
	return c, true
}

// foreign counts the events from low to below high that are for other outputs.
func (l *Log) foreign(name string, low, high uint64) (n uint64) {
	// A block that cannot be read is reported when its reader gets there.
	_ = l.walk(0, func(h *header) {
		if !forOutput(h.targets, name) && h.next() > low && h.first < high {
			n += min(h.next(), high) - max(h.first, low)
		}
	})
	return n
}

// Name is the output's name.
func (c *Cursor) Name() string { return c.name }

// Seq is the sequence number of the next event that is not finished.
func (c *Cursor) Seq() uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.seq
}

// Resume is Seq for a new user, who tells Advance about the events from there on. What the log
// has moved the cursor past, and the user before has not told about, stays as it was counted.
func (c *Cursor) Resume() uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.told, c.skipped = c.seq, nil
	return c.seq
}

// Start is where the cursor began.
func (c *Cursor) Start() uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.start
}

// Counts says what became of the events from Start to Seq.
func (c *Cursor) Counts() Counts {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.counts
}

// Advance says that all events before seq are finished, and what became of
// those since the last Advance: delta adds up to their number. It takes effect
// at once in memory and within a second on disk, sooner if it moved far. With when_full: drop_oldest
// the log may have moved the cursor past events that were in flight; it counted
// them as expired, and takes that back for those that delta tells about.
func (c *Cursor) Advance(seq uint64, delta Counts) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	seq = min(seq, l.durable.seq)
	if c.told < c.seq && seq > c.told {
		delta = c.overtakenLocked(min(seq, c.seq), delta)
	}
	c.counts.add(delta)
	if delta.Sent > 0 {
		c.lastSent = l.opts.Now().UTC()
	}
	c.ahead -= min(delta.Foreign, c.ahead)
	c.told = max(c.told, seq)
	if seq > c.seq {
		l.moved += seq - c.seq
		c.seq = seq
	}
	c.ahead = min(c.ahead, l.durable.seq-c.seq)
	l.changedLocked()
	if l.moved >= farMoved && !l.movedSaid {
		l.movedSaid = true
		wake(l.movedFar)
	}
}

// LastSent is when Advance or Adjust last told of events that were sent, also
// before a restart; zero if that never was.
func (c *Cursor) LastSent() time.Time {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.lastSent
}

// Adjust moves events between counts. A count does not go below zero.
func (c *Cursor) Adjust(d Change) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	f := func(n *uint64, d int64) {
		if d < 0 {
			*n -= min(*n, uint64(-d))
		} else {
			*n += uint64(d)
		}
	}
	if d.Sent > 0 {
		c.lastSent = l.opts.Now().UTC()
	}
	f(&c.counts.Sent, d.Sent)
	f(&c.counts.Failed, d.Failed)
	f(&c.counts.Filtered, d.Filtered)
	f(&c.counts.Expired, d.Expired)
	l.changedLocked()
}

// Close says that the cursor has no user any more. It stays where it is, as
// an orphan, and goes on holding its events, until it is purged or asked for again.
func (c *Cursor) Close() {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.active = false
}

// CursorInfo describes a cursor for people.
type CursorInfo struct {
	Name    string `json:"name"`
	Seq     uint64 `json:"seq"`
	Start   uint64 `json:"start"`
	Saved   uint64 `json:"saved"`   // Seq as it is on disk
	Pending uint64 `json:"pending"` // events ahead that are not for others
	Counts  Counts `json:"counts"`
	Active  bool   `json:"active"` // false: an orphan

	LastSent time.Time `json:"last_sent,omitzero"`
}

// Cursors lists all cursors by name.
func (l *Log) Cursors() []CursorInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []CursorInfo
	for _, name := range slices.Sorted(maps.Keys(l.cursors)) {
		c := l.cursors[name]
		list = append(list, CursorInfo{
			Name: name, Seq: c.seq, Start: c.start, Saved: l.saved.cursors[name],
			Pending: l.durable.seq - c.seq - c.ahead, Counts: c.counts, Active: c.active, LastSent: c.lastSent,
		})
	}
	return list
}

// Purge forgets an orphan, and lets go of its events. On disk too: one that came
// back after a crash would hold its events until somebody noticed.
func (l *Log) Purge(name string) error {
	if err := l.purge(name); err != nil {
		return err
	}
	if err := l.saveState(); err != nil {
		l.log.Warn("a purged cursor is on disk yet", "output", name, "err", err)
	}
	return nil
}

func (l *Log) purge(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursors[name]
	if c == nil {
		return fmt.Errorf("there is no cursor %q", name)
	}
	if c.active {
		return fmt.Errorf("cursor %q is in use", name)
	}
	delete(l.cursors, name)
	l.changedLocked()
	return nil
}

// ForeignAhead is the number of events ahead of c that are for other outputs.
func (l *Log) ForeignAhead(c *Cursor) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.ahead
}

// Settled is the lowest saved cursor: every output is finished with every
// event before it, also after a crash. Without a cursor nothing is settled,
// and it is the oldest event in the log.
func (l *Log) Settled() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settledLocked()
}

func (l *Log) settledLocked() uint64 {
	if len(l.cursors) == 0 {
		return l.segs[0].first
	}
	low := l.durable.seq
	for name, c := range l.cursors {
		saved, ok := l.saved.cursors[name]
		if !ok {
			saved = c.start
		}
		low = min(low, saved, c.seq)
	}
	return low
}
