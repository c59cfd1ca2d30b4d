package agent

import (
	"errors"
	"fmt"
	"time"
)

// The words for what went wrong with a Write. A word is said where it is known,
// by wrapping the cause. No word means: try the same again later, for as long
// as it takes. Losing an event needs a word.
//
//	Permanent   these events will never be taken; alone they go to the failed store, many are halved first
//	Suspect     the answer blames the batch without saying why (a bare 500): retried, and after
//	            max_attempts, while others pass, halved and at last given to the failed store
//	TooLarge    halve and try again
//	Blocked     nothing will be taken until a person acts (401, a wrong index): hold everything
//	After       not before d from now; d = 0: at once, without backoff
//	PartialError  some events were not delivered, each for its own reason; the others were
type word uint8

const (
	wordNone word = iota
	wordPermanent
	wordSuspect
	wordTooLarge
	wordBlocked
	wordAfter
)

type wordError struct {
	word  word
	after time.Duration
	err   error
}

func (e *wordError) Error() string { return e.err.Error() }
func (e *wordError) Unwrap() error { return e.err }

func say(w word, err error) error {
	if err == nil {
		return nil
	}
	return &wordError{word: w, err: err}
}

// Permanent says that these events will never be taken. Nil stays nil, here and below.
func Permanent(err error) error { return say(wordPermanent, err) }

// Suspect says that the answer blames the batch without saying why.
func Suspect(err error) error { return say(wordSuspect, err) }

// TooLarge says that the batch, or the single event, is larger than the target takes.
func TooLarge(err error) error { return say(wordTooLarge, err) }

// Blocked says that nothing will be taken until a person acts.
func Blocked(err error) error { return say(wordBlocked, err) }

// After says that the same may be tried again in d, and not before.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &wordError{word: wordAfter, after: max(d, 0), err: err}
}

func wordOf(err error) word {
	var we *wordError
	if errors.As(err, &we) {
		return we.word
	}
	return wordNone
}

// IsPermanent, IsSuspect, IsTooLarge and IsBlocked ask for the outermost word of err.
func IsPermanent(err error) bool { return wordOf(err) == wordPermanent }

// IsSuspect: see IsPermanent.
func IsSuspect(err error) bool { return wordOf(err) == wordSuspect }

// IsTooLarge: see IsPermanent.
func IsTooLarge(err error) bool { return wordOf(err) == wordTooLarge }

// IsBlocked: see IsPermanent.
func IsBlocked(err error) bool { return wordOf(err) == wordBlocked }

// RetryAfter is the wait that After asked for.
func RetryAfter(err error) (time.Duration, bool) {
	var we *wordError
	if errors.As(err, &we) && we.word == wordAfter {
		return we.after, true
	}
	return 0, false
}

// A PartialError says that the events in Failed, by index into the slice given
// to Write and in rising order, were not delivered; all others were. Each Err
// has its own word.
type PartialError struct {
	Failed []EventError
}

// An EventError is the failure of one event of a batch.
type EventError struct {
	Index int
	Err   error
}

func (e *PartialError) Error() string {
	if len(e.Failed) == 0 {
		return "no event failed"
	}
	return fmt.Sprintf("%d events were not taken, the first: %v", len(e.Failed), e.Failed[0].Err)
}

// An AnswerError is what a SIEM answered, in its own words, for the failed
// store and for health. Answer is cut and cleared of secrets by its maker.
type AnswerError struct {
	Endpoint string // where it came from, without credentials
	Status   int    // HTTP status of the request or of the item; 0 if the protocol has none
	Answer   string // at most a few KiB
	Fix      string // what a person can do about it, if its maker knows; no part of Error
}

func (e *AnswerError) Error() string {
	switch {
	case e.Status != 0 && e.Answer != "":
		return fmt.Sprintf("%s answered %d: %s", e.Endpoint, e.Status, e.Answer)
	case e.Status != 0:
		return fmt.Sprintf("%s answered %d", e.Endpoint, e.Status)
	}
	return fmt.Sprintf("%s: %s", e.Endpoint, e.Answer)
}

// ErrFull is returned by Emit when the log has no room and the deadline has passed.
var ErrFull = errors.New("the log is full")

// ErrBatchTooLarge is returned by Emit for a batch that the log can never take:
// it has more than half of the log's largest size.
var ErrBatchTooLarge = errors.New("the batch is larger than half of wal.max_size")

// ErrClosed is returned by Emit when the log is closing; nothing was taken.
var ErrClosed = errors.New("the log is closed")

// ErrExchanged is the cause of the context of an Input's Run that ends because
// another of the same type takes its place: see Heir.
var ErrExchanged = errors.New("another input takes the place of this one")
