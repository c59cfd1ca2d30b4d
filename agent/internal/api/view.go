package api

import (
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// viewRoutes only look.
var viewRoutes = []route{
	{method: "GET", path: prefix + "/status", scope: scopeRead, brief: "The whole agent at one moment.", answer: supervisor.Status{}, serve: func(s *Server, c *call) error {
		return c.json(http.StatusOK, s.agent.Status())
	}},
	{
		method: "GET", path: prefix + "/inputs", scope: scopeRead, brief: "The inputs.", answer: []supervisor.InputStatus{},
		query: []parameter{{"files", "boolean", "With the files that they read: offset, size and lag."}},
		serve: func(s *Server, c *call) error {
			files, err := c.flag("files")
			if err != nil {
				return err
			}
			return c.json(http.StatusOK, s.agent.Inputs(files))
		},
	},
	{method: "GET", path: prefix + "/statistics", scope: scopeRead, brief: "Deliveries, counted across restarts.", answer: statistics{}, serve: (*Server).statistics},
	{method: "GET", path: prefix + "/health", scope: scopeRead, brief: "The health of every connection, as its deliveries show it.", answer: healthReport{}, serve: (*Server).health},
}

// figures count deliveries: an event that goes to two connections counts twice.
type figures struct {
	Total    uint64  `json:"total_events" doc:"Sent, failed and pending ones."`
	Sent     uint64  `json:"sent_events" doc:"Taken by the SIEM."`
	Failed   uint64  `json:"failed_events" doc:"In the store of failed events now."`
	Pending  uint64  `json:"pending_events" doc:"In the log, not finished."`
	Rate     float64 `json:"success_rate" doc:"Sent ones of all, 0 to 1; 0 if there are none."`
	Filtered uint64  `json:"filtered_events" doc:"Left out by the connection's filter."`
	Expired  uint64  `json:"expired_events" doc:"Too old, fallen off a store, purged or lost to damage."`
}

func (f *figures) add(g figures) {
	f.Sent += g.Sent
	f.Failed += g.Failed
	f.Pending += g.Pending
	f.Filtered += g.Filtered
	f.Expired += g.Expired
	f.finish()
}

func (f *figures) finish() {
	f.Total = f.Sent + f.Failed + f.Pending
	f.Rate = 0
	if f.Total > 0 {
		f.Rate = float64(f.Sent) / float64(f.Total)
	}
}

type statistics struct {
	figures
	Active      int                             `json:"active_connections" doc:"Connections that run."`
	Connections map[string]connectionStatistics `json:"connections" doc:"By connection."`
}

type connectionStatistics struct {
	figures
	Status      delivery.Status `json:"health_status" doc:"healthy, degraded, failed or unknown."`
	LastSuccess *time.Time      `json:"last_successful_export" doc:"When events were taken last."`
}

func figuresOf(c supervisor.Connection) figures {
	f := figures{Sent: c.Counts.Sent, Failed: c.Failed, Pending: c.Pending, Filtered: c.Counts.Filtered, Expired: c.Counts.Expired}
	f.finish()
	return f
}

func (s *Server) statistics(c *call) error {
	st := statistics{Connections: map[string]connectionStatistics{}}
	for _, conn := range s.agent.Connections() {
		f := figuresOf(conn)
		st.add(f)
		if conn.Running {
			st.Active++
		}
		st.Connections[conn.Config.Name] = connectionStatistics{f, conn.Health.Status, moment(conn.Health.LastSuccess)}
	}
	return c.json(http.StatusOK, st)
}

type healthReport struct {
	Timestamp   time.Time               `json:"timestamp" doc:"When this was said."`
	Connections map[string]healthObject `json:"connections" doc:"By connection."`
}

// healthObject is what is known about one connection.
type healthObject struct {
	Healthy      bool            `json:"healthy" doc:"status is healthy."`
	Status       delivery.Status `json:"status" doc:"healthy, degraded, failed or unknown."`
	ConnectionID string          `json:"connection_id" doc:"The connection."`
	SIEMType     string          `json:"siem_type" doc:"Its type."`
	Enabled      bool            `json:"enabled" doc:"It runs."`
	LastCheck    *time.Time      `json:"last_check" doc:"When something was learned about it last: an answer, a failure or a test."`
	Since        *time.Time      `json:"since" doc:"When the status became what it is."`
	LastSuccess  *time.Time      `json:"last_successful_export" doc:"When events were taken last."`
	LastError    *string         `json:"last_error" doc:"What failed last."`
	LastErrorAt  *time.Time      `json:"last_error_at" doc:"When."`
	Hint         *string         `json:"hint" doc:"What can be done about it."`
	Failures     int             `json:"consecutive_failures" doc:"Since the last success."`
	NextTry      *time.Time      `json:"next_try" doc:"When what is held back is tried again."`
	Pending      uint64          `json:"pending_events" doc:"Events that wait."`
	Lag          float64         `json:"lag_seconds" doc:"Age of the oldest event that waits."`
	Latency      latency         `json:"latency_seconds" doc:"Of the last requests that were taken."`
	Steps        []probeStep     `json:"steps,omitempty" doc:"Of a test: each check on the way."`
}

type latency struct {
	P50 float64 `json:"p50" doc:"Half of them were faster."`
	P90 float64 `json:"p90" doc:"Nine of ten were faster."`
	P99 float64 `json:"p99" doc:"All but one in a hundred were faster."`
}

// probeStep is one check of a test.
type probeStep struct {
	Name   string `json:"name" doc:"dns, tcp, tls, auth, permission or event."`
	OK     bool   `json:"ok" doc:"It went well."`
	Detail string `json:"detail,omitempty" doc:"What was found."`
	Error  string `json:"error,omitempty" doc:"What went wrong."`
	Fix    string `json:"fix,omitempty" doc:"What to do about it."`

	Seconds float64 `json:"seconds" doc:"How long it took."`
}

func healthOf(c supervisor.Connection) healthObject {
	h := c.Health
	return healthObject{
		Healthy: h.Status == delivery.Healthy, Status: h.Status, ConnectionID: c.Config.Name, SIEMType: siemType(c.Config), Enabled: c.Running,
		LastCheck: moment(c.Checked), Since: moment(h.Since), LastSuccess: moment(h.LastSuccess), LastError: text(h.LastError),
		LastErrorAt: moment(h.LastErrorAt), Hint: text(h.Hint), Failures: h.Failures, NextTry: moment(h.NextTry), Pending: c.Pending,
		Lag:     c.Stats.OldestAge.Seconds(),
		Latency: latency{c.Stats.P50.Seconds(), c.Stats.P90.Seconds(), c.Stats.P99.Seconds()},
	}
}

func (s *Server) health(c *call) error {
	report := healthReport{Timestamp: s.now().UTC(), Connections: map[string]healthObject{}}
	for _, conn := range s.agent.Connections() {
		report.Connections[conn.Config.Name] = healthOf(conn)
	}
	return c.json(http.StatusOK, report)
}

// moment is t for JSON: null if it never was.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// text is s for JSON: null if there is none.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
