package delivery

import (
	"time"

	"github.com/adrian207/siemd/agent"
)

// settlePartial: some were taken, the others have each their own word.
func (r *Runner) settlePartial(res result, failed []agent.EventError, now time.Time) {
	p := res.part
	var refused []refusal
	var doubted, rest []agent.Event
	taken := make([]agent.Event, 0, len(p.events)-len(failed))
	worst, wait, doubt := again, time.Duration(0), error(nil)
	var said error // of the rest
	at := 0
	for i := range p.events {
		if at == len(failed) || failed[at].Index != i {
			taken = append(taken, p.events[i])
			continue
		}
		err := failed[at].Err
		at++
		if overloaded(err) {
			r.limit.overload(now)
		}
		switch v, d := judge(err); v {
		case permanent, tooLarge:
			refused = append(refused, refusal{event: p.events[i], err: err})
		case suspect:
			doubted, doubt = append(doubted, p.events[i]), err
		default:
			rest = append(rest, p.events[i])
			if v >= worst {
				worst, said = v, err
			}
			wait = max(wait, d)
		}
	}
	r.took(taken, p, now)
	if len(failed) == 0 {
		r.settled(res, now)
	} else if len(taken) > 0 {
		r.observe(observation{kind: seenPartly, cause: failed[0].Err}, now)
	}
	progress := len(taken) > 0 || len(refused) > 0

	// Each kind goes its way as a part of its own.
	if len(doubted) > 0 {
		q := r.sibling(p, doubted)
		r.settleSuspect(q, result{part: q, err: doubt, epoch: res.epoch}, now)
	}
	if len(refused) > 0 {
		r.metrics.retry(permanent)
		if len(taken) == 0 {
			r.observe(observation{kind: seenRefused, cause: refused[0].err, nextTry: now}, now)
		}
		q := r.sibling(p, eventsOf(refused))
		r.refuse(q, refused, res.epoch, now)
	}
	switch {
	case len(rest) == 0:
		r.finish(p)
	case !progress || worst == again:
		p.events = rest
		if progress {
			p.again = 0
		}
		r.settleNothing(p, result{part: p, err: said, epoch: res.epoch}, worst, wait, now)
	default:
		// It is getting on: no growing backoff, and as much of the first as was not taken.
		pause := float64(r.gate.backoff(1)) * float64(len(rest)) / float64(len(p.events))
		p.events, p.tries, p.again, p.doubt = rest, 0, 0, false
		p.after = now.Add(max(wait, time.Duration(pause)))
		r.metrics.retry(worst)
		r.observe(observation{kind: seenPartly, cause: said, nextTry: p.after}, now)
		r.push(p, true)
	}
}

// sibling is a part for events that leave p.
func (r *Runner) sibling(p *part, events []agent.Event) *part {
	q := *p
	q.events = events
	if q.span != nil {
		q.span.open++
	}
	if q.job != nil {
		q.job.open++
	}
	return &q
}

func eventsOf(refused []refusal) []agent.Event {
	events := make([]agent.Event, len(refused))
	for i := range refused {
		events[i] = refused[i].event
	}
	return events
}
