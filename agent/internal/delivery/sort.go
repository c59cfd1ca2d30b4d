package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// block sorts the events of h.
func (g *gatherer) block(ctx context.Context, h *held) {
	first, end := h.First(), h.Last()+1
	if end <= g.pos {
		return
	}
	if first > g.pos {
		// The log no longer has them. If it gave them up for lack of room it has counted
		// them, and knows whose they were if it is told of these and no others.
		g.cut(ctx)
		g.cur.skip(g.pos, first, Expired)
		g.pos = first
		g.cut(ctx)
	}
	if h.all != Pending {
		g.skip(end, h.all)
		return
	}
	g.learn(h.size, int(end-first))
	if g.tooFar(end) {
		g.skip(end, Expired)
		return
	}
	oldest := g.oldestAllowed(time.Now())
	var held *span // the span that holds on to h
	err := g.each(ctx, h, func(e *agent.Event) {
		switch {
		case e.Seq < g.pos:
			return
		case g.wasSent(e.Seq):
			g.skip(e.Seq+1, Sent)
			return
		case !g.match.all && !g.match.match(e.Type, e.Severity):
			g.skip(e.Seq+1, Filtered)
			return
		case e.Received < oldest:
			g.skip(e.Seq+1, Expired)
			return
		}
		g.add(ctx, e, h, &held)
		g.pos = e.Seq + 1
		g.cur.to = max(g.cur.to, g.pos)
		if len(g.cur.events) >= g.o.Config.Batch.MaxEvents || g.cur.size >= int(g.o.Config.Batch.MaxBytes) {
			g.burst = true
			g.cut(ctx)
		}
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		g.o.Env.Log.Error("block cannot be read, its events are counted as expired", "first_seq", g.pos, "last_seq", end-1, "err", err)
		fallthrough
	case g.pos < end: // the header promised more events than there are
		g.skip(end, Expired)
	}
}

// each visits the events of h. It fails if they are damaged or ctx ends; the disk's own errors may pass.
func (g *gatherer) each(ctx context.Context, h *held, visit func(*agent.Event)) error {
	for logged := false; ; logged = true {
		err := h.Each(visit)
		if err == nil || errors.Is(err, wal.ErrDamaged) || h.Lost() {
			return err
		}
		if !logged {
			g.o.Env.Log.Warn("block cannot be read, trying again", "first_seq", h.First(), "err", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// skip counts the events before to as r, but for those that were sent already.
func (g *gatherer) skip(to uint64, r Result) {
	for g.pos < to {
		end, is := to, r
		switch {
		case g.wasSent(g.pos):
			end, is = min(to, g.sent[0].to), Sent
		case len(g.sent) > 0:
			end = min(to, g.sent[0].from)
		}
		g.cur.skip(g.pos, end, is)
		g.pos = end
	}
}

// wasSent reports whether the runner before has sent seq, which is not before g.pos.
func (g *gatherer) wasSent(seq uint64) bool {
	for len(g.sent) > 0 && g.sent[0].to <= seq {
		g.sent = g.sent[1:]
	}
	return len(g.sent) > 0 && g.sent[0].from <= seq
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
// the time has no such pause, and one that never fills any waits as it is told,
// counted from since, if that is known, and not from when it came here.
func (g *gatherer) hurry(since int64) {
	if len(g.cur.events) == 0 {
		return
	}
	wait := time.Until(g.until)
	if since != 0 {
		g.until = earliest(g.until, time.Unix(0, since).Add(g.o.Config.Batch.MaxWait.D()))
		wait = time.Until(g.until)
		if wait <= 0 {
			g.burst = false
			g.hasten()
			return
		}
		g.linger.Reset(wait)
	}
	if g.burst {
		g.linger.Reset(min(wait, g.o.Config.Batch.MaxWait.D()/20))
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
