package tail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// A fakeSink is a log in memory. What is in it outlives the inputs that write
// to it. As the real one, it stores nothing behind a failed batch of the same
// mark until the outcome of all of them is known.
type fakeSink struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	lines   []string
	ids     []string // origin:offset of each line
	files   []string
	since   []int64 // of the batch of each line
	refused []agent.Refusal
	marks   map[string][]byte
	seq     uint64
	settled uint64

	waiting map[string]int  // tickets out, by mark
	behind  map[string]bool // marks of which a batch was not stored

	fail    func(b agent.Batch) error // asked for each batch
	lose    bool                      // a failing batch is stored all the same
	blocked chan struct{}             // if not nil, Submit waits for its end
	discard bool                      // keep no lines
	count   int
	closing bool
}

func newSink() *fakeSink {
	return &fakeSink{changed: make(chan struct{}), marks: map[string][]byte{}, settled: 1, waiting: map[string]int{}, behind: map[string]bool{}}
}

func (s *fakeSink) Submit(ctx context.Context, b agent.Batch) (agent.Ticket, error) {
	s.mu.Lock()
	blocked := s.blocked
	s.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if s.closing {
		return nil, agent.ErrClosed
	}
	ticket := &fakeTicket{sink: s}
	if b.Mark != nil {
		ticket.key = b.Mark.Key
	}
	s.waiting[ticket.key]++
	if s.behind[ticket.key] {
		ticket.err = errDisk
		return ticket, nil
	}
	if s.fail != nil {
		if ticket.err = s.fail(b); ticket.err != nil && !s.lose {
			s.behind[ticket.key] = ticket.key != ""
			return ticket, nil
		}
	}
	r := agent.Receipt{Accepted: len(b.Lines)}
	if len(b.Lines) > 0 {
		r.First, r.Last = s.seq+1, s.seq+uint64(len(b.Lines))
		s.seq = r.Last
	}
	s.count += len(b.Lines)
	if !s.discard {
		for i, l := range b.Lines {
			s.lines = append(s.lines, string(l))
			if b.Offsets != nil {
				s.ids = append(s.ids, fmt.Sprintf("%s@%d", b.Origin, b.Offsets[i]))
			}
			s.files = append(s.files, b.File)
			s.since = append(s.since, b.Since)
		}
	}
	for _, f := range b.Refused {
		f.Text = append([]byte(nil), f.Text...)
		s.refused = append(s.refused, f)
	}
	if b.Mark != nil {
		if b.Mark.Pos == nil {
			delete(s.marks, b.Mark.Key)
		} else {
			s.marks[b.Mark.Key] = append([]byte(nil), b.Mark.Pos...)
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	ticket.receipt = r
	return ticket, nil
}

func (s *fakeSink) Emit(ctx context.Context, b agent.Batch) (agent.Receipt, error) {
	t, err := s.Submit(ctx, b)
	if err != nil {
		return agent.Receipt{}, err
	}
	return t.Wait(ctx)
}

func (s *fakeSink) Resume(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos, ok := s.marks[key]
	return pos, ok
}

func (s *fakeSink) Settled() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

type fakeTicket struct {
	sink    *fakeSink
	key     string
	receipt agent.Receipt
	err     error
}

func (t *fakeTicket) Wait(ctx context.Context) (agent.Receipt, error) {
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	if t.sink.waiting[t.key]--; t.sink.waiting[t.key] == 0 {
		delete(t.sink.behind, t.key)
	}
	if ctx.Err() != nil {
		return agent.Receipt{}, ctx.Err()
	}
	return t.receipt, t.err
}

// set changes the sink's behaviour.
func (s *fakeSink) set(f func(*fakeSink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until the sink is as ok wants it.
func (s *fakeSink) await(t testing.TB, what string, ok func(*fakeSink) bool) {
	t.Helper()
	deadline := deadline()
	for {
		s.mu.Lock()
		done, changed := ok(s), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			last := s.lines[max(0, len(s.lines)-3):]
			t.Fatalf("waited in vain for %s; %d lines came, the last: %q; numbers missing: %v", what, len(s.lines), short(last), s.gaps())
		}
	}
}

func (s *fakeSink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

func (s *fakeSink) snapshot() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.marks)
}

var errDisk = errors.New("input/output error")

// gaps lists what is missing of the numbered lines, as first and last of each run.
func (s *fakeSink) gaps() (runs [][2]int) {
	seen := map[int]bool{}
	most := -1
	for _, l := range s.lines {
		if i := number(l); i >= 0 {
			seen[i] = true
			most = max(most, i)
		}
	}
	for i := 0; i <= most; i++ {
		if seen[i] {
			continue
		}
		if k := len(runs) - 1; k >= 0 && runs[k][1] == i-1 {
			runs[k][1] = i
		} else {
			runs = append(runs, [2]int{i, i})
		}
	}
	return runs
}
