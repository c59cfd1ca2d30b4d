package delivery

import (
	"errors"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// settle draws the consequences of what came of a part.
func (r *Runner) settle(res result) {
	p, now := res.part, time.Now()
	r.landed(p)
	if res.stored {
		r.settleStored(p, res.err, now)
		return
	}
	r.sending--
	r.setBusy()
	if res.probe {
		r.gate.probing = false
	}
	if res.err != nil && r.hard.Err() != nil {
		// Killed on the way out: it stays in the log.
		if p.job != nil {
			r.finish(p)
		} else {
			r.queue = append(r.queue, p)
		}
		return
	}
	r.metrics.request(res.took)
	if res.err == nil {
		r.took(p.events, p, now)
		r.settled(res, now)
		r.finish(p)
		return
	}
	if failed, ok := partialFailures(res.err, len(p.events)); ok {
		r.settlePartial(res, failed, now)
		return
	}
	if overloaded(res.err) {
		r.limit.overload(now)
	}
	v, d := judge(res.err)
	switch v {
	case permanent, tooLarge:
		r.settleRefused(res, v, now)
	case suspect:
		r.settleSuspect(p, res, now)
	default:
		r.settleNothing(p, res, v, d, now)
	}
}

// settled is told that a request was a success as a whole.
func (r *Runner) settled(res result, now time.Time) {
	r.mu.Lock()
	r.lat.add(res.took)
	r.mu.Unlock()
	if res.full {
		r.limit.took(res.took, res.size)
	}
	r.observe(observation{kind: seenTaken}, now)
}

// took counts events as sent. Something was taken: whatever held the output back is over.
func (r *Runner) took(events []agent.Event, p *part, now time.Time) {
	n := len(events)
	if n == 0 {
		return
	}
	r.taken += uint64(n)
	r.row = 0
	r.gate.open()
	if p.job != nil {
		p.job.tookAll(events)
	} else {
		p.span.counts.Sent += uint64(n)
		r.counted(wal.Counts{Sent: uint64(n)})
		r.o.Failed.overtaken(func(yield func(uint64) bool) {
			for i := range events {
				if !yield(events[i].Seq) {
					return
				}
			}
		})
		if len(r.asked) > 0 {
			for i := range events {
				r.resolve(events[i].Seq, Outcome{Result: Sent})
			}
		}
	}
	if len(r.shelved) > 0 {
		// The guard is off: what the encoder refused is refused.
		shelved := r.shelved
		r.shelved = nil
		for _, q := range shelved {
			r.shelve(q)
		}
	}
}

// settleNothing: nothing was said about the events; the same again.
func (r *Runner) settleNothing(p *part, res result, v verdict, d time.Duration, now time.Time) {
	if v == again {
		if p.again++; p.again <= maxAgain {
			r.metrics.retry(v)
			r.push(p, true)
			return
		}
		v = noWord // it asks too often to be believed
	}
	p.again = 0
	p.tries++
	p.doubt = false
	r.gate.close(now, res.epoch, d, v == blocked)
	p.after = r.gate.until
	r.metrics.retry(v)
	kind := seenFailure
	if v == blocked {
		kind = seenBlocked
	}
	r.observe(observation{kind: kind, cause: res.err, nextTry: r.gate.until}, now)
	// What cannot be sent in time may be too much at once.
	if timedOut(res.err) && len(p.events) > 1 && p.tries >= r.o.Config.Retry.MaxAttempts {
		r.halve(p, true)
		return
	}
	// After a few tries others have a chance to show that the target is alive.
	r.push(p, r.limit.ordered() || p.tries < r.o.Config.Retry.MaxAttempts)
}

// settleRefused: these events, or some of them, will never be taken.
func (r *Runner) settleRefused(res result, v verdict, now time.Time) {
	p := res.part
	if r.row < guardLimit {
		r.gate.open() // the target answers
	}
	r.metrics.retry(v)
	r.observe(observation{kind: seenRefused, cause: res.err, nextTry: now}, now)
	if len(p.events) > 1 {
		r.metrics.split()
		if r.guarding() {
			r.holdBack(p, res.epoch, now)
			return
		}
		p.after = time.Time{}
		r.halve(p, true)
		return
	}
	r.refuse(p, []refusal{{event: p.events[0], err: res.err}}, res.epoch, now)
}

// settleSuspect: the answer blames the events of p without saying why. That
// counts only if something was taken since they were last tried: else it
// may be the target that is ill.
func (r *Runner) settleSuspect(p *part, res result, now time.Time) {
	retry := r.o.Config.Retry
	proof := r.taken > p.mark
	p.mark, p.doubt = r.taken, true
	p.tries++
	r.metrics.retry(suspect)
	if proof {
		p.blamed++
	} else {
		r.gate.close(now, res.epoch, 0, false)
	}
	next := now
	switch enough := p.blamed >= retry.MaxAttempts || p.tries >= retry.MaxAttempts; {
	case len(p.events) > 1 && enough:
		// Halving loses nothing, so it needs no proof; the halves prove each other.
		// In an outage it costs one more request for each try.
		p.blamed = min(p.blamed, retry.MaxAttempts-1)
		p.after = time.Time{}
		r.metrics.split()
		r.halve(p, true)
	case len(p.events) == 1 && proof && p.blamed >= retry.MaxAttempts:
		r.observe(observation{kind: seenRefused, cause: res.err, nextTry: now}, now)
		r.refuse(p, []refusal{{event: p.events[0], err: res.err}}, res.epoch, now)
		return
	default:
		if proof {
			next = now.Add(r.gate.backoff(p.tries))
		} else {
			next = r.gate.until
		}
		p.after = next
		// Where order is kept it is given up only for an event that would else stop all others for ever.
		r.push(p, r.limit.ordered() && !(len(p.events) == 1 && enough))
	}
	kind := seenFailure
	if proof {
		kind = seenRefused
	}
	r.observe(observation{kind: kind, cause: res.err, nextTry: next}, now)
}

// halve puts p back as two parts.
func (r *Runner) halve(p *part, front bool) {
	q := p.split()
	if front {
		r.push(q, true)
		r.push(p, true)
	} else {
		r.push(p, false)
		r.push(q, false)
	}
}

// settleStored: refusals are in the failed store, or could not be written.
func (r *Runner) settleStored(p *part, err error, now time.Time) {
	if err != nil {
		p.tries++
		p.after = now.Add(r.gate.backoff(p.tries))
		if p.tries == 1 {
			r.o.Env.Log.Error("failed store cannot be written, holding the events", "events", len(p.refused), "err", err)
		}
		r.observe(observation{kind: seenFailure, cause: err, nextTry: p.after}, now)
		r.toStore = append(r.toStore, p)
		return
	}
	for _, f := range p.refused {
		r.note(p.span, f.event.Seq, f.event.Seq+1, Failed)
		r.resolve(f.event.Seq, Outcome{Result: Failed, Reason: f.err.Error()})
	}
	r.finish(p)
}

// holds reports whether an event is in p still.
func (p *part) holds(seq uint64) bool {
	if slices.ContainsFunc(p.events, func(e agent.Event) bool { return e.Seq == seq }) {
		return true
	}
	return slices.ContainsFunc(p.refused, func(f refusal) bool { return f.event.Seq == seq })
}

func timedOut(err error) bool {
	v, _ := judge(err)
	var answer *agent.AnswerError
	return v == noWord && overloaded(err) && !errors.As(err, &answer)
}
