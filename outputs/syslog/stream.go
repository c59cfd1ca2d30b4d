package syslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

func newStream(d *dialer, resend int, log *slog.Logger, resent *metrics.Counter) *stream {
	return &stream{dialer: d, log: log, resent: resent, wake: make(chan struct{}, 1), window: window{limit: resend}}
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
		}
		n++
	}
	rest := copy(s.flight, s.flight[n:])
	clear(s.flight[rest:])
	s.flight = s.flight[:rest]
}

// run connects, sends and mends until ctx ends.
func (s *stream) run(ctx context.Context) {
	defer close(s.done)
	var (
		pause    time.Duration // before the next repair
		repairAt time.Time     // zero: nothing to repair
		since    time.Time     // when the connection was made
		trouble  string        // what was logged last
	)
	for ctx.Err() == nil {
		j, c, tail := s.state()
		switch {
		case c != nil && c.reason() != nil:
			quiet, useful := s.lost(c)
			if quiet {
				s.log.Warn("connection lost", "endpoint", c.endpoint, "err", c.reason())
			}
			if useful || time.Since(since) > settled {
				pause = 0
			}
			pause = min(max(2*pause, time.Second), time.Minute)
			repairAt = time.Now().Add(pause/2 + rand.N(pause/2))
		case c == nil && (j != nil || tail && !time.Now().Before(repairAt)):
			err := s.connect(ctx)
			if err == nil {
				since, trouble = time.Now(), ""
				continue
			}
			s.refuse(err)
			pause = min(max(2*pause, time.Second), time.Minute)
			repairAt = time.Now().Add(pause/2 + rand.N(pause/2))
			if j == nil && err.Error() != trouble {
				// Nobody else would hear of it.
				trouble = err.Error()
				s.log.Warn("reconnect failed, will try again", "err", err)
			}
		case j != nil:
			s.send(ctx, c, j)
		default:
			s.idle(ctx, c, tail, repairAt)
		}
	}
	s.refuse(errClosed)
}

// state is the next job that somebody waits for, the connection, and whether
// there is something to send again.
func (s *stream) state() (j *job, c *conn, tail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && s.queue[0].gone {
		s.queue = s.queue[1:]
	}
	if len(s.queue) > 0 {
		j = s.queue[0]
	}
	return j, s.conn, len(s.window.pieces) > 0
}

// idle waits for work, for the end of the connection, or for the time of a repair.
func (s *stream) idle(ctx context.Context, c *conn, tail bool, repairAt time.Time) {
	var broken chan struct{}
	var timer <-chan time.Time
	if c != nil {
		broken = c.broken
	} else if tail {
		t := time.NewTimer(time.Until(repairAt))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-broken:
	case <-timer:
	}
}

// lost clears up after a connection. It reports whether it ended unnoticed by
// any Write, and whether it was of use.
func (s *stream) lost(c *conn) (quiet, useful bool) {
	<-c.watched
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	quiet = len(s.flight) == 0
	stuck := !quiet && c.acked() < s.flight[0].pos
	useful, s.fresh = s.fresh, false
	clear(s.flight)
	s.flight = s.flight[:0] // their Writes hear of it by themselves
	s.window.disconnected(c.orderly(), time.Now())
	s.dialer.ended(c, stuck)
	s.conn = nil
	return quiet, useful
}

// connect makes a connection and sends the window over it.
func (s *stream) connect(ctx context.Context) error {
	c, err := s.dialer.dial(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conn = c
	tail, frames := s.window.tail()
	s.mu.Unlock()
	// Only settleLocked changes the window while there is a connection, and
	// it finds nothing to change before something is in flight.
	defer context.AfterFunc(ctx, func() { c.fail(errClosed) })()
	for _, data := range tail {
		if _, err := c.Write(data); err != nil {
			c.fail(err)
			return c.reason()
		}
	}
	if frames > 0 {
		s.mu.Lock()
		s.flight = append(s.flight, landing{pos: c.raw.written.Load()})
		s.mu.Unlock()
		s.resent.Add(frames)
	}
	s.log.Info("connected", "endpoint", c.endpoint, "sent_again", frames)
	return nil
}

// send writes the pieces of the first job in the queue.
func (s *stream) send(ctx context.Context, c *conn, j *job) {
	defer context.AfterFunc(ctx, func() { c.fail(errClosed) })()
	var err error
	for i, p := range j.pieces {
		s.mu.Lock()
		j.conn = c
		gone := j.gone
		s.mu.Unlock()
		if gone {
			err = context.Canceled
			break
		}
		if _, err = c.Write(p.data); err != nil {
			c.fail(err)
			err = c.reason()
			break
		}
		s.mu.Lock()
		j.marks[i].pos = c.raw.written.Load()
		j.sent = i + 1
		s.flight = append(s.flight, landing{pos: j.marks[i].pos, piece: p})
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.queue = s.queue[1:]
	j.err = err
	s.mu.Unlock()
	close(j.ready)
}

// refuse fails all that waits.
func (s *stream) refuse(err error) {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, j := range queue {
		j.err = err
		close(j.ready)
	}
}

// goodbye is how long close waits for the peer to close its side, which tells
// that it has read everything.
const goodbye = 500 * time.Millisecond

// close ends the connection in good order: close_notify, FIN, and a moment for the peer to read up to it.
func (s *stream) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	started := s.started
	c := s.conn
	s.mu.Unlock()
	if !started {
		return nil
	}
	s.stop()
	if c != nil {
		defer context.AfterFunc(ctx, func() { c.fail(ctx.Err()) })()
	}
	<-s.done
	s.mu.Lock()
	c = s.conn
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
	c.raw.CloseWrite()
	wait := time.NewTimer(goodbye)
	defer wait.Stop()
	select {
	case <-c.broken:
	case <-wait.C:
	case <-ctx.Done():
	}
	c.fail(errClosed)
	<-c.watched
	return nil
}
