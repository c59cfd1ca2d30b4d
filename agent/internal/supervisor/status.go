package supervisor

import (
	"cmp"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/intake"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// Status is the whole agent at one moment, for people and programs.
type Status struct {
	Version    string              `json:"version"`
	Started    time.Time           `json:"started"`
	Generation int                 `json:"generation"` // of the config, from 1
	ConfigHash string              `json:"config_hash"`
	Problem    string              `json:"config_problem,omitempty"` // why the files of the config are not what runs
	Ready      string              `json:"ready"`                    // "ok", or why intake is closed
	Accepted   uint64              `json:"accepted"`
	Log        wal.Stats           `json:"log"`
	Refused    intake.RefusedStats `json:"refused"` // the store of lines that are no events
	Inputs     []InputStatus       `json:"inputs"`
	Outputs    []OutputStatus      `json:"outputs"`
	Orphans    []wal.CursorInfo    `json:"orphans,omitempty"`  // cursors of outputs that are gone
	Disabled   []wal.CursorInfo    `json:"disabled,omitempty"` // and of those that are in the config and do not run
}

// InputStatus is one input.
type InputStatus struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Events    uint64 `json:"events"` // since the agent started
	Bytes     uint64 `json:"bytes"`
	Refused   uint64 `json:"refused"`
	Ended     bool   `json:"ended,omitempty"`
	LastError string `json:"last_error,omitempty"`

	Files []agent.FileStatus `json:"files,omitempty"` // only where it is asked for
}

// OutputStatus is one connection and its ledger:
// Accepted = Sent + Failed + Filtered + Expired + Pending, and Unaccounted is the difference.
type OutputStatus struct {
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Accepted    uint64    `json:"accepted"`
	Sent        uint64    `json:"sent"`
	Failed      uint64    `json:"failed"`
	Filtered    uint64    `json:"filtered"`
	Expired     uint64    `json:"expired"`
	Pending     uint64    `json:"pending"`
	Unaccounted int64     `json:"unaccounted"`
	LagSeconds  float64   `json:"lag_seconds"` // age of the oldest pending event
	Health      string    `json:"health"`
	Since       time.Time `json:"since"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Hint        string    `json:"hint,omitempty"` // what can be done about it
	Failures    int       `json:"consecutive_failures"`
	NextTry     time.Time `json:"next_try,omitzero"`
}

// Status takes a snapshot.
func (a *Agent) Status() Status {
	a.mu.Lock()
	outs := values(a.outputs)
	cfg := a.cfg
	st := Status{Version: a.version, Started: a.started, Generation: a.generation, ConfigHash: cfg.Hash, Ready: "ok"}
	a.mu.Unlock()
	if err := a.Ready(); err != nil {
		st.Ready = err.Error()
	}
	if problem := a.reloads.problem.Load(); problem != nil {
		st.Problem = *problem
	}
	st.Log, st.Refused = a.wal.Stats(), a.refused.Stats()
	st.Accepted = a.wal.Head() - 1
	st.Inputs, st.Outputs = a.Inputs(false), []OutputStatus{}
	for _, out := range outs {
		st.Outputs = append(st.Outputs, out.status())
	}
	slices.SortFunc(st.Outputs, func(x, y OutputStatus) int { return cmp.Compare(x.Name, y.Name) })
	for _, c := range a.wal.Cursors() {
		switch {
		case c.Active || isTap(c.Name):
		case cfg.Outputs[c.Name] != nil:
			st.Disabled = append(st.Disabled, c)
		default:
			st.Orphans = append(st.Orphans, c)
		}
	}
	return st
}

func (in *input) status() InputStatus {
	st := InputStatus{
		Name: in.cfg.Name, Type: in.cfg.Kind, Ended: in.exhausted(),
		Events: in.env.Counter("events_total").Get(), Bytes: in.env.Counter("bytes_total").Get(),
	}
	for _, r := range intake.Reasons {
		st.Refused += in.env.Counter("refused_total", "reason", r).Get()
	}
	if last := in.last.Load(); last != nil {
		st.LastError = *last
	}
	return st
}

func (o *output) status() OutputStatus {
	r := o.runner.Load()
	s, h := r.Stats(), r.Health()
	c := s.Counts
	return OutputStatus{
		Name: o.cfg.Name, Type: o.cfg.Kind, Endpoint: endpointOf(o.cfg.Config),
		Accepted: s.Accepted, Sent: c.Sent, Failed: c.Failed,
		Filtered: c.Filtered, Expired: c.Expired, Pending: s.Pending, Unaccounted: s.Unaccounted,
		LagSeconds: s.OldestAge.Seconds(), Health: string(h.Status), Since: h.Since, LastSuccess: h.LastSuccess,
		LastError: h.LastError, LastErrorAt: h.LastErrorAt, Hint: h.Hint, Failures: h.Failures, NextTry: h.NextTry,
	}
}

// Inputs are the inputs, by name, with the files that they read if those are wanted.
func (a *Agent) Inputs(files bool) []InputStatus {
	a.mu.Lock()
	ins := values(a.inputs)
	a.mu.Unlock()
	list := make([]InputStatus, 0, len(ins))
	for _, in := range ins {
		st := in.status()
		if files {
			st.Files = in.files()
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(x, y InputStatus) int { return cmp.Compare(x.Name, y.Name) })
	return list
}

// files are those that the input reads, if it is one that does.
func (in *input) files() []agent.FileStatus {
	if component := in.current.Load(); component != nil {
		if l, ok := (*component).(agent.FileLister); ok {
			return l.Files()
		}
	}
	return nil
}
