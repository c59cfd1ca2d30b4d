package syslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// A stream sends frames over one TCP connection at a time and knows when the
// peer's TCP has acknowledged them. Syslog itself has no acknowledgement.
//
// One goroutine, run, does all connecting and writing. Writes queue their
// frames there and then watch the acknowledged position pass their own. After
// a broken connection, run connects again, also without being asked, and sends
// the window, the tail of what was delivered, before anything new.
type stream struct {
	dialer *dialer
	log    *slog.Logger
	resent *metrics.Counter
	kept   *tailFile // the window between two runs of the agent

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex // guards the rest
	queue   []*job
	conn    *conn     // nil while there is none
	flight  []landing // written on conn and not seen acknowledged, in order
	window  window
	fresh   bool // something new was acknowledged on conn
	started bool
	closed  bool
}

// A job is the frames of one Write.
type job struct {
	pieces []*piece
	marks  []mark        // one for each piece
	sent   int           // pieces that the kernel has taken
	conn   *conn         // which took them
	err    error         // why not all of them
	gone   bool          // its Write has returned: no further piece is sent
	ready  chan struct{} // closed when all pieces are sent, or err is set
}

// A mark is where a piece ends: in the connection's bytes once it is sent, and in the batch.
type mark struct {
	pos  int64
	next int
}

// A landing is a position, and the piece that is delivered once it is
// acknowledged; a nil piece stands for the window, sent again.
type landing struct {
	pos   int64
	piece *piece
}

var errClosed = errors.New("the output is closed")

func newStream(d *dialer, resend int, kept *tailFile, log *slog.Logger, resent *metrics.Counter) *stream {
	return &stream{dialer: d, log: log, resent: resent, kept: kept, wake: make(chan struct{}, 1), window: window{limit: resend}}
}

// write delivers the frames and returns when the peer's TCP has acknowledged
// all of them: then err is nil. Otherwise the events below index next are delivered.
func (s *stream) write(ctx context.Context, frames cut) (next int, err error) {
	began := time.Now()
	j := &job{pieces: frames.pieces, marks: make([]mark, len(frames.pieces)), ready: make(chan struct{})}
	for i, p := range j.pieces {
		j.marks[i].next = p.next
	}
	if err := s.enqueue(j); err != nil {
		return 0, err
	}
	select {
	case <-j.ready:
		if err = j.err; err == nil {
			err = s.await(ctx, j)
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	next, c := s.leave(j)
	if err == nil || err != ctx.Err() {
		return next, err
	}
	took := time.Since(began).Round(time.Millisecond)
	if c == nil {
		return next, fmt.Errorf("waited %v for a connection: %w", took, err)
	}
	if errors.Is(err, context.DeadlineExceeded) && c.stuckSince(began) {
		// The peer reads nothing: make room for another connection, perhaps to another endpoint.
		c.fail(errors.New("nothing was acknowledged in time"))
	}
	return next, fmt.Errorf("waited %v for %s to acknowledge: %w", took, c.endpoint, err)
}

func (s *stream) enqueue(j *job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if !s.started {
		s.started = true
		s.recallLocked()
		ctx, stop := context.WithCancel(context.Background())
		s.stop, s.done = stop, make(chan struct{})
		go s.run(ctx)
	}
	s.queue = append(s.queue, j)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// await polls until the last piece of j is acknowledged.
func (s *stream) await(ctx context.Context, j *job) error {
	last := j.marks[len(j.marks)-1].pos
	wait := 50 * time.Microsecond
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if j.conn.acked() >= last {
			return nil
		}
		select {
		case <-j.conn.broken:
			if j.conn.acked() >= last {
				return nil
			}
			return j.conn.reason()
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			wait = min(wait*3/2, 5*time.Millisecond)
			timer.Reset(wait)
		}
	}
}

// leave ends the job and tells how far it came, and which connection is the present one.
func (s *stream) leave(j *job) (next int, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.gone = true
	if j.sent > 0 {
		at := j.conn.acked()
		for _, m := range j.marks[:j.sent] {
			if m.pos <= at {
				next = m.next
			}
		}
	}
	if s.conn != nil {
		s.settleLocked()
	}
	return next, s.conn
}

// settleLocked moves what is acknowledged from the flight to the window, in order.
func (s *stream) settleLocked() {
	at, now := s.conn.acked(), time.Now()
	n := 0
	for n < len(s.flight) && s.flight[n].pos <= at {
		if p := s.flight[n].piece; p != nil {
			s.window.add(p, now)
			s.fresh = true
		} else {
			s.window.reconnected(now)
			if err := s.kept.remove(); err != nil {
				s.log.Warn("the tail that was sent again is not removed", "file", s.kept.path, "err", err)
			}
		}
		n++
	}
	rest := copy(s.flight, s.flight[n:])
	clear(s.flight[rest:])
	s.flight = s.flight[:rest]
}
