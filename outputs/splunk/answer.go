package splunk

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// An answer is HEC's body. Pointers are nil if the member is missing or is no
// whole number: 0 is a code, an ackId and an event number.
type answer struct {
	Code    *int64
	AckID   *int64
	Invalid *int64
}

// parse reads body; a body that is not of HEC gives an empty answer.
func parse(body []byte) (a answer) {
	var raw struct {
		Code    json.RawMessage `json:"code"`
		AckID   json.RawMessage `json:"ackId"`
		Invalid json.RawMessage `json:"invalid-event-number"`
	}
	if len(body) > 64<<10 || json.Unmarshal(body, &raw) != nil {
		return answer{}
	}
	a.Code, a.AckID, a.Invalid = whole(raw.Code), whole(raw.AckID), whole(raw.Invalid)
	return a
}

// whole takes text, and 0.0 too, as some languages write every number.
func whole(text json.RawMessage) *int64 {
	digits, _ := bytes.CutSuffix(bytes.Trim(text, `"`), []byte(".0"))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}

// A verdict is what an answer means for the events of its request.
type verdict uint8

const (
	taken      verdict = iota // all of them
	takenSlow                 // all of them, and the receiver asks for less
	oneBad                    // those before the bad one are taken, those behind it are not
	refused                   // something is wrong with one of them, nobody knows which: halve
	tooLarge                  // halve
	suspicious                // perhaps the events
	held                      // a person must act
	retried                   // nothing is known
)

// largeBody is what Splunk Cloud may refuse by naming the first event instead of the size.
const largeBody = 5_000_000

// judge reads the tables of Splunk's answers. n and size are the events and
// bytes of the request, routed says that the index depends on the event. bad is the index of the bad
// event for oneBad.
func judge(status int, a answer, n, size int, routed bool) (v verdict, bad int) {
	code := int64(-1)
	if a.Code != nil {
		code = *a.Code
	}
	switch {
	case status == http.StatusOK:
		switch code {
		case 0:
			return taken, 0
		case 24, 25:
			return takenSlow, 0
		}
		return retried, 0 // a login page, a health answer: not what was asked
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge, 0
	case status != http.StatusBadRequest:
		switch err := httpx.Word(status, 0, errWord); {
		case agent.IsBlocked(err):
			return held, 0
		case agent.IsSuspect(err):
			return suspicious, 0
		case agent.IsPermanent(err):
			return suspicious, 0 // 422 is not an answer of Splunk
		}
		return retried, 0
	}
	switch code {
	case 6:
		if size > largeBody && a.Invalid != nil && *a.Invalid == 0 {
			return tooLarge, 0
		}
		return numbered(a.Invalid, 0, n)
	case 12, 13, 15:
		return numbered(a.Invalid, 0, n)
	case 7:
		if !routed {
			return held, 0 // the one index of all events is wrong
		}
		return numbered(a.Invalid, 1, n) // it names the next one
	case 5:
		return refused, 0
	case 1, 2, 3, 4, 10, 11, 14, 16, 21, 22, 28:
		return held, 0
	case -1:
		// Not Splunk's own: a proxy, perhaps because of what an event holds.
		return suspicious, 0
	}
	return retried, 0
}

var errWord = errors.New("")

func numbered(number *int64, off int64, n int) (verdict, int) {
	if number == nil || *number < off || *number-off >= int64(n) {
		return refused, 0
	}
	return oneBad, int(*number - off)
}

const (
	fixToken   = "check the token: Settings, Data inputs, HTTP Event Collector"
	fixEnable  = "enable the token in Splunk: Settings, Data inputs, HTTP Event Collector"
	fixIndex   = "check index: it must exist, and the token must be allowed to write it"
	fixChannel = "set ack: true, or switch indexer acknowledgement off for this token"
	fixUseACK  = "tick \"Enable indexer acknowledgement\" for the token, or set ack: false"
)

// fixes are what a person can do about the codes that hold everything.
var fixes = map[int64]string{
	1: fixEnable, 2: fixToken, 3: fixToken, 4: fixToken, 7: fixIndex, 10: fixChannel, 11: fixChannel, 14: fixUseACK, 21: fixToken, 22: fixEnable, 28: fixChannel,
}

// failure makes the error that Write returns for a verdict that is not taken.
func failure(resp *httpx.Response, a answer, v verdict, bad, n int) error {
	switch v {
	case oneBad:
		// Those behind it were not looked at: again, at once.
		partial := &agent.PartialError{Failed: make([]agent.EventError, 0, n-bad)}
		partial.Failed = append(partial.Failed, agent.EventError{Index: bad, Err: agent.Permanent(resp.Answer())})
		behind := agent.After(0, errBehind)
		for i := bad + 1; i < n; i++ {
			partial.Failed = append(partial.Failed, agent.EventError{Index: i, Err: behind})
		}
		return partial
	case refused:
		return agent.Permanent(resp.Answer())
	case tooLarge:
		return agent.TooLarge(resp.Answer())
	case held:
		err := resp.Answer()
		if a.Code != nil {
			err.Fix = fixes[*a.Code]
		}
		return resp.Blame(agent.Blocked(err))
	case suspicious:
		if resp.Status == http.StatusInternalServerError {
			return resp.Err() // with what Retry-After says
		}
		return agent.Suspect(resp.Answer())
	}
	err := error(resp.Answer())
	if resp.Status < 300 {
		err = resp.Odd("not an answer of Splunk's HTTP Event Collector")
	}
	if wait := resp.Wait(); wait > 0 {
		err = agent.After(wait, err)
	}
	return resp.Blame(err)
}

var errBehind = errors.New("not looked at, because an event before it was refused")
