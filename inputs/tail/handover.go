package tail

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
)

const (
	buffers  = 4   // blocks being read or waiting to be handed over
	inFlight = 256 // batches that the log has but that are not on disk
)

// A buffer holds a block while it is cut and handed over.
type buffer struct {
	data []byte
	cut  cut
	mark []byte
}

// keepBuffer is the largest block that is kept for reuse.
const keepBuffer = 1 << 20

// A job is a batch on its way.
type job struct {
	file    *file // nil for the catalog
	buffer  *buffer
	batch   agent.Batch
	settled []*file // whose followers are listed once this is on disk
	bytes   int64   // how much of the file it covers
	offset  int64   // up to where
	seq     uint64
	sure    bool // its mark says that seq is the last
	ticket  agent.Ticket
	receipt agent.Receipt
	err     error
}

// A handover gives jobs to the log in order, in a goroutine of its own,
// because that blocks while the log is full; and waits for the disk in another.
// After the first failure it drops everything until it is told to resume.
type handover struct {
	jobs   chan *job    // to be submitted
	acks   chan *job    // done or failed
	free   chan *buffer // ready to be filled
	failed atomic.Bool
	wait   sync.WaitGroup
}

var errDropped = errors.New("not handed over because a batch before it was not stored")

// start begins. It ends with ctx; then close must be called.
func (h *handover) start(ctx context.Context, sink agent.Sink) {
	h.jobs = make(chan *job)
	h.acks = make(chan *job, inFlight)
	h.free = make(chan *buffer, buffers)
	for range buffers {
		h.free <- &buffer{}
	}
	submitted := make(chan *job, inFlight)
	h.wait.Go(func() {
		defer close(submitted)
		for j := range h.jobs {
			if h.failed.Load() {
				j.err = errDropped
			} else if j.ticket, j.err = sink.Submit(ctx, j.batch); j.err != nil {
				h.failed.Store(true)
			}
			j.batch = agent.Batch{}
			h.release(j.buffer)
			j.buffer = nil
			submitted <- j
		}
	})
	h.wait.Go(func() {
		defer close(h.acks)
		for j := range submitted {
			if j.err == nil {
				// What was submitted is stored, whoever stops meanwhile: a successor that
				// began before its mark was there would read these lines again.
				if j.receipt, j.err = j.ticket.Wait(context.WithoutCancel(ctx)); j.err != nil {
					h.failed.Store(true)
				}
			}
			h.acks <- j
		}
	})
}

// release makes b ready to be filled.
func (h *handover) release(b *buffer) {
	if b == nil {
		return
	}
	if cap(b.data) > keepBuffer {
		b.data = nil
	}
	h.free <- b
}

// close waits for both goroutines. Jobs in line are submitted, or refused because ctx has ended.
func (h *handover) close() {
	close(h.jobs)
	for range h.acks {
	}
	h.wait.Wait()
}
