package http

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// troubleTime is how long one failure is held against the log when nothing
// newer is known: health checks must not keep clients away for ever.
const troubleTime = 10 * time.Second

// state remembers whether the log takes events, and tells when that changes.
type state struct {
	log *slog.Logger

	mu    sync.Mutex // guards the rest
	since time.Time  // of the trouble; zero: none
	last  time.Time
	cause string
}

func (s *state) works() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return
	}
	s.log.Info("the log takes events again", "after", time.Since(s.since).Round(time.Millisecond))
	s.since, s.cause = time.Time{}, ""
}

func (s *state) fails(err error) {
	cause := err.Error()
	switch {
	case errors.Is(err, agent.ErrFull):
		cause = agent.ErrFull.Error()
	case errors.Is(err, agent.ErrClosed):
		return // the agent is stopping, which is no news
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.cause == cause {
		return
	}
	if s.since.IsZero() {
		s.since = s.last
	}
	s.cause = cause
	s.log.Warn("the log does not take events; clients are told to come again", "err", cause)
}

// ill reports whether the log has failed of late and not worked since.
func (s *state) ill() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && time.Since(s.last) < troubleTime
}
