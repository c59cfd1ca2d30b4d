package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

var tapRoutes = []route{
	{
		method: "GET", path: prefix + "/tap", scope: scopeRead, brief: "A live copy of what flows, as server-sent events: event, skipped and end.", stream: "text/event-stream", answer: tapped{},
		query: []parameter{
			{"connection", "string", "Only what this one takes, and rendered as it sends it."},
			{"input", "string", "Only what this input took."},
			{"type", "string", "Only events of this type."},
			{"severity", "string", "Only events of at least this severity."},
			{"match", "string", "Only events that hold this text, in any case."},
			{"limit", "integer", "End after so many events; 0: never."},
			{"rate", "integer", "Most events in a second, the others are counted as skipped; 1000 if not said."},
		}, status: []int{404, 503}, serve: (*Server).tap,
	},
}

// maxTaps is how many may watch at once.
const maxTaps = 16

// errEnough ends a tap that has shown its limit.
var errEnough = errors.New("enough")

// tapped is the data of one event.
type tapped struct {
	Seq       uint64          `json:"seq" doc:"Its number in the log."`
	Time      time.Time       `json:"time" doc:"When it happened."`
	Received  time.Time       `json:"received" doc:"When the agent took it."`
	EventID   string          `json:"event_id" doc:"Its id."`
	EventType string          `json:"event_type" doc:"Its type."`
	Source    string          `json:"source" doc:"What it is about."`
	Severity  string          `json:"severity" doc:"Its severity."`
	Input     string          `json:"input" doc:"The input that took it."`
	Event     json.RawMessage `json:"event" doc:"The event."`
	Rendered  string          `json:"rendered,omitempty" doc:"What the connection sends; bytes that are no text are replaced."`
	Error     string          `json:"error,omitempty" doc:"Why the connection cannot send it."`
}

func tappedOf(t *supervisor.Tapped) tapped {
	e := &t.Event
	out := tapped{
		Seq: e.Seq, Time: agent.When(e.Time), Received: time.Unix(0, e.Received).UTC(), EventID: string(e.ID), EventType: string(e.Type),
		Source: string(e.Source), Severity: e.Severity.String(), Input: e.Input, Event: e.Body,
	}
	if !json.Valid(e.Body) {
		out.Event, _ = json.Marshal(string(e.Body))
	}
	if y := out.Time.Year(); y < 1 || y > 9999 {
		out.Time = time.Time{}
	}
	switch {
	case t.Err != nil:
		out.Error = t.Err.Error()
	case e.Wire != nil && utf8.Valid(e.Wire):
		out.Rendered = string(e.Wire)
	case e.Wire != nil:
		out.Rendered = string(bytes.ToValidUTF8(e.Wire, []byte("\uFFFD")))
	}
	return out
}

func (s *Server) tap(c *call) error {
	q := c.URL.Query()
	f := supervisor.TapFilter{Connection: q.Get("connection"), Input: q.Get("input"), Type: q.Get("type"), Match: q.Get("match")}
	if text := q.Get("severity"); text != "" {
		sev, ok := agent.ParseSeverity([]byte(text))
		if !ok {
			return wrong("?severity", "informational, low, medium, high or critical", "%q is not a severity", text)
		}
		f.Severity = sev
	}
	limit, err := c.number("limit", 0, 0, 1<<30)
	if err != nil {
		return err
	}
	if f.Rate, err = c.number("rate", 1000, 1, 100_000); err != nil {
		return err
	}
	if f.Connection != "" {
		if _, ok := s.agent.Connection(f.Connection); !ok {
			return supervisor.ErrUnknownConnection
		}
	}
	if s.taps.Add(1) > maxTaps {
		s.taps.Add(-1)
		p := fail(http.StatusServiceUnavailable, "too many are watching", "at most %d at once", maxTaps)
		p.header = [2]string{"Retry-After", "10"}
		return p
	}
	defer s.taps.Add(-1)

	out := stream{c: c, control: http.NewResponseController(c.w)}
	c.begun = true
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	if err := out.comment("live"); err != nil {
		return nil // the client is gone
	}
	shown := 0
	err = s.agent.Tap(c.Context(), f, func(t supervisor.Tapped) error {
		if t.Skipped > 0 {
			return out.event("skipped", map[string]uint64{"events": t.Skipped})
		}
		if err := out.event("event", tappedOf(&t)); err != nil {
			return err
		}
		if shown++; shown == limit {
			return errEnough
		}
		return nil
	}, func() error { return out.comment("quiet") })
	if c.Context().Err() == nil {
		reason := "limit"
		if !errors.Is(err, errEnough) {
			reason = "the agent is stopping"
		}
		_ = out.event("end", map[string]string{"reason": reason}) // it ends either way
	}
	return nil
}

// stream writes server-sent events.
type stream struct {
	c       *call
	control *http.ResponseController
	buf     bytes.Buffer
}

// sendTimeout is how long a client may take to read what was written for it.
const sendTimeout = 10 * time.Second

func (s *stream) event(name string, v any) error {
	s.buf.Reset()
	s.buf.WriteString("event: " + name + "\ndata: ")
	enc := json.NewEncoder(&s.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // ends with a newline
		return err
	}
	s.buf.WriteByte('\n')
	return s.flush()
}

func (s *stream) comment(text string) error {
	s.buf.Reset()
	s.buf.WriteString(": " + text + "\n\n")
	return s.flush()
}

func (s *stream) flush() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.c.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}
