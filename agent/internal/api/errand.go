package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// errandRoutes make the agent do something.
var errandRoutes = []route{
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
		query:  append([]parameter{{"wait", "duration", "How long to wait for the outcome; 30s if not said, at most 10m."}, limitParameter}, failedQuery...),
		status: []int{404, 409}, serve: (*Server).retryFailed,
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
	if errors.Is(err, delivery.ErrStopped) {
		return "the connection was stopped or changed meanwhile: ask again"
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
	filter, err := c.limitedFilter(24)
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
