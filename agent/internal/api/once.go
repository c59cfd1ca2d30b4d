package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/idempotency"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// A request that is sent again because its answer was lost must not be done
// twice. An event is remembered with its key in the log, in the same fsync; a
// connection with its key in its own file.

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
	keyWindow    = 24 * time.Hour
)

// idempotencyKey is the request's key as this caller's own; zero if it has none.
func (c *call) idempotencyKey(what string) (idempotency.Digest, error) {
	key := c.Header.Get(keyHeader)
	if key == "" {
		return idempotency.Digest{}, nil
	}
	if len(key) > idempotency.MaxKey || len(c.Header.Values(keyHeader)) > 1 {
		return idempotency.Digest{}, fail(http.StatusBadRequest, "the "+keyHeader+" cannot be used", "one, of at most %d bytes", idempotency.MaxKey)
	}
	return idempotency.Of(what, c.who.client, key), nil
}

var errOtherBody = fail(http.StatusUnprocessableEntity, "the "+keyHeader+" was used before, for another body", "take a new key for a new request")

// kept is what is remembered of an exported event.
type kept struct {
	EventID string            `json:"event_id"`
	Seq     uint64            `json:"seq"` // 0: a crash came before it was known
	Waiting []string          `json:"waiting,omitempty"`
	Left    map[string]string `json:"left,omitempty"` // named connections that do not get it
}

// exportOnce is export for a request with a key. Whoever sends it again is told
// what has become of the event since.
func (s *Server) exportOnce(ctx context.Context, c *call, x supervisor.Export, req *exportRequest) error {
	key, err := c.idempotencyKey("export")
	if err != nil {
		return err
	}
	body := idempotency.Of(req.EventType, req.EventSource, string(req.EventData), strings.Join(x.Targets, "\n"))
	r, first, err := s.keys.Begin(ctx, key, body)
	switch {
	case errors.Is(err, idempotency.ErrOtherBody):
		return errOtherBody
	case err != nil:
		return fail(http.StatusServiceUnavailable, "the same request is under way", "ask again")
	case first:
		stored, waiting, err := s.storeOnce(ctx, x, r)
		if err != nil {
			return err
		}
		s.agent.Await(ctx, stored.Seq, waiting, stored.Results)
		return c.json(http.StatusOK, exportedAnswer(stored))
	}
	c.w.Header().Set(replayHeader, "true")
	var k kept
	if err := json.Unmarshal(r.Answer(), &k); err != nil {
		return fmt.Errorf("what is kept of the request: %w", err)
	}
	stored := supervisor.Exported{EventID: k.EventID, Seq: k.Seq, Results: map[string]delivery.Outcome{}}
	if k.Seq == 0 {
		a := exportedAnswer(stored)
		a.Message = "event stored before a crash of the agent; GET " + prefix + "/failed tells whether it was refused"
		return c.json(http.StatusOK, a)
	}
	for name, why := range k.Left {
		stored.Results[name] = delivery.Outcome{Result: delivery.Pending, Reason: why}
	}
	s.agent.Await(ctx, k.Seq, k.Waiting, stored.Results)
	return c.json(http.StatusOK, exportedAnswer(stored))
}

// storeOnce stores the event with its key, and then what is needed to tell about it.
func (s *Server) storeOnce(ctx context.Context, x supervisor.Export, r *idempotency.Request) (supervisor.Exported, []string, error) {
	var answer []byte
	defer func() { s.keys.Finish(r, answer) }()
	encode := func(k kept) []byte {
		data, _ := json.Marshal(k) // strings and numbers
		return data
	}
	x.Origin = r.Origin()
	x.Mark = func(id string) *agent.Mark { return r.Mark(encode(kept{EventID: id})) }
	stored, waiting, err := s.agent.Store(ctx, x)
	if err != nil {
		return stored, nil, err
	}
	k := kept{EventID: stored.EventID, Seq: stored.Seq, Waiting: waiting}
	for name, o := range stored.Results {
		if k.Left == nil {
			k.Left = map[string]string{}
		}
		k.Left[name] = o.Reason
	}
	answer = encode(k)
	if len(answer) <= idempotency.MaxStored {
		// The event is safe; if this mark is not, a restart costs the exact answer.
		if err := s.agent.Remember(ctx, r.Mark(answer), x.Patience); err != nil {
			s.log.Debug("the answer to an export is not kept", "err", err)
		}
	}
	return stored, waiting, nil
}

// madeBy is the connection that the same request has made before; "" if there is none.
func (s *Server) madeBy(request string) (id string, err error) {
	key, body, _ := strings.Cut(request, "/")
	for name, o := range s.agent.Config().Outputs {
		m := o.Managed
		if m == nil || m.Request == "" || s.now().Sub(m.CreatedAt) > keyWindow {
			continue
		}
		if k, b, _ := strings.Cut(m.Request, "/"); k == key {
			if b != body {
				return "", errOtherBody
			}
			return name, nil
		}
	}
	return "", nil
}

// requestOf stands for a request with a key and its body; "" without a key.
func (c *call) requestOf(what string, body []byte) (string, error) {
	key, err := c.idempotencyKey(what)
	if err != nil || key == (idempotency.Digest{}) {
		return "", err
	}
	sum := idempotency.Of(string(body))
	return hex.EncodeToString(key[:16]) + "/" + hex.EncodeToString(sum[:16]), nil
}

// errMade says that a connection was made by the same request in this moment.
type errMade struct{ id string }

func (e errMade) Error() string { return "the same request has made " + e.id + " already" }

// answerMade tells about a connection that the same request has made before.
func (s *Server) answerMade(c *call, id string) error {
	c.w.Header().Set(replayHeader, "true")
	c.w.Header().Set("Location", prefix+"/connections/"+id)
	return s.answerChanged(c, http.StatusCreated, id)
}
