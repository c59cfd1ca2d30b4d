package stdin

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/adrian207/siemd/agent"
)

// left is what a run that was exchanged leaves to the next: what was read
// cannot be read again.
type left struct {
	name    string // of the run
	number  int    // of its last batch
	cutter  cutter
	batches []*batch // that are not on disk
}

// Inherit takes over what predecessor could not store.
func (s *Stdin) Inherit(predecessor agent.Input) {
	if p, ok := predecessor.(*Stdin); ok {
		s.left, p.left = p.left, nil
	}
}

// begin makes a run, which goes on with what the one before has left.
func (s *Stdin) begin(sink agent.Sink) *run {
	r := &run{s: s, sink: sink, full: make(chan *batch), free: make(chan *batch, inFlight), wait: s.pause}
	if l := s.left; l != nil {
		// As if the log had not taken them: those that are on disk after all are told by the mark.
		r.name, r.number, r.cutter, r.flying, r.failing = l.name, l.number, l.cutter, l.batches, len(l.batches) > 0
		s.left = nil
	} else {
		var id [8]byte
		rand.Read(id[:])
		r.name = hex.EncodeToString(id[:])
	}
	for range inFlight - len(r.flying) {
		r.free <- &batch{}
	}
	return r
}

// leave is what the next run goes on with. What becomes of batches in line is
// known soon: the context that they were submitted with has ended.
func (r *run) leave() *left {
	l := &left{name: r.name, number: r.number, cutter: r.cutter}
	for _, b := range r.flying {
		if b.err == nil && b.ticket != nil {
			_, b.err = b.ticket.Wait(context.Background())
		}
		if b.err != nil || b.ticket == nil {
			b.err = errBefore
			l.batches = append(l.batches, b)
		}
	}
	return l
}
