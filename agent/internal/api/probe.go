package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// probeRoutes look at the way to a SIEM.
var probeRoutes = []route{
	{
		method: "POST", path: prefix + "/connections/{id}/test", scope: scopeWrite, brief: "Check the way to the SIEM, step by step.", answer: healthObject{},
		query: []parameter{{"wait", "duration", "How long it may take; 30s if not said, at most 60s."}}, status: []int{404, 409}, serve: (*Server).test,
	},
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
	last := began
	err = s.agent.Probe(ctx, conn.Config.Name, func(st agent.Step) {
		one := probeStep{Name: st.Name, OK: st.Err == nil, Detail: st.Detail, Seconds: time.Since(last).Seconds()}
		last = time.Now()
		if st.Err != nil {
			one.Error, one.Fix = st.Err.Error(), st.Fix
		}
		steps = append(steps, one)
	})
	switch {
	case errors.Is(err, supervisor.ErrUnknownConnection), errors.Is(err, supervisor.ErrNoProbe):
		return err
	}
	if err != nil && !slices.ContainsFunc(steps, func(s probeStep) bool { return !s.OK }) {
		// The output has no step for it, as when the time was up between two.
		steps = append(steps, probeStep{Name: "probe", Error: err.Error(), Seconds: time.Since(last).Seconds()})
	}
	conn, ok := s.settled(ctx, conn.Config.Name, err == nil, began)
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
func (s *Server) settled(ctx context.Context, name string, well bool, began time.Time) (supervisor.Connection, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken := 0
	for {
		conn, ok := s.agent.Connection(name)
		if !ok || !well || !conn.Running || conn.Pending == 0 {
			return conn, ok
		}
		// Events may come all the time, so that some always wait. A moment more, and those of before are counted.
		if conn.Health.Status == delivery.Healthy && conn.Health.LastSuccess.After(began) {
			if taken++; taken > 5 {
				return conn, ok
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return conn, ok
		}
	}
}
