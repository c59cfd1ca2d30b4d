package stdin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
)

// markKey is the mark that tells which batches of this run are on disk, so
// that after a failure only the others are handed over again.
const markKey = "stdin"

// handOver submits batches in order. What was read goes first; only when there
// is nothing is the oldest batch waited for.
func (r *run) handOver(ctx context.Context) error {
	for {
		var b *batch
		open := true
		if len(r.flying) == 0 {
			b, open = <-r.full
		} else {
			select {
			case b, open = <-r.full:
			default:
			}
		}
		switch {
		case !open:
			return r.drain(ctx)
		case b != nil:
			r.submit(ctx, b)
		default:
			if err := r.land(ctx); err != nil {
				return err
			}
		}
	}
}

func (r *run) drain(ctx context.Context) error {
	for len(r.flying) > 0 {
		if err := r.land(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) submit(ctx context.Context, b *batch) {
	r.flying = append(r.flying, b)
	if r.failing {
		b.err = errBefore // it must not overtake the one that failed
		return
	}
	r.resubmit(ctx, b)
}

var errBefore = errors.New("a batch before it was not stored")

func (r *run) resubmit(ctx context.Context, b *batch) {
	b.ticket, b.err = r.sink.Submit(ctx, agent.Batch{
		Lines: b.lines, Offsets: b.offsets, Refused: b.refused, File: "-",
		Mark: &agent.Mark{Key: markKey, Pos: fmt.Appendf(nil, "%s %d", r.name, b.number)},
	})
	r.failing = r.failing || b.err != nil
}

// land waits for the oldest batch. If it failed, all are handed over again,
// but for those that are on disk after all: the log stores nothing behind a
// batch that failed, so the mark divides them.
func (r *run) land(ctx context.Context) error {
	b := r.flying[0]
	err := b.err
	if err == nil {
		// Its outcome is to be known, whoever stops meanwhile. Where the log is full ctx ends it, being Submit's.
		_, err = b.ticket.Wait(context.WithoutCancel(ctx))
		b.err = err
	}
	if err == nil {
		if r.wait != r.s.pause {
			r.s.env.Log.Info("the log takes lines again")
			r.wait = r.s.pause
		}
		r.flying = r.flying[1:]
		r.free <- b
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, agent.ErrClosed) {
		return fmt.Errorf("hand over lines: %w", err)
	}
	if r.wait == r.s.pause {
		r.s.env.Log.Warn("the log did not take lines, trying again", "err", err)
	}
	for _, behind := range r.flying[1:] {
		if behind.err == nil {
			behind.ticket.Wait(context.WithoutCancel(ctx)) // its fate is in the mark
			behind.err = errBefore
		}
	}
	timer := time.NewTimer(r.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.wait = min(2*r.wait, 30*r.s.pause)
	stored := r.stored()
	for len(r.flying) > 0 && r.flying[0].number <= stored {
		r.free <- r.flying[0]
		r.flying = r.flying[1:]
	}
	r.failing = false
	for _, b := range r.flying {
		if r.failing {
			b.err = errBefore
		} else {
			r.resubmit(ctx, b)
		}
	}
	return nil
}

// stored is the number of the last batch of this run that is on disk.
func (r *run) stored() int {
	pos, _ := r.sink.Resume(markKey)
	name, number, _ := strings.Cut(string(pos), " ")
	if name != r.name {
		return 0
	}
	n, _ := strconv.Atoi(number)
	return n
}
