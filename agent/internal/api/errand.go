package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// errandRoutes make the agent do something.
var errandRoutes = []route{
	{
		method: "POST", path: prefix + "/export", scope: scopeWrite, brief: "Store one event and tell what became of it.", body: exportRequest{}, required: []string{"event_type", "event_data"}, answer: exportAnswer{},
		query: []parameter{{"wait", "duration", "How long to wait for connections; 5s if not said, at most 60s."}}, status: []int{503}, serve: (*Server).export,
	},
	{
		method: "POST", path: prefix + "/process-pending", scope: scopeWrite, brief: "Send waiting events now.", answer: errandAnswer{},
		query: []parameter{
			{"limit", "integer", "Most events of each connection; 1000 if not said."},
			{"connection", "string", "Only this one."},
			{"wait", "duration", "How long to wait for the outcome; 30s if not said, at most 10m."},
		}, status: []int{404, 409}, serve: (*Server).processPending,
	},
	{
		method: "POST", path: prefix + "/retry-failed", scope: scopeWrite, brief: "Send failed events again.", answer: errandAnswer{},
		query:  append([]parameter{{"wait", "duration", "How long to wait for the outcome; 30s if not said, at most 10m."}}, failedQuery...),
		status: []int{404, 409}, serve: (*Server).retryFailed,
	},
	{
		method: "POST", path: prefix + "/connections/{id}/test", scope: scopeWrite, brief: "Check the way to the SIEM, step by step.", answer: healthObject{},
		query: []parameter{{"wait", "duration", "How long it may take; 30s if not said, at most 60s."}}, status: []int{404, 409}, serve: (*Server).test,
	},
	{
		method: "POST", path: prefix + "/connections/{id}/drain", scope: scopeWrite, brief: "Send what waits for one connection.", answer: drainAnswer{},
		query: []parameter{{"wait", "duration", "How long to wait; 30s if not said, at most 10m."}}, status: []int{404, 409}, serve: (*Server).drain,
	},
	{
		method: "POST", path: prefix + "/reload", scope: scopeWrite, brief: "Load the config anew: all of it is applied, or nothing.", answer: supervisor.Reload{},
		status: []int{422}, serve: (*Server).reload,
	},
}

const (
	exportWait    = 5 * time.Second
	exportWaitMax = time.Minute
	errandWait    = 30 * time.Second
	errandWaitMax = 10 * time.Minute
)

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
	targets := slices.Compact(req.Connections)
	if len(targets) == 0 {
		targets = nil // all, not nobody
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	x, err := s.agent.Export(ctx, event, targets, 10*time.Second)
	if err != nil {
		return err
	}
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
	return c.json(http.StatusOK, a)
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
	if req.EventSource != "" && !present(own.Source) && !bytesContainKey(req.EventData, "device_id") {
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

type errandAnswer struct {
	Message string            `json:"message" doc:"For people."`
	Results map[string][2]int `json:"results" doc:"By connection: events sent, events failed."`
	Details map[string]string `json:"details,omitempty" doc:"By connection: why it ended early."`
}

func answerOf(what string, results map[string]supervisor.Errand) errandAnswer {
	a := errandAnswer{Results: map[string][2]int{}}
	sent, failed := 0, 0
	for name, e := range results {
		a.Results[name] = [2]int{e.Sent, e.Failed}
		sent, failed = sent+e.Sent, failed+e.Failed
		if e.Err == nil {
			continue
		}
		if a.Details == nil {
			a.Details = map[string]string{}
		}
		a.Details[name] = early(e.Err)
	}
	a.Message = fmt.Sprintf("%s events: %d sent, %d failed", what, sent, failed)
	if len(a.Details) > 0 {
		a.Message += fmt.Sprintf("; %d of %d connections have not finished", len(a.Details), len(results))
	}
	return a
}

func early(err error) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "not finished in time; it goes on"
	}
	return err.Error()
}

func (s *Server) processPending(c *call) error {
	limit, err := c.number("limit", 1000, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	wait, err := c.wait(errandWait, errandWaitMax)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	results, err := s.agent.ProcessPending(ctx, c.param("connection"), limit)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, answerOf("pending", results))
}

func (s *Server) retryFailed(c *call) error {
	filter, err := c.failedFilter(24)
	if err != nil {
		return err
	}
	wait, err := c.wait(errandWait, errandWaitMax)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	var a errandAnswer
	err = s.agent.Audited(c.who.Actor, "retry-failed", c.param("connection"), func() (string, error) {
		results, err := s.agent.RetryFailed(ctx, c.param("connection"), filter)
		a = answerOf("failed", results)
		return a.Message, err
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, a)
}

func (s *Server) test(c *call) error {
	conn, err := s.connection(c)
	if err != nil {
		return err
	}
	wait, err := c.wait(errandWait, exportWaitMax)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	steps := []probeStep{}
	began := time.Now()
	err = s.agent.Probe(ctx, conn.Config.Name, func(st agent.Step) {
		one := probeStep{Name: st.Name, OK: st.Err == nil, Detail: st.Detail, Seconds: time.Since(began).Seconds()}
		began = time.Now()
		if st.Err != nil {
			one.Error, one.Fix = st.Err.Error(), st.Fix
		}
		steps = append(steps, one)
	})
	switch {
	case errors.Is(err, supervisor.ErrUnknownConnection), errors.Is(err, supervisor.ErrNoProbe):
		return err
	}
	conn, ok := s.settled(ctx, conn.Config.Name, err == nil)
	if !ok {
		return supervisor.ErrUnknownConnection
	}
	h := healthOf(conn)
	if err == nil && conn.Running && conn.Pending == 0 {
		h.Status, h.Healthy = delivery.Healthy, true // nothing waits that could still fail
	}
	h.Steps = steps
	if !conn.Running {
		now := s.now()
		h.LastCheck = moment(now)
		h.Status, h.Healthy = delivery.Healthy, err == nil
		if err != nil {
			h.Status, h.LastError, h.LastErrorAt = delivery.Unwell, text(err.Error()), moment(now)
		}
	}
	return c.json(http.StatusOK, h)
}

// settled is the connection after a probe. One that went well sends at once
// what was held back, and what comes of that says more than the probe itself.
func (s *Server) settled(ctx context.Context, name string, well bool) (supervisor.Connection, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		conn, ok := s.agent.Connection(name)
		if !ok || !well || !conn.Running || conn.Pending == 0 || conn.Health.Status == delivery.Healthy {
			return conn, ok
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return conn, ok
		}
	}
}

type drainAnswer struct {
	Message string `json:"message" doc:"For people."`
	Pending uint64 `json:"pending_events" doc:"What still waits."`
}

func (s *Server) drain(c *call) error {
	conn, err := s.connection(c)
	if err != nil {
		return err
	}
	wait, err := c.wait(errandWait, errandWaitMax)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	err = s.agent.Drain(ctx, conn.Config.Name)
	if errors.Is(err, supervisor.ErrDisabled) || errors.Is(err, supervisor.ErrUnknownConnection) {
		return err
	}
	conn, _ = s.agent.Connection(conn.Config.Name)
	a := drainAnswer{Message: "nothing waits", Pending: conn.Pending}
	if err != nil {
		a.Message = strconv.FormatUint(conn.Pending, 10) + " events still wait: " + early(err)
	}
	return c.json(http.StatusOK, a)
}

func (s *Server) reload(c *call) error {
	r, err := s.agent.Reload(c.who.Actor)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, r)
}
