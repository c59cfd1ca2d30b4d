package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A gatherer turns blocks into spans: it is the half of a runner that reads.
type gatherer struct {
	*Runner
	reader  Reader
	pos     uint64 // the next event to look at
	cur     *span
	scratch []agent.Event
	linger  *time.Timer
	until   time.Time // when the current span goes at the latest
	burst   bool      // the span before it was full
	wires   int       // bytes that a new span makes room for
	events  int       // and events
	flushTo uint64    // events before it do not wait for others
	blocks  chan *held
	starved chan struct{} // the budget is spent: what is here has to go
}

func (r *Runner) newGatherer() *gatherer {
	g := &gatherer{
		Runner:  r,
		reader:  r.o.Source.Reader(),
		pos:     r.o.Cursor.Seq(),
		linger:  time.NewTimer(time.Hour),
		blocks:  make(chan *held, 1),
		starved: make(chan struct{}, 1),
	}
	g.linger.Stop()
	g.cur = g.newSpan(g.pos)
	return g
}

// pump reads blocks ahead, as far as the budget goes, until ctx ends or the log closes.
func (g *gatherer) pump(ctx context.Context) {
	defer close(g.blocks)
	defer g.reader.Close()
	starved := func() {
		select {
		case g.starved <- struct{}{}:
		default:
		}
	}
	failing := false
	for {
		if g.budget.wait(ctx, starved) != nil {
			return
		}
		b, err := g.reader.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, agent.ErrClosed):
			if err == nil {
				b.Release()
			}
			return
		case err != nil:
			if !failing {
				g.o.Env.Log.Error("the log cannot be read, trying again", "err", err)
			}
			failing = true
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		if failing {
			failing = false
			g.o.Env.Log.Info("the log can be read again")
		}
		h := hold(b, g.budget)
		// The header is looked at here, before the reader goes on.
		switch {
		case b.Lost():
			h.all = Expired
		case !concerns(b.Targets(), g.o.Name):
			h.all = Foreign
		case !g.match.all && !b.Has(g.match.match):
			h.all = Filtered
		}
		select {
		case g.blocks <- h:
		case <-ctx.Done():
			h.release()
			return
		}
	}
}

// gather runs until ctx ends or the log closes. What it has not handed over by then stays in the log.
func (g *gatherer) gather(ctx context.Context) {
	blocks := g.blocks
	for {
		var wait <-chan time.Time
		var out chan<- *span
		if len(g.cur.events) > 0 {
			wait = g.linger.C
		} else if g.cur.to > g.cur.from {
			// Nothing to send in it: the cursor may move on as soon as the other half listens.
			out = g.spans
		}
		select {
		case h, ok := <-blocks:
			if !ok {
				blocks = nil // the log is closed; what was read may still be sent
				g.cut(ctx)
				continue
			}
			g.block(ctx, h)
			h.release()
			g.hurry()
		case <-wait:
			g.burst = false
			g.cut(ctx)
		case <-g.starved:
			g.cut(ctx)
		case g.flushTo = <-g.flush:
		case out <- g.cur:
			g.cur = g.newSpan(g.pos)
			g.gathering.Store(0)
		case <-ctx.Done():
			g.drop()
			return
		}
		if g.flushTo > 0 && g.pos >= g.flushTo {
			g.cut(ctx)
			g.flushTo = 0
		}
	}
}

// drop releases what was gathered but not handed over.
func (g *gatherer) drop() {
	g.cur.free(g.budget)
	for h := range g.blocks {
		h.release()
	}
}

// block sorts the events of h.
func (g *gatherer) block(ctx context.Context, h *held) {
	first, end := h.First(), h.Last()+1
	if end <= g.pos {
		return
	}
	if first > g.pos {
		// The log no longer has them. If it gave them up for lack of room it has counted them.
		g.cur.skip(g.pos, first, Expired)
		g.pos = first
	}
	if h.all != Pending {
		g.skip(end, h.all)
		return
	}
	events, err := g.decode(ctx, h)
	if err != nil {
		if ctx.Err() == nil {
			g.o.Env.Log.Error("block cannot be read, its events are counted as expired", "first_seq", g.pos, "last_seq", end-1, "err", err)
			g.skip(end, Expired)
		}
		return
	}
	g.learn(h.size, len(events))
	if g.tooFar(end) {
		g.skip(end, Expired)
		return
	}
	oldest := g.oldestAllowed(time.Now())
	held := (*span)(nil) // the span that holds on to h
	for i := range events {
		e := &events[i]
		switch {
		case e.Seq < g.pos:
			continue
		case !g.match.all && !g.match.match(e.Type, e.Severity):
			g.skip(e.Seq+1, Filtered)
			continue
		case e.Received < oldest:
			g.skip(e.Seq+1, Expired)
			continue
		}
		g.add(ctx, e, h, &held)
		g.pos = e.Seq + 1
		g.cur.to = max(g.cur.to, g.pos)
		if len(g.cur.events) >= g.o.Config.Batch.MaxEvents || g.cur.size >= int(g.o.Config.Batch.MaxBytes) {
			g.burst = true
			g.cut(ctx)
		}
	}
	clear(g.scratch)
	if g.pos < end {
		// The header promised more events than there are.
		g.skip(end, Expired)
	}
}

