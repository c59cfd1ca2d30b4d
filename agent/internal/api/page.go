package api

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/history"
	"github.com/adrian207/siemd/agent/internal/statuspage"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// pageRoutes are the status page and what only it asks for. The page itself
// knows nothing about the agent, so it needs no token anywhere.
var pageRoutes = []route{
	{method: "GET", path: "/{$}", plain: true, brief: "The status page, for browsers.", stream: "text/html", serve: func(s *Server, c *call) error {
		return c.asset(statuspage.Index)
	}},
	{
		method: "GET", path: statuspage.Prefix + "{file}", plain: true, brief: "A part of the status page.", stream: "*/*", status: []int{404},
		serve: func(s *Server, c *call) error { return c.asset(c.PathValue("file")) },
	},
	{method: "GET", path: prefix + "/caller", scope: scopeRead, brief: "Who is asking, and what that one may do.", answer: callerObject{}, serve: func(s *Server, c *call) error {
		return c.json(http.StatusOK, callerObject{c.who.Name, c.who.scope.String()})
	}},
	{method: "GET", path: prefix + "/history", scope: scopeRead, brief: "The last hour, a point every ten seconds; kept in memory.", answer: history.Report{}, serve: func(s *Server, c *call) error {
		return c.json(http.StatusOK, s.history.Report())
	}},
	{method: "GET", path: prefix + "/config", scope: scopeRead, brief: "The config that runs, with every default and without secrets.", answer: configObject{}, serve: (*Server).config},
	{method: "GET", path: prefix + "/reloads", scope: scopeRead, brief: "The latest changes of the config, refused ones included, the last one first.", answer: []attemptObject{}, serve: (*Server).reloads},
}

// asset answers with a file of the page.
func (c *call) asset(name string) error {
	data, kind, ok := statuspage.File(name)
	if !ok {
		return fail(http.StatusNotFound, "the status page has no such file", "")
	}
	h := c.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", statuspage.Policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	c.begun = true
	c.hurry()
	_, _ = c.w.Write(data) // a client that went away is not our error
	return nil
}

type callerObject struct {
	Name  string `json:"name" doc:"Of the token, or the user at the other end of the socket."`
	Scope string `json:"scope" doc:"read or write."`
}

type configObject struct {
	Generation int           `json:"generation" doc:"Of the config, from 1."`
	Hash       string        `json:"hash" doc:"Over everything that it says."`
	Files      []string      `json:"files" doc:"What was read, the main file first."`
	Lines      []config.Line `json:"lines" doc:"It, as YAML."`
}

func (s *Server) config(c *call) error {
	cfg := s.agent.Config()
	o := configObject{Generation: s.agent.Generation(), Hash: cfg.Hash, Files: slices.Clone(cfg.Files), Lines: cfg.Effective()}
	for i, name := range o.Files {
		if path, err := filepath.Abs(name); err == nil {
			o.Files[i] = path // others have another working directory
		}
	}
	if o.Files == nil {
		o.Files = []string{}
	}
	return c.json(http.StatusOK, o)
}

// attemptObject is one attempt to change the config.
type attemptObject struct {
	Time       time.Time    `json:"time" doc:"When."`
	Actor      string       `json:"actor" doc:"Who wanted it: a token, a user, a signal, or an edit of a file."`
	Address    string       `json:"address,omitempty" doc:"Where that one was."`
	Action     string       `json:"action" doc:"start, reload, or what was done to a connection."`
	Target     string       `json:"target,omitempty" doc:"The connection, if it was about one."`
	Result     string       `json:"result" doc:"applied, unchanged or refused."`
	Generation int          `json:"generation" doc:"Of the config that ran afterwards."`
	Detail     string       `json:"detail,omitempty" doc:"Why it was refused."`
	Changes    []string     `json:"changes" doc:"What became of components and settings, in words."`
	Problems   []fieldError `json:"problems" doc:"What is wrong or odd about the config."`
}

func (s *Server) reloads(c *call) error {
	list := []attemptObject{}
	for _, t := range s.agent.Attempts() {
		list = append(list, attemptOf(t))
	}
	return c.json(http.StatusOK, list)
}

func attemptOf(t supervisor.Attempt) attemptObject {
	o := attemptObject{
		Time: t.Time.UTC(), Actor: t.By.Name, Address: t.By.Address, Action: t.Action, Target: t.Target, Result: "applied",
		Generation: t.Generation, Changes: []string{}, Problems: diagnostics(t.Problems()),
	}
	for _, st := range t.Plan.Inputs {
		o.Changes = append(o.Changes, string(st.Action)+" input "+st.Name)
	}
	for _, st := range t.Plan.Outputs {
		o.Changes = append(o.Changes, string(st.Action)+" output "+st.Name)
	}
	for _, name := range t.Plan.Settings {
		o.Changes = append(o.Changes, "set "+name)
	}
	for _, name := range t.Plan.Restart {
		o.Changes = append(o.Changes, name+" waits for a restart of the agent")
	}
	switch {
	case t.Err != nil:
		o.Result, o.Detail = "refused", t.Err.Error()
	case len(o.Changes) == 0 && t.Action != "start":
		o.Result = "unchanged"
	}
	return o
}

// record samples the agent for its history until ctx ends.
func (s *Server) record(ctx context.Context) {
	tick := time.NewTicker(history.Step)
	defer tick.Stop()
	for {
		s.history.Add(sampleOf(s.agent.Status(), time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func sampleOf(st supervisor.Status, now time.Time) history.Sample {
	sample := history.Sample{Time: now, LogBytes: st.Log.Bytes, Accepted: st.Accepted, Inputs: map[string]history.Input{}, Outputs: map[string]history.Output{}}
	for _, in := range st.Inputs {
		sample.Inputs[in.Name] = history.Input{Events: in.Events}
	}
	for _, o := range st.Outputs {
		sample.Outputs[o.Name] = history.Output{Sent: o.Sent, Pending: o.Pending, Lag: time.Duration(o.LagSeconds * float64(time.Second))}
	}
	return sample
}

// documented is a route's path as the OpenAPI document has it.
func (r *route) documented() string { return strings.TrimSuffix(r.path, "{$}") }
