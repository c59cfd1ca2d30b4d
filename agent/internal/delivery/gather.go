package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A gatherer turns blocks into spans: it is the half of a runner that reads.
type gatherer struct {
	*Runner
	reader  Reader
	pos     uint64 // the next event to look at
	cur     *span
	linger  *time.Timer
	until   time.Time // when the current span goes at the latest
	burst   bool      // the span before it was full
	due     bool      // the current span goes as soon as it is taken, and grows until then
	wires   int       // bytes that a new span makes room for
	events  int       // and events
	sent    []run     // by the runner before, from pos on
	goal    goal      // what does not wait for others; zero: all does
	blocks  chan *held
	starved chan struct{} // the budget is spent: what is here has to go
}

func (r *Runner) newGatherer() *gatherer {
	pos := r.o.Cursor.Resume() // first: a reader that begins later reports what is between as a hole
	g := &gatherer{
		Runner:  r,
		reader:  r.o.Source.Reader(),
		pos:     pos,
		linger:  time.NewTimer(time.Hour),
		blocks:  make(chan *held, 1),
		starved: make(chan struct{}, 1),
		sent:    r.o.Failed.carried.sent,
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
		switch {
		case len(g.cur.events) > 0 && !g.due:
			wait = g.linger.C
		case g.cur.to > g.cur.from:
			// It is due, or there is nothing to send in it.
			g.seal()
			out = g.spans
		}
		select {
		case h, ok := <-blocks:
			if !ok {
				blocks = nil // the log is closed; what was read may still be sent
				g.hasten()
				continue
			}
			g.block(ctx, h)
			g.hurry(h.Since())
			h.release()
		case <-wait:
			g.burst = false
			g.hasten()
		case <-g.starved:
			g.hasten()
		case asked := <-g.flush:
			g.goal = g.goal.with(asked)
		case out <- g.cur:
			g.handedOver(g.newSpan(g.pos))
		case <-ctx.Done():
			g.drop()
			return
		}
		if g.goal.to > 0 && g.pos >= g.goal.to {
			if !g.goal.exact || !g.cutAt(ctx, g.goal.to) {
				g.hasten()
			}
			g.goal = goal{}
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
	g.seal()
	g.handedOver(next)
	select {
	case g.spans <- s:
	case <-ctx.Done():
		s.free(g.budget)
	}
}

// cutAt hands over the current span's part before seq, and goes on with the
// rest as if it had come alone. False: that cannot be done.
func (g *gatherer) cutAt(ctx context.Context, seq uint64) bool {
	if seq <= g.cur.from || seq >= g.cur.to || g.cur.counts.Sent > 0 {
		return seq <= g.cur.from // nothing of it is meant
	}
	rest := g.newSpan(seq)
	g.cur.moveTo(rest)
	g.cutFor(ctx, rest)
	g.gathering.Store(rest.received)
	g.linger.Reset(time.Until(g.until))
	return true
}

// seal makes the current span fit to be handed over; it may grow nevertheless, and is sealed again.
func (g *gatherer) seal() {
	g.cur.seal()
	g.wires, g.events = len(g.cur.wire)+len(g.cur.wire)/8, len(g.cur.events)
	grown := int64(len(g.cur.wire)) - g.cur.charge
	g.cur.charge += grown
	g.budget.take(grown)
}

// hasten makes the current span go now, if it has anything in it.
func (g *gatherer) hasten() { g.due = g.cur.to > g.cur.from }

// handedOver goes on with next.
func (g *gatherer) handedOver(next *span) {
	g.cur, g.due = next, false
	g.gathering.Store(0)
}

// newSpan is an empty span that begins at seq.
func (g *gatherer) newSpan(seq uint64) *span {
	s := g.spare.take()
	if s != nil {
		s.reset(4 * int(g.o.Config.Batch.MaxBytes))
	} else {
		// As large as the one before became: growing leaves garbage of its size.
		s = &span{wire: make([]byte, 0, g.wires), events: make([]agent.Event, 0, g.events)}
	}
	s.from, s.to = seq, seq
	return s
}