// decode reads the events of h. It fails if they are damaged or ctx ends; the disk's own errors may pass.
func (g *gatherer) decode(ctx context.Context, h *held) ([]agent.Event, error) {
	for logged := false; ; logged = true {
		events, err := h.Events(g.scratch[:0])
		if err == nil || errors.Is(err, wal.ErrDamaged) || h.Lost() {
			g.scratch = events
			return events, err
		}
		if !logged {
			g.o.Env.Log.Warn("block cannot be read, trying again", "first_seq", h.First(), "err", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (g *gatherer) skip(to uint64, r Result) {
	g.cur.skip(g.pos, to, r)
	g.pos = to
}

// apart many events that need no delivery do not wait for the batch behind them.
const apart = 256

// add puts e into the current span, or into a new one if it would grow too large.
func (g *gatherer) add(ctx context.Context, e *agent.Event, h *held, holder **span) {
	if len(g.cur.events) == 0 && g.cur.to-g.cur.from >= apart {
		g.cutFor(ctx, g.newSpan(e.Seq))
	}
	size := len(e.Body)
	if g.encoder != nil {
		start := len(g.cur.wire)
		wire, err := g.encode(g.cur.wire, e)
		if err != nil {
			g.keep(h, holder)
			g.cur.refused = append(g.cur.refused, refusal{event: *e, err: err, attempts: 1})
			g.touch(e)
			return
		}
		g.cur.wire = wire
		size = len(wire) - start
		if g.full(size) {
			g.burst = true
			next := g.newSpan(e.Seq)
			next.wire = append(next.wire, wire[start:]...)
			g.cur.wire = wire[:start]
			g.cutFor(ctx, next)
		}
		g.cur.ends = append(g.cur.ends, len(g.cur.wire))
	} else if g.full(size) {
		g.burst = true
		g.cutFor(ctx, g.newSpan(e.Seq))
	}
	g.keep(h, holder)
	g.cur.events = append(g.cur.events, *e)
	g.cur.size += size
	g.touch(e)
	if len(g.cur.events) == 1 {
		wait := g.o.Config.Batch.MaxWait.D()
		g.until = time.Now().Add(wait)
		g.linger.Reset(wait)
	}
}

// hurry makes the rest of a burst go soon: behind a full batch a twentieth of
// max_wait without another block is its end. A stream that fills batches all
// the time has no such pause, and one that never fills any waits as it is told.
func (g *gatherer) hurry() {
	if g.burst && len(g.cur.events) > 0 {
		g.linger.Reset(min(time.Until(g.until), g.o.Config.Batch.MaxWait.D()/20))
	}
}

func (g *gatherer) touch(e *agent.Event) {
	if g.cur.received == 0 {
		g.cur.received = e.Received
		g.gathering.Store(e.Received)
	}
}

// full reports whether size more bytes are too many for the current span.
func (g *gatherer) full(size int) bool {
	return len(g.cur.events) > 0 && g.cur.size+size > int(g.o.Config.Batch.MaxBytes)
}

// keep makes the current span hold on to h, once.
func (g *gatherer) keep(h *held, holder **span) {
	if *holder != g.cur {
		h.retain()
		g.cur.blocks = append(g.cur.blocks, h)
		*holder = g.cur
	}
}

// encode logs where an encoder panicked; for the event it is an error like others.
func (g *gatherer) encode(dst []byte, e *agent.Event) ([]byte, error) {
	wire, err := encodeSafely(g.encoder, dst, e)
	if err != nil {
		g.logPanic(err, "seq", e.Seq)
	}
	return wire, err
}

// cut hands the current span over, if it has anything in it.
func (g *gatherer) cut(ctx context.Context) {
	if g.cur.to > g.cur.from {
		g.cutFor(ctx, g.newSpan(g.cur.to))
	}
}

// cutFor hands the current span over and goes on with next.
func (g *gatherer) cutFor(ctx context.Context, next *span) {
	s := g.cur
	s.to = next.from
	g.cur = next
	g.gathering.Store(0)
	s.seal()
	g.wires, g.events = len(s.wire)+len(s.wire)/8, len(s.events)
	s.charge = int64(len(s.wire))
	g.budget.take(s.charge)
	select {
	case g.spans <- s:
	case <-ctx.Done():
		s.free(g.budget)
	}
}

// newSpan is an empty span that begins at seq.
func (g *gatherer) newSpan(seq uint64) *span {
	var s *span
	select {
	case s = <-g.spare:
		s.reset(4 * int(g.o.Config.Batch.MaxBytes))
	default:
		// As large as the one before became: growing leaves garbage of its size.
		s = &span{wire: make([]byte, 0, g.wires), events: make([]agent.Event, 0, g.events)}
	}
	s.from, s.to = seq, seq
	return s
}
