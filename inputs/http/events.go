package http

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// serveEvents answers POST /v1/events.
func (in *Input) serveEvents(rw *answer, req *http.Request) {
	if !in.admit(rw, req) {
		return
	}
	w := works.Get().(*work)
	defer in.done(w)
	if err := in.read(w, rw, req); err != nil {
		in.refuse(rw, err)
		return
	}
	var err error
	if w.items, err = w.split.events(w.items, w.body); err != nil {
		in.refuseText(rw, req, w, err)
		return
	}
	if len(w.items) > in.config.MaxEvents {
		in.refuse(rw, errTooLarge)
		return
	}
	for _, item := range w.items {
		w.offsets = append(w.offsets, w.offset(item))
	}
	b, long := in.batch(w, rw, req)
	key := req.Header.Get("Idempotency-Key")
	if key == "" {
		r, err := in.emit(req.Context(), b)
		in.tell(rw, r, long, err)
		return
	}
	in.once(rw, req, key, w, b, long)
}

// admit checks the method and the token.
func (in *Input) admit(rw *answer, req *http.Request) bool {
	if req.Method != http.MethodPost {
		rw.Header()["Allow"] = []string{"POST"}
		rw.json(http.StatusMethodNotAllowed, problem("want POST"))
		return false
	}
	if in.tokens.check(rw, req.Header) != credentialGood {
		rw.Header()["Www-Authenticate"] = []string{`Bearer realm="siemd"`}
		rw.json(http.StatusUnauthorized, problem("the token is missing or wrong"))
		return false
	}
	return true
}

// refuse answers for a body of which nothing is taken.
func (in *Input) refuse(rw *answer, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		rw.again(status, problem(err.Error()))
		return
	}
	rw.json(status, problem(err.Error()))
}

// refuseText answers for a text that is not made of values, such as an array that
// breaks off. Nothing of it is taken; it is kept, up to the limit, as one refused line.
func (in *Input) refuseText(rw *answer, req *http.Request, w *work, err error) {
	if errors.Is(err, errEmpty) {
		in.refuse(rw, err)
		return
	}
	text := bytes.TrimSpace(w.body)
	broken := []agent.Refusal{{
		Line: len(w.items), Text: text[:min(len(text), int(in.config.MaxEvent))], Offset: w.offset(text),
		Reason: agent.ReasonNotJSON, Detail: err.Error(),
	}}
	r, err := in.emit(req.Context(), agent.Batch{File: req.RemoteAddr, Refused: broken})
	in.tell(rw, r, broken, err)
}

// batch makes a batch of w's items. Those that are too long go to the refused
// store by their beginning; for the log their line is blank.
func (in *Input) batch(w *work, rw *answer, req *http.Request) (b agent.Batch, long []agent.Refusal) {
	most := int(in.config.MaxEvent)
	for i, item := range w.items {
		if len(item) <= most {
			continue
		}
		long = append(long, agent.Refusal{
			Line: i, Text: item[:most], Reason: agent.ReasonTooLong,
			Detail: "the event has " + strconv.Itoa(len(item)) + " bytes, more than " + strconv.Itoa(most),
		})
		if len(w.offsets) > 0 {
			long[len(long)-1].Offset = w.offsets[i]
		}
		w.items[i] = nil
	}
	b = agent.Batch{Lines: w.items, Fields: rw.fields, File: req.RemoteAddr, Refused: long}
	if len(w.offsets) > 0 {
		// Without an origin they tell where a refused line was, and no more.
		b.Offsets = w.offsets
	}
	return b, long
}

// tell answers with what became of a batch.
func (in *Input) tell(rw *answer, r agent.Receipt, long []agent.Refusal, err error) {
	switch {
	case errors.Is(err, errTooLarge):
		in.refuse(rw, err)
		return
	case err != nil:
		rw.again(http.StatusServiceUnavailable, problem(excuse(err)))
		return
	}
	status, body := verdict(r, long)
	rw.json(status, body)
}

// excuse is what clients are told of an error of the log: not its details.
func excuse(err error) string {
	switch {
	case errors.Is(err, agent.ErrFull):
		return "the log is full; come again"
	case errors.Is(err, agent.ErrClosed):
		return "siemd is stopping; come again"
	}
	return "the log cannot take events now; come again"
}

// maxRejected is how many rejected lines an answer names.
const maxRejected = 1000

// verdict is the answer to a batch that the log has dealt with.
func verdict(r agent.Receipt, long []agent.Refusal) (status int, body []byte) {
	rejected := r.Refused
	if len(long) > 0 {
		rejected = slices.Concat(r.Refused, long)
		slices.SortStableFunc(rejected, func(a, b agent.Refusal) int { return a.Line - b.Line })
	}
	status = http.StatusOK
	b := []byte("{")
	if r.Accepted == 0 {
		status = http.StatusBadRequest
		text := "none of the events can be taken"
		if len(rejected) == 0 {
			text = errEmpty.Error()
		}
		b = append(cjson.AppendString(append(b, `"error":`...), text), ',')
	}
	b = strconv.AppendInt(append(b, `"accepted":`...), int64(r.Accepted), 10)
	b = append(b, `,"rejected":[`...)
	for i, x := range rejected[:min(len(rejected), maxRejected)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"line":`...), int64(x.Line)+1, 10)
		b = append(cjson.AppendString(append(b, `,"error":`...), reasonText(x)), '}')
	}
	b = append(b, ']')
	if len(rejected) > maxRejected {
		b = strconv.AppendInt(append(b, `,"rejected_count":`...), int64(len(rejected)), 10)
	}
	b = strconv.AppendUint(append(b, `,"first_seq":`...), r.First, 10)
	b = strconv.AppendUint(append(b, `,"last_seq":`...), r.Last, 10)
	return status, append(b, '}')
}

func reasonText(x agent.Refusal) string {
	if x.Detail == "" {
		return x.Reason
	}
	return x.Reason + ": " + x.Detail
}

// blank reports whether the text holds nothing but white space.
func blank(b []byte) bool { return len(bytes.TrimSpace(b)) == 0 }
