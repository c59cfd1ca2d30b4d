package syslog

import (
	"context"
	"time"
)

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
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn != nil {
			s.settleLocked()
		}
		s.keepLocked()
	}()
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

// recallLocked puts into the window what the last run of the agent left.
func (s *stream) recallLocked() {
	frames, err := s.kept.load()
	if err != nil {
		s.log.Warn("the tail of the last run is not sent again", "file", s.kept.path, "err", err)
	}
	var c cut
	for i, frame := range frames {
		c.add(i, frame)
	}
	for _, p := range c.pieces {
		s.window.add(p, time.Time{})
	}
}

// keepLocked sees to it that the window outlives the agent, unless the
// receiver has read it.
func (s *stream) keepLocked() {
	var err error
	if len(s.window.pieces) == 0 || s.conn != nil && s.conn.orderly() {
		err = s.kept.remove()
	} else {
		err = s.kept.save(&s.window)
	}
	if err != nil {
		s.log.Error("the tail of what was sent is not kept", "file", s.kept.path, "err", err)
	}
}
