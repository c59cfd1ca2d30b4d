package delivery

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A verdict is what an error says, in one word.
type verdict uint8

// The words of package agent, in the order in which the worst of several is found.
const (
	again     verdict = iota // After(0): the same at once
	noWord                   // nothing is known
	later                    // After(d)
	blocked                  // a person has to act
	suspect                  // the events are blamed, without a reason
	tooLarge                 // halve
	permanent                // these events will never be taken
)

var verdictNames = [...]string{"again", "failure", "throttled", "blocked", "suspect", "too_large", "refused"}

func (v verdict) String() string { return verdictNames[v] }

// judge finds the word in err. A deadline is no word, whatever it was wrapped in: nobody answered.
func judge(err error) (verdict, time.Duration) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return noWord, 0
	}
	if d, ok := agent.RetryAfter(err); ok {
		if d == 0 {
			return again, 0
		}
		return later, min(d, maxAfter)
	}
	switch {
	case agent.IsPermanent(err):
		return permanent, 0
	case agent.IsTooLarge(err):
		return tooLarge, 0
	case agent.IsSuspect(err):
		return suspect, 0
	case agent.IsBlocked(err):
		return blocked, 0
	}
	return noWord, 0
}

// maxAfter is the longest wait that a target can ask for.
const maxAfter = time.Hour

// overloaded reports whether err means that the target has too much to do.
func overloaded(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if d, ok := agent.RetryAfter(err); ok && d > 0 {
		return true
	}
	var answer *agent.AnswerError
	return errors.As(err, &answer) && (answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable)
}

// partialFailures are the failures of err, if it is a well-formed PartialError about n events.
func partialFailures(err error, n int) (failed []agent.EventError, ok bool) {
	var partial *agent.PartialError
	if !errors.As(err, &partial) {
		return nil, false
	}
	last := -1
	for _, f := range partial.Failed {
		if f.Index <= last || f.Index >= n || f.Err == nil {
			return nil, false
		}
		last = f.Index
	}
	return partial.Failed, true
}
