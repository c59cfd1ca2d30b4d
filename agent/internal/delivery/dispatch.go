package delivery

import (
	"slices"
	"time"
)

// dispatch starts what can be started, and says when to look again if nothing happens.
func (r *Runner) dispatch(now time.Time) (wake time.Time) {
	for i := 0; i < len(r.toStore); {
		p := r.toStore[i]
		if now.Before(p.after) {
			wake = earliest(p.after, wake)
			i++
			continue
		}
		r.toStore = slices.Delete(r.toStore, i, i+1)
		r.flying = append(r.flying, p)
		go r.store(p)
	}
	for r.sending < r.limit.limit() && len(r.queue) > 0 {
		ok, at := r.gate.admits(now)
		if !ok {
			return earliest(at, wake)
		}
		i, at := r.pick(now)
		if i < 0 {
			return earliest(at, wake)
		}
		p := r.queue[i]
		if !p.paid {
			p.paid = true
			r.pace.due(now, len(p.events), r.bytesOf(p))
		}
		if now.Before(r.pace.until) {
			return earliest(r.pace.until, wake)
		}
		r.queue = slices.Delete(r.queue, i, i+1)
		r.start(p)
	}
	return wake
}

// pick is the first part that may be sent now, or -1 and when to ask again.
// To find out whether the target takes anything, one that it has not refused
// or blamed yet is better than one that it has.
func (r *Runner) pick(now time.Time) (int, time.Time) {
	var wake time.Time
	doubted := -1
	for i, p := range r.queue {
		switch {
		case now.Before(p.after):
			wake = earliest(p.after, wake)
		case !r.gate.closed || !p.doubt:
			return i, time.Time{}
		case doubted < 0:
			doubted = i
		}
		if r.limit.ordered() && !p.yield {
			break
		}
	}
	return doubted, wake
}

func (r *Runner) start(p *part) {
	p.paid = false
	if p.tries == 0 {
		p.mark = r.taken
	}
	r.sending++
	r.flying = append(r.flying, p)
	res := result{part: p, epoch: r.gate.epoch, probe: r.gate.closed, full: r.sending >= r.limit.limit(), size: r.bytesOf(p)}
	r.gate.probing = r.gate.closed
	r.setBusy()
	go r.write(res)
}

// bytesOf is what p costs on the wire.
func (r *Runner) bytesOf(p *part) (n int) {
	if p.span != nil && len(p.events) == len(p.span.events) {
		return p.span.size
	}
	for i := range p.events {
		if r.encoder != nil {
			n += len(p.events[i].Wire)
		} else {
			n += len(p.events[i].Body)
		}
	}
	return n
}

// expireWaiting lets go of waiting events that are too old or too far behind.
func (r *Runner) expireWaiting(now time.Time) {
	oldest := r.oldestAllowed(now)
	if oldest == 0 && r.o.Config.MaxLag == 0 {
		return
	}
	queue := r.queue
	r.queue = r.queue[:0:0]
	for _, p := range queue {
		if p.span != nil {
			far := r.tooFar(p.span.to)
			kept := p.events[:0]
			for _, e := range p.events {
				if far || e.Received < oldest {
					r.note(p.span, e.Seq, e.Seq+1, Expired)
					r.resolve(e.Seq, Outcome{Result: Expired, Reason: "expired"})
				} else {
					kept = append(kept, e)
				}
			}
			p.events = kept
		}
		if len(p.events) > 0 {
			r.queue = append(r.queue, p)
		} else {
			r.finish(p)
		}
	}
}

// oldestAllowed is when the oldest event that is still sent may have come; 0: any time.
func (r *Runner) oldestAllowed(now time.Time) int64 {
	if r.o.Config.MaxAge == 0 {
		return 0
	}
	return now.Add(-r.o.Config.MaxAge.D()).UnixNano()
}

// tooFar reports whether more than max_lag lies behind the events before seq, as far as one can tell.
func (r *Runner) tooFar(seq uint64) bool {
	if r.o.Config.MaxLag == 0 {
		return false
	}
	behind := r.o.Source.Head() - seq
	return int64(behind)*r.meanSize.Load() > int64(r.o.Config.MaxLag)
}

// learn keeps a moving mean of the size of an event.
func (r *Runner) learn(size int64, events int) {
	if events == 0 {
		return
	}
	mean, n := r.meanSize.Load(), size/int64(events)
	if mean != 0 {
		n = mean + (n-mean)/8
	}
	r.meanSize.Store(max(n, 1))
}

func (r *Runner) setBusy() {
	r.mu.Lock()
	r.busy, r.width = r.sending, r.limit.limit()
	r.mu.Unlock()
}

// push puts p where its turn is: in front of what waits, or behind all of it.
func (r *Runner) push(p *part, front bool) {
	if p.job != nil && p.job.withdrawn {
		r.finish(p)
		return
	}
	p.yield = !front
	if front {
		r.queue = slices.Insert(r.queue, 0, p)
	} else {
		r.queue = append(r.queue, p)
	}
}

// landed takes p off the list of those in flight.
func (r *Runner) landed(p *part) {
	if i := slices.Index(r.flying, p); i >= 0 {
		r.flying = slices.Delete(r.flying, i, i+1)
	}
}
