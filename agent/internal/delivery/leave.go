package delivery

import (
	"cmp"
	"slices"
)

// Batches end in any order, and the cursor passes them in theirs. When a runner
// ends while one is held, its successor begins at that one, and the log gives it
// those behind as well. What was sent of them must not be sent again because
// somebody has changed the config.

// leave is the last that a runner does: it hands on what it knows.
func (r *Runner) leave() {
	c := &r.o.Failed.carried
	addCounts(&c.counts, r.behind)
	c.to = max(c.to, r.next)
	var sent []run
	for _, s := range r.window {
		sent = append(sent, r.sentOf(s)...)
	}
	// And what it was told itself and has not come to.
	for _, old := range c.sent {
		if old.from = max(old.from, r.next); old.from < old.to {
			sent = append(sent, old)
		}
	}
	c.sent = sent
}

// sentOf are the events of s that were sent: those that are neither held nor
// became something else.
func (r *Runner) sentOf(s *span) (sent []run) {
	if s.counts.Sent+s.counts.Failed == 0 {
		return nil
	}
	others := make([]run, 0, len(s.runs))
	for _, o := range s.runs {
		if o.result != Failed {
			others = append(others, o)
			continue
		}
		for seq := o.from; seq < o.to; seq++ {
			if !r.o.Failed.resent(seq) {
				others = append(others, run{from: seq, to: seq + 1})
			}
		}
	}
	for _, list := range [][]*part{r.queue, r.toStore, r.shelved, r.flying} {
		for _, p := range list {
			if p.span != s {
				continue
			}
			for i := range p.events {
				others = append(others, run{from: p.events[i].Seq, to: p.events[i].Seq + 1})
			}
			for i := range p.refused {
				others = append(others, run{from: p.refused[i].event.Seq, to: p.refused[i].event.Seq + 1})
			}
		}
	}
	slices.SortFunc(others, func(a, b run) int { return cmp.Compare(a.from, b.from) })
	at := s.from
	for _, o := range append(others, run{from: s.to, to: s.to}) {
		if at < o.from {
			sent = append(sent, run{at, o.from, Sent})
		}
		at = max(at, o.to)
	}
	return sent
}

// resent reports whether the entry of seq was sent again with success, and the
// cursor does not know yet.
func (s *FailedStore) resent(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed[seq] == removedSent
}
