package syslog

import (
	"context"
	"math/rand/v2"
	"time"
)

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
			c.writeFailed(err)
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
			c.writeFailed(err)
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
