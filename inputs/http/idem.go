package http

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/idempotency"
)

// once deals with a request that carries an Idempotency-Key: the first one of
// a key is taken, the others get its answer.
func (in *Input) once(rw *answer, req *http.Request, key string, w *work, b agent.Batch, long []agent.Refusal) {
	if len(key) > idempotency.MaxKey {
		rw.json(http.StatusBadRequest, problem("the Idempotency-Key is longer than 255 bytes"))
		return
	}
	// Clients with different tokens do not know of each other's keys.
	id := idempotency.Digest(sha256.Sum256([]byte(req.Header.Get("Authorization") + "\x00" + key)))
	r, first, err := in.keys.Begin(req.Context(), id, sha256.Sum256(w.body))
	switch {
	case errors.Is(err, idempotency.ErrOtherBody):
		rw.json(http.StatusUnprocessableEntity, problem(err.Error()))
	case err != nil: // the client is gone
	case first:
		in.first(rw, req, r, b, long)
	default:
		rw.Header()["Idempotency-Replayed"] = []string{"true"}
		rw.json(http.StatusOK, r.Answer())
	}
}

// first takes a request and remembers it. A mark goes to the disk in the same
// fsync as the events, so that the key is known whenever they are; a second one
// with the answer follows before the client is told.
func (in *Input) first(rw *answer, req *http.Request, r *idempotency.Request, b agent.Batch, long []agent.Refusal) {
	var kept []byte
	defer func() { in.keys.Finish(r, kept) }()
	// The ids of events without one are derived from the key.
	b.Origin = r.Origin()
	count := 0
	for _, line := range b.Lines {
		if !blank(line) {
			count++
		}
	}
	promise := strconv.AppendInt([]byte(`{"accepted":`), int64(count), 10)
	promise = append(promise, `,"rejected":[],"first_seq":0,"last_seq":0}`...)
	b.Mark = r.Mark(promise)
	receipt, err := in.emit(req.Context(), b)
	if err != nil {
		in.tell(rw, receipt, long, err)
		return
	}
	status, body := verdict(receipt, long)
	mark := r.Mark(nil) // nothing was taken: forget the key
	if status == http.StatusOK {
		kept = body
		mark = r.Mark(body)
		if len(body) > idempotency.MaxStored {
			mark = r.Mark(promise)
		}
	}
	// The events are safe; if this mark is not, a restart costs the exact answer.
	if _, err := in.emit(req.Context(), agent.Batch{Mark: mark}); err != nil {
		in.env.Log.Debug("the answer to a request is not kept", "err", err)
	}
	rw.json(status, body)
}
