package delivery

import "time"

// Status is an output's condition in one word.
type Status string

// The statuses of contract 6.
const (
	Unknown  Status = "unknown" // nothing was sent yet
	Healthy  Status = "healthy"
	Degraded Status = "degraded" // something fails, or some events were refused
	Unwell   Status = "failed"   // blocked, or nothing taken for failedAfter
)

// failedAfter is how long an output may fail before it is called failed.
const failedAfter = 5 * time.Minute

// Health is what is known about an output, and since when. Times are zero if there was none.
type Health struct {
	Status      Status
	Since       time.Time // when Status became what it is
	LastSuccess time.Time
	LastError   string
	Hint        string // what can be done about LastError; empty if nobody knows
	LastErrorAt time.Time
	Failing     time.Time // since when nothing was taken, if it fails
	Failures    int       // failures since the last success
	NextTry     time.Time // zero: nothing is held back
}

// An observation is what health is told.
type observation struct {
	kind    observed
	cause   error // what went wrong, if anything did
	nextTry time.Time
}

func (o observation) err() string {
	if o.cause == nil {
		return ""
	}
	return o.cause.Error()
}

type observed uint8

const (
	seenTime    observed = iota // nothing happened, time passed
	seenTaken                   // events were taken
	seenPartly                  // some were taken, some were not
	seenRefused                 // events were refused: the target answers, and something is wrong
	seenFailure                 // no answer, or one that says nothing about the events
	seenBlocked                 // nothing will be taken until a person acts
	seenAlive                   // a probe went well; no events were sent, and some wait
	seenIdle                    // a probe went well, and nothing waits that could still fail
)

// fault remembers what went wrong.
func (h *Health) fault(o observation, now time.Time) {
	h.LastError, h.LastErrorAt, h.NextTry = o.err(), now, o.nextTry
	h.Hint = ""
	if o.cause != nil {
		h.Hint = hintOf(o.cause)
	}
}

// next is the health after o.
func (h Health) next(o observation, now time.Time) Health {
	to := h.Status
	switch o.kind {
	case seenTaken:
		to = Healthy
		h.LastSuccess = now
		h.Failing, h.Failures, h.NextTry = time.Time{}, 0, time.Time{}
	case seenPartly:
		to = Degraded
		h.LastSuccess = now
		h.fault(o, now)
		h.Failing, h.Failures = time.Time{}, 0
	case seenAlive:
		if h.Status == Unknown {
			to = Healthy
		}
	case seenIdle:
		to = Healthy
		h.Failing, h.Failures, h.NextTry = time.Time{}, 0, time.Time{}
	case seenRefused, seenFailure, seenBlocked:
		h.fault(o, now)
		h.Failures++
		if h.Failing.IsZero() {
			h.Failing = now
		}
		if h.Status != Unwell {
			to = Degraded
		}
		if o.kind == seenBlocked {
			to = Unwell
		}
	}
	if !h.Failing.IsZero() && now.Sub(h.Failing) >= failedAfter {
		to = Unwell
	}
	if to != h.Status {
		h.Status, h.Since = to, now
	}
	return h
}
