package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A fakeLog is a log in memory. Its cursor can be saved and thrown back to what was saved.
type fakeLog struct {
	mu     sync.Mutex
	blocks []*fakeBlock
	next   uint64
	wake   chan struct{}
	closed bool
	live   int // blocks that somebody holds
}

func newFakeLog() *fakeLog { return &fakeLog{next: 1, wake: make(chan struct{})} }

type fakeBlock struct {
	log     *fakeLog
	events  []agent.Event
	targets []string
	lost    bool
	since   int64
	first   uint64
	n       int
}

// put appends a block of events; they get their numbers.
func (l *fakeLog) put(targets []string, events ...agent.Event) (first uint64) {
	return l.append(&fakeBlock{log: l, targets: targets, events: events, n: len(events)})
}

// lose appends a hole.
func (l *fakeLog) lose(n int) { l.append(&fakeBlock{log: l, n: n, lost: true}) }

func (l *fakeLog) append(b *fakeBlock) (first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.first = l.next
	for i := range b.events {
		b.events[i].Seq = b.first + uint64(i)
	}
	l.next += uint64(b.n)
	l.blocks = append(l.blocks, b)
	close(l.wake)
	l.wake = make(chan struct{})
	return b.first
}

func (l *fakeLog) Head() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

type fakeSource struct {
	*fakeLog
	cursor *fakeCursor
}

func (s fakeSource) ForeignAhead() (n uint64) {
	seq := s.cursor.Seq()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.blocks {
		if !concerns(b.targets, s.cursor.name) && b.first+uint64(b.n) > seq {
			n += b.first + uint64(b.n) - max(b.first, seq)
		}
	}
	return n
}

func (s fakeSource) Reader() Reader { return &fakeReader{log: s.fakeLog, pos: s.cursor.Seq()} }

type fakeReader struct {
	log *fakeLog
	pos uint64
}

func (r *fakeReader) Next(ctx context.Context) (Block, error) {
	for {
		r.log.mu.Lock()
		for _, b := range r.log.blocks {
			if b.first+uint64(b.n) > r.pos {
				r.pos = b.first + uint64(b.n)
				r.log.live++
				r.log.mu.Unlock()
				return b, nil
			}
		}
		closed, wake := r.log.closed, r.log.wake
		r.log.mu.Unlock()
		if closed {
			return nil, agent.ErrClosed
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *fakeReader) Close() {}

func (b *fakeBlock) First() uint64 { return b.first }

func (b *fakeBlock) Last() uint64 { return b.first + uint64(b.n) - 1 }

func (b *fakeBlock) Targets() []string { return b.targets }

func (b *fakeBlock) Since() int64 { return b.since }
func (b *fakeBlock) Lost() bool   { return b.lost }

func (b *fakeBlock) Size() (n int) {
	for _, e := range b.events {
		n += len(e.Body)
	}
	return n
}

func (b *fakeBlock) Has(f func([]byte, agent.Severity) bool) bool {
	return slices.ContainsFunc(b.events, func(e agent.Event) bool { return f(e.Type, e.Severity) })
}

func (b *fakeBlock) Each(visit func(*agent.Event)) error {
	for _, e := range b.events {
		visit(&e)
	}
	return nil
}

func (b *fakeBlock) Release() {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.log.live--
}

// A fakeCursor keeps a log of its places, so that a crash can throw it back.
type fakeCursor struct {
	name   string
	mu     sync.Mutex
	seq    uint64
	start  uint64
	counts wal.Counts
	frozen bool
	saved  []fakePlace
}

func newFakeCursor(name string) *fakeCursor { return &fakeCursor{name: name, seq: 1, start: 1} }

func (c *fakeCursor) Name() string { return c.name }

func (c *fakeCursor) Start() uint64 { return c.start }

func (c *fakeCursor) Seq() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seq
}

func (c *fakeCursor) Resume() uint64 { return c.Seq() }

func (c *fakeCursor) Counts() wal.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

func (c *fakeCursor) Advance(seq uint64, d wal.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return
	}
	c.rememberLocked()
	c.seq = seq
	c.counts.Sent += d.Sent
	c.counts.Failed += d.Failed
	c.counts.Filtered += d.Filtered
	c.counts.Expired += d.Expired
	c.counts.Foreign += d.Foreign
}

func (c *fakeCursor) Adjust(d wal.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return
	}
	c.rememberLocked()
	c.counts.Sent += uint64(d.Sent)
	c.counts.Failed += uint64(d.Failed)
	c.counts.Expired += uint64(d.Expired)
}

func (c *fakeCursor) rememberLocked() {
	c.saved = append(c.saved, fakePlace{time.Now(), c.seq, c.counts})
}

// crash is the cursor as it may be found after a crash now: up to a second old.
func (c *fakeCursor) crash(pick func(n int) int) *fakeCursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
	c.rememberLocked()
	var recent []fakePlace
	for i, p := range c.saved {
		if i+1 == len(c.saved) || time.Since(c.saved[i+1].at) <= time.Second {
			recent = append(recent, p)
		}
	}
	p := recent[pick(len(recent))]
	return &fakeCursor{name: c.name, seq: p.seq, start: c.start, counts: p.counts}
}
