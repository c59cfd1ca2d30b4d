package delivery

import (
	"context"
	"fmt"

	"github.com/adrian207/siemd/agent"
)

// RetryFailed sends the entries of the failed store that the filter picks to
// this output again, and waits for what becomes of them. What is taken leaves
// the store; what is refused again stays, with one attempt more; what is not
// answered when ctx ends stays as it is. It goes batch by batch, so that a
// crash repeats at most one.
func (r *Runner) RetryFailed(ctx context.Context, filter FailedFilter) (sent, failed int, err error) {
	r.retrying.Lock() // two at once would send the same entries
	defer r.retrying.Unlock()
	r.Kick()
	r.o.Failed.mu.Lock()
	end := r.o.Failed.lastID // later ones are not for this call
	r.o.Failed.mu.Unlock()
	tried := 0
	for after := uint64(0); after < end; {
		most := r.o.Config.Batch.MaxEvents
		if filter.Limit > 0 {
			most = min(most, filter.Limit-tried)
		}
		entries, last, err := r.retryBatch(filter, after, end, most)
		if err != nil || len(entries) == 0 {
			return sent, failed, err
		}
		tried += len(entries)
		s, f, err := r.retryEntries(ctx, entries)
		sent, failed = sent+s, failed+f
		if err != nil {
			return sent, failed, err
		}
		after = last
	}
	return sent, failed, nil
}

// retryBatch reads as many entries as go in one batch, at most so many. An event is in it at most once.
func (r *Runner) retryBatch(filter FailedFilter, after, end uint64, most int) (entries []Entry, last uint64, err error) {
	size := 0
	seen := map[uint64]bool{}
	err = r.o.Failed.walk(filter, after, func(e *Entry) bool {
		size += len(e.Event)
		id := parseID(e.ID)
		if id > end || len(entries) >= most || len(entries) > 0 && size > int(r.o.Config.Batch.MaxBytes) || seen[e.Seq] {
			return false
		}
		seen[e.Seq] = true
		entries = append(entries, *e)
		last = id
		return true
	})
	return entries, last, err
}

// retryEntries sends one batch and brings the store up to date.
func (r *Runner) retryEntries(ctx context.Context, entries []Entry) (sent, failed int, err error) {
	j := newJob()
	ids := make(map[uint64]uint64, len(entries))
	p := &part{job: j}
	for i := range entries {
		e := entries[i].event()
		ids[e.Seq] = parseID(entries[i].ID)
		if r.encoder != nil {
			wire, err := encodeSafely(r.encoder, nil, &e)
			if err != nil {
				j.answers[e.Seq] = refusal{event: e, err: err}
				continue
			}
			e.Wire = wire
		}
		p.events = append(p.events, e)
	}
	if len(p.events) > 0 {
		if err := r.send(ctx, j, p); err != nil {
			return 0, 0, err
		}
		select {
		case <-j.done:
		case <-r.stopped:
			err = ErrStopped
		case <-ctx.Done():
			err = ctx.Err()
			if r.do(context.Background(), func() { r.withdraw(j) }) == nil {
				select {
				case <-j.done: // what is in flight is waited for: it may be taken
				case <-r.stopped:
				}
			} else {
				<-r.stopped
			}
		}
	}
	taken, again := map[uint64]bool{}, map[uint64]refusal{}
	for seq := range j.taken {
		taken[ids[seq]] = true
	}
	for seq, f := range j.answers {
		again[ids[seq]] = f
	}
	if applyErr := r.o.Failed.apply(taken, again); applyErr != nil {
		return len(taken), len(again), fmt.Errorf("write failed store: %w", applyErr)
	}
	if err == nil && len(taken)+len(again) < len(entries) {
		err = ErrStopped // the runner ended and gave the rest back
	}
	return len(taken), len(again), err
}

// send puts p at the front of what waits.
func (r *Runner) send(ctx context.Context, j *job, p *part) error {
	return r.do(ctx, func() {
		j.open = 1
		r.push(p, true)
	})
}

// encodeSafely shields its caller from an encoder that panics.
func encodeSafely(enc agent.Encoder, dst []byte, e *agent.Event) (wire []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, stack()}
		}
	}()
	return enc.Encode(dst, e)
}
