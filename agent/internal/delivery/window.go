package delivery

import "slices"

// The window holds the spans that were handed over and not committed, in order.

// windowSize bounds the batches that are not committed, and with them what a crash can repeat.
func (r *Runner) windowSize() int { return 2 * r.limit.most() }

// wantsSpan reports whether another span may be handed over. Beyond the
// window one is let in only when all that waits was refused or blamed and
// nothing shows whether others pass: somebody has to be the witness.
func (r *Runner) wantsSpan() bool {
	room := len(r.window) < r.windowSize()
	if !r.needsWitness() {
		return room
	}
	if !room {
		// As far as memory goes: however many bad ones follow each other, a good one has to come up.
		room = len(r.window) < maxWindow && (r.budget.held() < 2*r.o.MaxBytes || r.unfinished() < r.windowSize()+r.o.Config.Retry.MaxAttempts+4)
	}
	if room {
		r.budget.overdraw()
	}
	return room
}

func (r *Runner) unfinished() (n int) {
	for _, s := range r.window {
		if s.open > 0 {
			n++
		}
	}
	return n
}

// maxWindow is how many batches may be held, waiting for a witness. None of
// them was taken, so a crash repeats nothing of them.
const maxWindow = 4096

func (r *Runner) needsWitness() bool {
	if r.sending > 0 || len(r.queue)+len(r.shelved) == 0 {
		return false
	}
	for _, p := range r.queue {
		if !p.doubt || p.mark != r.taken && !r.guarding() {
			return false
		}
	}
	return true
}

// accept takes over a span from the gatherer.
func (r *Runner) accept(s *span) {
	if s.from != r.next {
		// Only on the way out: the one before it was dropped.
		s.free(r.budget)
		return
	}
	r.next = s.to
	r.window = append(r.window, s)
	r.counted(s.counts)
	if len(s.events) > 0 {
		s.open++
		r.queue = append(r.queue, &part{span: s, events: s.events})
	}
	if len(s.refused) > 0 {
		s.open++
		r.shelve(&part{span: s, refused: s.refused})
	}
	r.setOldest()
	if s.open == 0 {
		s.free(r.budget)
		r.commit()
	}
}

// finish ends a part; when it was the last of its span the span can be committed.
func (r *Runner) finish(p *part) {
	switch {
	case p.job != nil:
		p.job.open--
		if p.job.open == 0 {
			r.endJob(p.job)
		}
	case p.span != nil:
		p.span.open--
		if p.span.open == 0 {
			p.span.free(r.budget)
			r.commit()
		}
	}
}

// commit moves the cursor over the finished spans in front.
func (r *Runner) commit() {
	n := 0
	for n < len(r.window) && r.window[n].open == 0 {
		n++
	}
	if n == 0 {
		return
	}
	to := r.window[n-1].to
	for _, s := range r.window[:n] {
		r.advance(s.to, s.counts)
	}
	r.o.Failed.passed()
	if to >= r.o.Failed.carried.to {
		r.o.Failed.carried = carry{}
	}
	r.checkLedger()
	for _, s := range r.window[:n] {
		r.past.add(s)
		r.resolveSpan(s)
		r.spare.put(s)
	}
	r.window = slices.Delete(r.window, 0, n)
	r.setOldest()
	r.notifyPassed(to)
}

// setOldest publishes when the oldest event that was handed over came.
func (r *Runner) setOldest() {
	var oldest int64
	for _, s := range r.window {
		if s.open > 0 && s.received != 0 {
			oldest = s.received
			break
		}
	}
	r.mu.Lock()
	r.oldest = oldest
	r.mu.Unlock()
}
