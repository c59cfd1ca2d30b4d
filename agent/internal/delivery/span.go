package delivery

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A span is a stretch of the log, [from, to): the events of one batch and
// those around them that need no delivery. Spans follow each other without a
// gap, so that finished ones can be committed in order.
type span struct {
	from, to uint64
	counts   wal.Counts    // what is known to have become of its events
	events   []agent.Event // to be sent
	refused  []refusal     // could not be encoded
	wire     []byte        // the encoded events, one after the other
	ends     []int         // where each ends in wire
	size     int           // bytes, encoded if the output encodes
	blocks   []*held       // what events are views into
	runs     []run         // what was not sent, for those who ask
	open     int           // parts that are not finished
	received int64         // when its oldest event came, UTC nanoseconds; 0 if it holds none
	charge   int64         // what it took from the budget
}

// A run is a stretch of events that share a result.
type run struct {
	from, to uint64
	result   Result
}

// note counts [from, to) as r.
func (s *span) note(from, to uint64, r Result) {
	n := to - from
	switch r {
	case Sent:
		s.counts.Sent += n
		return
	case Failed:
		s.counts.Failed += n
	case Filtered:
		s.counts.Filtered += n
	case Expired:
		s.counts.Expired += n
	case Foreign:
		s.counts.Foreign += n
	}
	if k := len(s.runs) - 1; k >= 0 && s.runs[k].to == from && s.runs[k].result == r {
		s.runs[k].to = to
	} else {
		s.runs = append(s.runs, run{from, to, r})
	}
}

// skip counts [from, to) as r and moves the span's end past it.
func (s *span) skip(from, to uint64, r Result) {
	s.note(from, to, r)
	s.to = to
}

// seal makes Wire of each event a view of wire, which moves while it grows.
// Their capacities run on, so that agent.JoinWire can tell that they lie together.
func (s *span) seal() {
	at := 0
	for i, end := range s.ends {
		s.events[i].Wire = s.wire[at:end]
		at = end
	}
}

// free gives up the blocks and the memory of a span that is finished.
func (s *span) free(b *budget) {
	for _, h := range s.blocks {
		h.release()
	}
	clear(s.blocks)
	clear(s.events)
	clear(s.refused)
	s.blocks, s.events, s.refused = s.blocks[:0], s.events[:0], s.refused[:0]
	b.give(s.charge)
	s.charge = 0
}

// reset makes a freed span usable again. Buffers far larger than a batch are left to the collector.
func (s *span) reset(maxWire int) {
	wire, ends, runs := s.wire[:0], s.ends[:0], s.runs[:0]
	if cap(wire) > maxWire {
		wire = nil
	}
	*s = span{events: s.events[:0], refused: s.refused[:0], blocks: s.blocks[:0], wire: wire, ends: ends, runs: runs}
}

// A refusal is an event that will not be taken, and why.
type refusal struct {
	event    agent.Event
	err      error
	attempts int
}

// A part is what is sent in one request: the events of a span, or what is left
// of them after some were taken and others set apart.
type part struct {
	span    *span // nil: the events come from the failed store,
	job     *job  // and this is the errand
	events  []agent.Event
	refused []refusal // nothing to send: these are to be written to the failed store

	tries  int       // answers that said nothing
	again  int       // answers that asked for another try at once, in a row
	blamed int       // answers that blamed the events while others were taken
	mark   uint64    // Runner.taken when the last answer came
	after  time.Time // not to be sent before
	paid   bool      // its share of the rate is reserved
	yield  bool      // may be overtaken, even where order is kept
	doubt  bool      // the last answer blamed it
}

// split takes the upper half of p's events into a part of its own.
func (p *part) split() *part {
	half := len(p.events) / 2
	q := *p
	q.events = p.events[half:]
	q.refused = nil
	p.events = p.events[:half:half]
	q.paid, p.paid = false, false
	if q.span != nil {
		q.span.open++
	}
	if q.job != nil {
		q.job.open++
	}
	return &q
}

// held is a block that spans still need.
type held struct {
	Block
	refs   atomic.Int32
	budget *budget
	size   int64
	all    Result // what becomes of all its events, if the header tells; else Pending
}

func hold(b Block, bud *budget) *held {
	h := &held{Block: b, budget: bud, size: int64(b.Size())}
	h.refs.Store(1)
	bud.block(h.size)
	return h
}

func (h *held) retain() { h.refs.Add(1) }

func (h *held) release() {
	if h.refs.Add(-1) == 0 {
		h.Block.Release()
		h.budget.give(h.size)
	}
}

// A budget bounds the bytes that a runner holds. The last block read may go over it.
type budget struct {
	mu    sync.Mutex
	used  int64
	max   int64
	extra bool // one more block may be read
	freed chan struct{}
}

func newBudget(limit int64) *budget { return &budget{max: limit, freed: make(chan struct{}, 1)} }

func (b *budget) take(n int64) {
	b.mu.Lock()
	b.used += n
	b.mu.Unlock()
}

// block charges for a block that was read.
func (b *budget) block(n int64) {
	b.mu.Lock()
	b.used += n
	b.extra = false
	b.mu.Unlock()
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	b.wake()
}

// overdraw lets one more block be read.
func (b *budget) overdraw() {
	b.mu.Lock()
	b.extra = true
	b.mu.Unlock()
	b.wake()
}

func (b *budget) wake() {
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

func (b *budget) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used < b.max || b.extra
}

// wait returns when there is room. It calls starved before it waits.
func (b *budget) wait(ctx context.Context, starved func()) error {
	for !b.room() {
		starved()
		select {
		case <-b.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// concerns reports whether a block with these targets is for the output called name.
func concerns(targets []string, name string) bool {
	return len(targets) == 0 || slices.Contains(targets, name)
}
