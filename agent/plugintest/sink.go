package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// A Sink is a log in memory, for tests of inputs. It refuses lines that are not
// one JSON object, keeps marks, and can be full, broken or closed on command.
type Sink struct {
	// Seen, if set, is called for each batch before it is kept, without a lock.
	Seen func(b agent.Batch)

	mu      sync.Mutex // guards what follows
	lines   [][]byte
	batches []agent.Batch // without lines
	refused []agent.Refusal
	marks   map[string][]byte
	settled uint64
	full    chan struct{} // not nil while full; closed when there is room again
	err     error
}

// NewSink makes one that takes everything.
func NewSink() *Sink { return &Sink{marks: map[string][]byte{}} }

// Fill makes the log full, or gives it room again.
func (s *Sink) Fill(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case full && s.full == nil:
		s.full = make(chan struct{})
	case !full && s.full != nil:
		close(s.full)
		s.full = nil
	}
}

// Break makes every Emit fail with err until it is called with nil.
func (s *Sink) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Settle sets what Settled returns.
func (s *Sink) Settle(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = seq
}

// Lines are the events taken, in order.
func (s *Sink) Lines() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.lines...)
}

// Refused are the lines refused, with their text.
func (s *Sink) Refused() []agent.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]agent.Refusal(nil), s.refused...)
}

// Batches are the batches taken, without their lines.
func (s *Sink) Batches() []agent.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]agent.Batch(nil), s.batches...)
}

// Resume implements agent.Sink.
func (s *Sink) Resume(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos, ok := s.marks[key]
	return bytes.Clone(pos), ok
}

// Settled implements agent.Sink.
func (s *Sink) Settled() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// Emit implements agent.Sink.
func (s *Sink) Emit(ctx context.Context, b agent.Batch) (agent.Receipt, error) {
	if s.Seen != nil {
		s.Seen(b)
	}
	for {
		s.mu.Lock()
		room := s.full
		if room == nil {
			break // with the lock held
		}
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return agent.Receipt{}, agent.ErrFull
			}
			return agent.Receipt{}, ctx.Err()
		}
	}
	defer s.mu.Unlock()
	if s.err != nil {
		return agent.Receipt{}, s.err
	}
	return s.keepLocked(b), nil
}

func (s *Sink) keepLocked(b agent.Batch) agent.Receipt {
	var r agent.Receipt
	for i, line := range b.Lines {
		text := bytes.Trim(line, " \t\r\n")
		if len(text) == 0 {
			continue
		}
		refusal := agent.Refusal{Line: i, Detail: "not one JSON object"}
		if b.Offsets != nil {
			refusal.Offset = b.Offsets[i]
		}
		switch {
		case !json.Valid(text):
			refusal.Reason = agent.ReasonNotJSON
		case text[0] != '{':
			refusal.Reason = agent.ReasonNotObject
		}
		if refusal.Reason != "" {
			r.Refused = append(r.Refused, refusal)
			refusal.Text = bytes.Clone(line)
			s.refused = append(s.refused, refusal)
			continue
		}
		s.lines = append(s.lines, bytes.Clone(text))
		r.Accepted++
	}
	for _, refusal := range b.Refused {
		refusal.Text = bytes.Clone(refusal.Text)
		s.refused = append(s.refused, refusal)
	}
	if r.Accepted > 0 {
		r.Last = uint64(len(s.lines))
		r.First = r.Last - uint64(r.Accepted) + 1
	}
	if b.Mark != nil {
		if b.Mark.Pos == nil {
			delete(s.marks, b.Mark.Key)
		} else {
			s.marks[b.Mark.Key] = bytes.Clone(b.Mark.Pos)
		}
	}
	b.Lines, b.Refused = nil, nil
	s.batches = append(s.batches, b)
	return r
}

// Submit implements agent.Sink. The batch is kept at once.
func (s *Sink) Submit(ctx context.Context, b agent.Batch) (agent.Ticket, error) {
	r, err := s.Emit(ctx, b)
	if err != nil {
		return nil, err
	}
	return ticket(r), nil
}

type ticket agent.Receipt

func (t ticket) Wait(context.Context) (agent.Receipt, error) { return agent.Receipt(t), nil }
