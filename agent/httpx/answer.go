package httpx

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
)

// maxRetryAfter caps what a receiver may ask for.
const maxRetryAfter = 5 * time.Minute

// Word puts the error word that an HTTP status stands for around err. It is
// the table that all targets share; outputs decide what they know better
// before they ask. wait is what Retry-After said, 0 if nothing.
//
//	413                              TooLarge
//	400, 422                         Permanent: the request itself is refused; many events are halved
//	500                              Suspect: perhaps these events, perhaps the server
//	408, 425, 429, other 5xx         After(wait), or no word
//	3xx, other 4xx                   Blocked: redirects are not followed, a person must act
//	2xx and anything else            no word: not what this output expects, so try again
func Word(status int, wait time.Duration, err error) error {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return agent.TooLarge(err)
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return agent.Permanent(err)
	case wait > 0 && (status == http.StatusRequestTimeout || status == http.StatusTooEarly ||
		status == http.StatusTooManyRequests || status >= 500):
		return agent.After(wait, err)
	case status == http.StatusInternalServerError:
		return agent.Suspect(err)
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests:
		return err
	case status >= 300 && status < 500:
		return agent.Blocked(err)
	}
	return err
}

// RetryAfter is the wait that a Retry-After header asks for, as seconds or as
// a date, at most 5 minutes; 0 if there is none that makes sense.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if digits := strings.Trim(text, "0123456789"); digits == "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil { // more than any int32
			return maxRetryAfter
		}
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	date, err := http.ParseTime(text)
	if err != nil || date.Before(now) {
		return 0
	}
	return min(date.Sub(now), maxRetryAfter)
}

// A Response is what a target answered. Body is valid until Release.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte
	Truncated bool      // Body is only the beginning: for a 2xx status only if the request was Brief
	Endpoint  *Endpoint // who answered

	release func()
}

// Release gives the buffer of Body back. It may be called more than once.
func (r *Response) Release() {
	if r.release != nil {
		r.release()
		r.release, r.Body = nil, nil
	}
}

// Wait is what the response's Retry-After asks for.
func (r *Response) Wait() time.Duration { return RetryAfter(r.Header, time.Now()) }

// Answer makes an error of the response's status and body, fit for people.
func (r *Response) Answer() *agent.AnswerError { return r.answer(r.Status, r.Body, r.Truncated, "") }

// Odd is the error for an answer that the protocol does not know: what is
// wrong, then the answer.
func (r *Response) Odd(format string, args ...any) *agent.AnswerError {
	return r.answer(r.Status, r.Body, r.Truncated, fmt.Sprintf(format, args...))
}

// Item makes an error of what the target said about one event.
func (r *Response) Item(status int, text string) *agent.AnswerError {
	return r.answer(status, []byte(text), false, "")
}

func (r *Response) answer(status int, body []byte, truncated bool, what string) *agent.AnswerError {
	text := r.Endpoint.client.Mask().Answer(body, truncated)
	if r.Status >= 300 && r.Status < 400 {
		if to := r.Header.Get("Location"); to != "" && what == "" {
			what = "redirected to " + r.Endpoint.client.Mask().Answer([]byte(to), false) + ", which is not followed"
		}
	}
	switch {
	case what != "" && text != "":
		text = what + ": " + text
	case what != "":
		text = what
	}
	return &agent.AnswerError{Endpoint: r.Endpoint.label, Status: status, Answer: text}
}

// Err is the error for a status that is not 2xx, with its word, for a target
// that has nothing to add to the shared table; see [Word]. It is nil for 2xx.
// What does not speak of the events counts against the endpoint: see [Response.Blame].
func (r *Response) Err() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	err := Word(r.Status, r.Wait(), r.Answer())
	if agent.IsPermanent(err) || agent.IsTooLarge(err) {
		return err
	}
	return r.Blame(err)
}

// Blame says that the answer is the endpoint's or the config's fault, not the
// events'. With several endpoints this one is rested, and while another one is
// healthy the error asks for the same events at once, so that they go there.
func (r *Response) Blame(err error) error { return r.Endpoint.blame(err, r.Wait()) }

// Good says that the endpoint did what it is for. Do does not know that: a
// login page has status 200 too.
func (r *Response) Good() { r.Endpoint.good() }
