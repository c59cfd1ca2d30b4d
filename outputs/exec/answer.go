package exec

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/adrian207/siemd/agent"
)

// An answer is what a connector says of one event.
type answer struct {
	Seq        *uint64 `json:"seq"`
	OK         bool    `json:"ok"`
	Error      string  `json:"error"`
	Permanent  bool    `json:"permanent"`
	Blocked    bool    `json:"blocked"`
	RetryAfter float64 `json:"retry_after"` // seconds
}

// parseAnswer reads one line. Unknown members are ignored.
func parseAnswer(line []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return a, errors.New("that is no answer, which is one JSON object a line")
	}
	switch {
	case a.Seq == nil:
		return a, errors.New("that has no seq")
	case a.OK == (a.Error != ""):
		return a, errors.New(`an answer has either "ok":true or an "error" text`)
	case a.OK && (a.Permanent || a.Blocked || a.RetryAfter != 0):
		return a, errors.New("what is ok cannot be permanent, blocked or retried")
	}
	return a, nil
}

// maxRetryAfter keeps a slip, such as milliseconds, from stopping the output for days.
const maxRetryAfter = time.Hour

// err is the answer as an error with its word; nil if it is ok.
func (a answer) err() error {
	if a.OK {
		return nil
	}
	err := &agent.AnswerError{Endpoint: "connector", Answer: a.Error}
	switch {
	case a.Permanent:
		return agent.Permanent(err)
	case a.Blocked:
		return agent.Blocked(err)
	case a.RetryAfter > 0:
		return agent.After(time.Duration(min(a.RetryAfter, maxRetryAfter.Seconds())*float64(time.Second)), err)
	}
	return err
}

// verdicts collects the answers to one batch.
type verdicts struct {
	events  []agent.Event
	pending []int // indexes without an answer, rising
	errs    []error
	good    int
}

func newVerdicts(events []agent.Event) *verdicts {
	v := &verdicts{events: events, pending: make([]int, len(events)), errs: make([]error, len(events))}
	for i := range v.pending {
		v.pending[i] = i
	}
	return v
}

// take notes an answer, and reports whether anybody waits for it.
func (v *verdicts) take(a answer) bool {
	// Answers mostly come in order, so this mostly ends at once.
	for at, i := range v.pending {
		if v.events[i].Seq != *a.Seq {
			continue
		}
		if at == 0 {
			v.pending = v.pending[1:]
		} else {
			v.pending = slices.Delete(v.pending, at, at+1)
		}
		if v.errs[i] = a.err(); v.errs[i] == nil {
			v.good++
		}
		return true
	}
	return false
}

// result is what Write returns; err is why the pending ones have no answer.
func (v *verdicts) result(err error) error {
	if v.good == len(v.events) {
		return nil
	}
	if len(v.pending) == len(v.events) {
		return err
	}
	for _, i := range v.pending {
		v.errs[i] = err
	}
	p := &agent.PartialError{}
	for i, e := range v.errs {
		if v.good == 0 && agent.IsBlocked(e) {
			return e // nothing was taken, and nothing will be
		}
		if e != nil {
			p.Failed = append(p.Failed, agent.EventError{Index: i, Err: e})
		}
	}
	return p
}

// clean makes text of the connector fit for logs and errors: secrets masked,
// control and direction characters replaced, cut to at most n bytes.
func (o *output) clean(text []byte, n int) string {
	s := o.mask.Replace(strings.ToValidUTF8(string(text), "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return '\uFFFD'
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "..."
	}
	return s
}
