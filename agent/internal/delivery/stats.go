package delivery

import (
	"time"

	"github.com/adrian207/siemd/agent"
)

// Health is the output's condition now.
func (r *Runner) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.next(observation{kind: seenTime}, time.Now())
}

// Probed folds the result of a probe into health. After one that went well
// what is held back is tried at once, and what comes of that says more; if there
// is nothing, the probe is all there is to go by.
func (r *Runner) Probed(err error) {
	o := observation{kind: seenAlive}
	if r.Pending() == 0 {
		o.kind = seenIdle
	}
	if err != nil {
		o = observation{kind: seenFailure, cause: err}
		if agent.IsBlocked(err) {
			o.kind = seenBlocked
		}
	}
	r.mu.Lock()
	r.health = r.health.next(o, time.Now())
	r.mu.Unlock()
	r.Kick()
}

// Stats are an output's figures at one moment.
type Stats struct {
	Ledger
	FailedNow   int           // in the failed store, without those that are pending again after a crash
	OldestAge   time.Duration // of the oldest pending event that was read; 0 if none
	InFlight    int           // requests
	Concurrency int           // requests allowed in flight now
	BytesHeld   int64         // memory for blocks and encoded events
	P50         time.Duration // of the last requests that were taken
	P90         time.Duration
	P99         time.Duration
}

// Stats may be asked at any time, also before and after Run.
func (r *Runner) Stats() Stats {
	s := Stats{Ledger: r.Ledger(), FailedNow: r.o.Failed.settled(), OldestAge: r.oldestAge(time.Now()), BytesHeld: r.budget.held()}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.InFlight, s.Concurrency = r.busy, r.width
	p := r.lat.percentiles(50, 90, 99)
	s.P50, s.P90, s.P99 = p[0], p[1], p[2]
	return s
}

func (r *Runner) oldestAge(now time.Time) time.Duration {
	r.mu.Lock()
	oldest := r.oldest
	r.mu.Unlock()
	if oldest == 0 {
		oldest = r.gathering.Load()
	}
	if oldest == 0 {
		return 0
	}
	return max(0, time.Duration(now.UnixNano()-oldest))
}
