package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// exportRoutes store events.
var exportRoutes = []route{
	{
		method: "POST", path: prefix + "/export", scope: scopeWrite, brief: "Store one event and tell what became of it.", body: exportRequest{}, required: []string{"event_type", "event_data"}, answer: exportAnswer{}, keyed: true,
		query: []parameter{{"wait", "duration", "How long to wait for connections; 5s if not said, at most 60s."}}, status: []int{503}, serve: (*Server).export,
	},
}

// eventTypes are the seven of contract 8.
var eventTypes = []string{"anomaly", "risk_assessment", "compliance_check", "telemetry", "workflow_execution", "security_event", "alert"}

type exportRequest struct {
	EventType   string          `json:"event_type" doc:"One of the seven types, or one that a connection's filter names."`
	EventSource string          `json:"event_source" doc:"The event's source, if it names none itself."`
	EventData   json.RawMessage `json:"event_data" doc:"The event, an object; raw records are given their nested shape."`
	Connections []string        `json:"connections" doc:"Only these; default: all that take it."`
}

type exportAnswer struct {
	Message string            `json:"message" doc:"For people."`
	EventID string            `json:"event_id" doc:"The event's id, its own or a new one."`
	Seq     uint64            `json:"seq" doc:"Its number in the log."`
	Results map[string]bool   `json:"results" doc:"By connection: it was delivered in time."`
	Details map[string]string `json:"details,omitempty" doc:"By connection: why it was not, so far."`
}

func (s *Server) export(c *call) error {
	wait, err := c.wait(exportWait, exportWaitMax)
	if err != nil {
		return err
	}
	var req exportRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	event, err := s.eventOf(&req)
	if err != nil {
		return err
	}
	for i, name := range req.Connections {
		if _, ok := s.agent.Connection(name); !ok {
			return wrong(fmt.Sprintf("/connections/%d", i), "", "there is no connection %q", name)
		}
	}
	slices.Sort(req.Connections)
	x := supervisor.Export{Event: event, Targets: slices.Compact(req.Connections), Patience: 10 * time.Second}
	if len(x.Targets) == 0 {
		x.Targets = nil // all, not nobody
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	if c.Header.Get(keyHeader) != "" {
		return s.exportOnce(ctx, c, x, &req)
	}
	stored, waiting, err := s.agent.Store(ctx, x)
	if err != nil {
		return err
	}
	s.agent.Await(ctx, stored.Seq, waiting, stored.Results)
	return c.json(http.StatusOK, exportedAnswer(stored))
}

// exportedAnswer tells what is known of an exported event.
func exportedAnswer(x supervisor.Exported) exportAnswer {
	a := exportAnswer{EventID: x.EventID, Seq: x.Seq, Results: map[string]bool{}}
	sent := 0
	for name, o := range x.Results {
		a.Results[name] = o.Result == delivery.Sent
		if a.Results[name] {
			sent++
			continue
		}
		if a.Details == nil {
			a.Details = map[string]string{}
		}
		a.Details[name] = reason(o)
	}
	switch n := len(x.Results); {
	case n == 0:
		a.Message = "event stored; no connection takes it"
	case sent == n:
		a.Message = fmt.Sprintf("event exported to %d of %d connections", sent, n)
	default:
		a.Message = fmt.Sprintf("event stored and exported to %d of %d connections so far", sent, n)
	}
	return a
}

func reason(o delivery.Outcome) string {
	switch {
	case o.Result == delivery.Pending && (o.Reason == "" || o.Reason == context.DeadlineExceeded.Error() || o.Reason == context.Canceled.Error()):
		return "pending: not delivered in time, it will be"
	case o.Reason == "":
		return o.Result.String()
	}
	return o.Result.String() + ": " + o.Reason
}

// eventOf makes the event's line of a request.
func (s *Server) eventOf(req *exportRequest) ([]byte, error) {
	if req.EventType == "" {
		return nil, wrong("/event_type", "one of "+strings.Join(eventTypes, ", "), "event_type is missing")
	}
	if !s.knownType(req.EventType) {
		return nil, wrong("/event_type", hintType(req.EventType), "%q is not a type of event", req.EventType)
	}
	if len(req.EventData) == 0 || req.EventData[0] != '{' {
		return nil, wrong("/event_data", "", "event_data must be an object")
	}
	var own struct {
		Type   json.RawMessage `json:"event_type"`
		Source json.RawMessage `json:"source"`
	}
	if err := json.Unmarshal(req.EventData, &own); err != nil {
		return nil, wrong("/event_data", "", "event_data: %s", err)
	}
	var head []byte
	if present(own.Type) {
		var inner string
		if json.Unmarshal(own.Type, &inner) != nil || inner != req.EventType {
			return nil, wrong("/event_data/event_type", "leave it out, or make it the same", "event_data says another event_type")
		}
	} else {
		quoted, _ := json.Marshal(req.EventType)
		head = fmt.Appendf(head, `"event_type":%s,`, quoted)
	}
	if req.EventSource != "" && !present(own.Source) && !hasMember(req.EventData, "device_id") {
		quoted, _ := json.Marshal(req.EventSource)
		head = fmt.Appendf(head, `"source":%s,`, quoted)
	}
	rest := req.EventData[1:]
	if strings.TrimLeft(string(rest), " \t\r\n") == "}" && len(head) > 0 {
		head = head[:len(head)-1] // no comma before the end
	}
	return slices.Concat([]byte{'{'}, head, rest), nil
}

func present(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" && string(v) != `""` }

func (s *Server) knownType(name string) bool {
	if slices.Contains(eventTypes, name) {
		return true
	}
	for _, o := range s.agent.Config().Outputs {
		if slices.Contains(o.Common.Filter.EventTypes, name) {
			return true
		}
	}
	return false
}

func hintType(name string) string {
	if near := agent.Nearest(name, eventTypes); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "one of " + strings.Join(eventTypes, ", ")
}

// hasMember reports whether an object has a member of that name.
func hasMember(object []byte, name string) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(object, &m) == nil && len(m[name]) > 0
}
