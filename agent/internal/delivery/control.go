package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adrian207/siemd/agent"
)

// ErrStopped is returned to those who wait for a Runner that has ended.
var ErrStopped = errors.New("the output is stopped")

// An Outcome is what became of one event.
type Outcome struct {
	Result Result
	Reason string // if it was not sent
}

type passing struct {
	seq  uint64
	done chan struct{}
}

// do runs f in the runner's loop and waits for it.
func (r *Runner) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case r.control <- func() { f(); close(done) }:
		<-done
		return nil
	case <-r.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Alive returns nil once the runner's loop has answered, or ErrStopped if it
// has ended. One that hangs does not answer until ctx ends.
func (r *Runner) Alive(ctx context.Context) error { return r.do(ctx, func() {}) }

// Takes reports whether the filter lets events of this type and severity through.
func (r *Runner) Takes(typ []byte, sev agent.Severity) bool { return r.match.match(typ, sev) }

// Flush sends the events that are in the log now without waiting for others to fill the batch.
func (r *Runner) Flush() { r.flushTo(goal{to: r.o.Source.Head()}) }

// A goal is what is not to wait for others: the events before to, and of the
// batch that holds these the rest too, unless nothing but these is asked for.
type goal struct {
	to    uint64
	exact bool
}

// with is the one of two goals that reaches the other.
func (g goal) with(o goal) goal {
	if o.to > g.to || o.to == g.to && !o.exact {
		return o
	}
	return g
}

func (r *Runner) flushTo(g goal) {
	for {
		select {
		case r.flush <- g:
			return
		case old := <-r.flush:
			g = g.with(old)
		}
	}
}

// Kick tries again at once what is held back.
func (r *Runner) Kick() {
	select {
	case r.kicks <- struct{}{}:
	default:
	}
}

func (r *Runner) kicked(now time.Time) {
	r.gate.kick(now)
	for _, p := range r.queue {
		if p.after.After(now) {
			p.after = now
		}
	}
	for _, p := range r.toStore {
		p.after = now
	}
}

// waitPassed waits until the cursor is at seq or beyond.
func (r *Runner) waitPassed(ctx context.Context, seq uint64) error {
	done := make(chan struct{})
	err := r.do(ctx, func() {
		if r.o.Cursor.Seq() >= seq {
			close(done)
			return
		}
		r.passed = append(r.passed, passing{seq, done})
	})
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-r.stopped:
		return ErrStopped
	case <-ctx.Done():
		_ = r.do(context.Background(), func() {
			for i, p := range r.passed {
				if p.done == done {
					r.passed = append(r.passed[:i], r.passed[i+1:]...)
					return
				}
			}
		})
		return ctx.Err()
	}
}

// notifyPassed tells those who wait for the cursor to reach seq.
func (r *Runner) notifyPassed(seq uint64) {
	kept := r.passed[:0]
	for _, p := range r.passed {
		if p.seq <= seq {
			close(p.done)
		} else {
			kept = append(kept, p)
		}
	}
	r.passed = kept
}

// Drain sends what is in the log now without linger, and at once if it was
// held back. It returns when all of it is finished, or with an error that says
// how much is left when ctx ends.
func (r *Runner) Drain(ctx context.Context) error {
	_, _, err := r.process(ctx, goal{to: r.o.Source.Head()})
	if err != nil {
		return fmt.Errorf("%d events are left: %w", r.Pending(), err)
	}
	return nil
}

// ProcessPending sends the next limit events of the log now and waits for what
// becomes of them. When ctx ends before, it returns what was done so far and
// the error. Others are counted with them if their batch was on its way before.
func (r *Runner) ProcessPending(ctx context.Context, limit int) (sent, failed int, err error) {
	head, seq := r.o.Source.Head(), r.o.Cursor.Seq()
	return r.process(ctx, goal{seq + min(uint64(max(limit, 0)), head-min(seq, head)), true})
}

func (r *Runner) process(ctx context.Context, g goal) (sent, failed int, err error) {
	before := r.Ledger().Counts
	r.Kick()
	r.flushTo(g)
	err = r.waitPassed(ctx, g.to)
	after := r.Ledger().Counts
	return less(after.Sent, before.Sent), less(after.Failed, before.Failed), err
}

func less(a, b uint64) int { return int(a - min(a, b)) }

// WaitFor waits for what becomes of the event seq, which is or was pending; it
// goes without linger.
// When ctx ends the result is Pending, with what holds the output back as the
// reason. It is meant for fresh events: of one that was finished long ago it
// knows only whether it is in the failed store.
func (r *Runner) WaitFor(ctx context.Context, seq uint64) (Outcome, error) {
	answer := make(chan Outcome, 1)
	r.flushTo(goal{to: seq + 1})
	err := r.do(ctx, func() {
		if o := r.outcomeOf(seq); o.Result != Pending {
			answer <- o
			return
		}
		r.asked[seq] = append(r.asked[seq], answer)
	})
	if err != nil {
		return r.pendingOutcome(err), err
	}
	select {
	case o := <-answer:
		if o.Result == Failed && o.Reason == "" {
			if e, ok := r.o.Failed.find(seq); ok {
				o.Reason = e.Answer
			}
		}
		return o, nil
	case <-r.stopped:
		return r.pendingOutcome(ErrStopped), ErrStopped
	case <-ctx.Done():
		_ = r.do(context.Background(), func() { r.forget(seq, answer) })
		return r.pendingOutcome(ctx.Err()), ctx.Err()
	}
}

func (r *Runner) pendingOutcome(err error) Outcome {
	if h := r.Health(); !h.Failing.IsZero() {
		return Outcome{Pending, h.LastError}
	}
	return Outcome{Pending, err.Error()}
}

// outcomeOf is what is known of seq at this moment.
func (r *Runner) outcomeOf(seq uint64) Outcome {
	switch {
	case seq >= r.next:
		return Outcome{}
	case seq < r.o.Cursor.Seq():
		if res, ok := r.past.find(seq); ok {
			return outcome(res)
		}
		if e, ok := r.o.Failed.find(seq); ok {
			return Outcome{Failed, e.Answer}
		}
		return Outcome{Result: Sent}
	}
	for _, list := range [][]*part{r.queue, r.toStore, r.shelved, r.flying} {
		for _, p := range list {
			if p.job == nil && p.holds(seq) {
				return Outcome{}
			}
		}
	}
	for _, s := range r.window {
		if s.from <= seq && seq < s.to {
			return outcome(resultIn(s.runs, seq))
		}
	}
	return Outcome{}
}

func outcome(res Result) Outcome {
	switch res {
	case Filtered:
		return Outcome{res, "the connection's filter leaves it out"}
	case Expired:
		return Outcome{res, "expired"}
	case Foreign:
		return Outcome{res, "it is for other connections"}
	}
	return Outcome{Result: res}
}

func (r *Runner) forget(seq uint64, answer chan Outcome) {
	kept := r.asked[seq][:0]
	for _, c := range r.asked[seq] {
		if c != answer {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		delete(r.asked, seq)
	} else {
		r.asked[seq] = kept
	}
}

// resolve answers those who wait for seq.
func (r *Runner) resolve(seq uint64, o Outcome) {
	for _, c := range r.asked[seq] {
		c <- o
	}
	delete(r.asked, seq)
}

// resolveSpan answers those who wait for an event of s, which is finished.
func (r *Runner) resolveSpan(s *span) {
	for seq := range r.asked {
		if s.from <= seq && seq < s.to {
			r.resolve(seq, outcome(resultIn(s.runs, seq)))
		}
	}
}
