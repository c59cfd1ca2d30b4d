package delivery

import (
	"fmt"
	"time"
)

// The guard: one bad event is poison, all events bad is our own mistake.

// errGuard is what a connection is held with that refuses everything.
var errGuard = fmt.Errorf("%d events were refused in a row and none was taken between: holding the rest", guardLimit)

func (r *Runner) guarding() bool { return r.row >= guardLimit }

// holdBack keeps p, whose events were refused while the guard holds. It is
// tried again after the others, in halves: among them may be one that is good.
func (r *Runner) holdBack(p *part, epoch uint64, now time.Time) {
	r.gate.close(now, epoch, 0, true)
	p.after, p.doubt, p.mark = r.gate.until, true, r.taken
	r.observe(observation{kind: seenBlocked, cause: errGuard, nextTry: r.gate.until}, now)
	if len(p.events) > 1 {
		r.halve(p, false)
	} else {
		r.push(p, false)
	}
}

// refuse gives refused events of p to the failed store, as far as the guard
// lets them, and holds the rest. It ends p.
func (r *Runner) refuse(p *part, refused []refusal, epoch uint64, now time.Time) {
	for i := range refused {
		refused[i].attempts = max(p.blamed, 1)
	}
	if p.job != nil {
		// Known to be bad: that says nothing new about the connection.
		p.job.refuseAll(refused)
		r.finish(p)
		return
	}
	room := min(guardLimit-r.row, len(refused))
	if room > 0 {
		r.row += room
		q := &part{span: p.span, refused: refused[:room]}
		p.span.open++
		r.toStore = append(r.toStore, q)
	}
	if room == len(refused) {
		r.finish(p)
		return
	}
	p.events = p.events[:0]
	for _, f := range refused[room:] {
		p.events = append(p.events, f.event)
	}
	r.holdBack(p, epoch, now)
}

// shelve is refuse for what the encoder refused: it is not sent again, so it waits for the guard.
func (r *Runner) shelve(p *part) {
	room := min(guardLimit-r.row, len(p.refused))
	r.row += room
	switch {
	case room == len(p.refused):
		r.toStore = append(r.toStore, p)
		return
	case room > 0:
		p.span.open++
		r.toStore = append(r.toStore, &part{span: p.span, refused: p.refused[:room]})
		p.refused = p.refused[room:]
	}
	r.shelved = append(r.shelved, p)
	r.observe(observation{kind: seenBlocked, cause: fmt.Errorf("%w: %w", errGuard, p.refused[0].err)}, time.Now())
}
