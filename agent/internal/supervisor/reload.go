package supervisor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// reloads is what is told about attempts to change the config.
type reloads struct {
	applied, refused *metrics.Counter
	lastOK           atomic.Bool
	at               atomic.Int64 // of the last success, seconds since 1970
}

// register makes the metrics. The first start counts as a success that is no reload.
func (r *reloads) register(set *metrics.Set) {
	r.applied = set.NewCounter(`siemd_config_reloads_total{result="applied"}`)
	r.refused = set.NewCounter(`siemd_config_reloads_total{result="refused"}`)
	r.lastOK.Store(true)
	r.at.Store(time.Now().Unix())
	set.NewGauge("siemd_config_last_reload_success", func() float64 {
		if r.lastOK.Load() {
			return 1
		}
		return 0
	})
	set.NewGauge("siemd_config_last_reload_success_timestamp_seconds", func() float64 { return float64(r.at.Load()) })
}

// note counts an attempt.
func (r *reloads) note(err error) {
	r.lastOK.Store(err == nil)
	if err != nil {
		r.refused.Inc()
		return
	}
	r.applied.Inc()
	r.at.Store(time.Now().Unix())
}

// A Reload is the result of one that went well.
type Reload struct {
	Generation int             `json:"generation" doc:"Of the config, from 1."`
	Changed    bool            `json:"changed" doc:"Something is different now."`
	Plan       Plan            `json:"plan" doc:"What became of each component."`
	Warnings   []agent.Problem `json:"warnings" doc:"What is odd about the config."`
}

// A ConfigError is a config that cannot run: everything that is wrong with it.
type ConfigError struct{ Problems []agent.Problem }

func (e *ConfigError) Error() string {
	n := 0
	for _, p := range e.Problems {
		if !p.Warning {
			n++
		}
	}
	if n == 1 {
		return "the config has an error"
	}
	return fmt.Sprintf("the config has %d errors", n)
}

// A BuildError is a valid config of which something cannot be built.
type BuildError struct{ Err error }

func (e *BuildError) Error() string { return e.Err.Error() }
func (e *BuildError) Unwrap() error { return e.Err }

// Reload loads the files of the running config anew and applies them, one
// reload after the other. The error is *ConfigError, *BuildError, *AuditError or
// ErrStopping; then everything is as it was.
func (a *Agent) Reload(by Actor) (Reload, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	record := AuditRecord{Actor: by.Name, Address: by.Address, Action: "reload", Result: "ok"}
	r, err := a.reloadLocked(func(p Plan) error {
		record.Change = p.changes()
		return a.audit.Add(record)
	})
	a.reloads.note(err)
	if err != nil {
		record.Result, record.Detail, record.Change = "refused", err.Error(), nil
		a.auditLate(record)
		return r, err
	}
	a.log.Info("config reloaded", "by", by.Name, "changed", r.Changed, "generation", r.Generation)
	return r, nil
}

func (a *Agent) reloadLocked(commit func(Plan) error) (r Reload, err error) {
	running := a.Config()
	if len(running.Files) == 0 {
		return r, errors.New("the config did not come from a file")
	}
	cfg, problems := config.Load(running.Files[0], config.Options{})
	if cfg == nil {
		return r, &ConfigError{problems}
	}
	r.Warnings = append([]agent.Problem{}, problems...)
	if r.Plan, err = a.apply(cfg, commit); err != nil {
		return r, err
	}
	r.Changed, r.Generation = !r.Plan.Empty(), a.Generation()
	return r, nil
}

// auditLate adds a record of what has happened already.
func (a *Agent) auditLate(r AuditRecord) {
	if err := a.audit.Add(r); err != nil {
		a.log.Error("not in the audit log", "action", r.Action, "target", r.Target, "result", r.Result, "err", err)
	}
}

// A Change is one API-made connection as it is to be, and what the audit log is to know about it.
type Change struct {
	config.Change
	Generation string // of its secrets, as its file names it
	Action     string // of the audit log
	Difference any    // secrets hidden

	// Check is asked once no other change can come between; nil: nothing to ask.
	Check func(old Connection, exists bool) error
}

// Change makes, changes or removes a connection: it is built, audited and
// written to disk before anything that runs is touched. A removed one loses its
// place in the log. The error is Check's, *ConfigError, *BuildError,
// *AuditError, ErrStopping or the disk's; then everything is as it was.
func (a *Agent) Change(by Actor, ch Change) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	record := AuditRecord{Actor: by.Name, Address: by.Address, Action: ch.Action, Target: ch.ID, Result: "ok", Change: ch.Difference}
	err := a.changeLocked(ch, record)
	if err != nil {
		record.Result, record.Detail = "refused", err.Error()
		a.auditLate(record)
		return err
	}
	if ch.Data == nil && a.hasCursor(ch.ID) {
		if err := a.wal.Purge(ch.ID); err != nil {
			a.log.Error("a removed connection keeps its place in the log", "output", ch.ID, "err", err)
		}
	}
	a.log.Info("connection changed through the API", "action", ch.Action, "output", ch.ID, "by", by.Name)
	return nil
}

func (a *Agent) changeLocked(ch Change, record AuditRecord) error {
	if ch.Check != nil {
		old, exists := a.Connection(ch.ID)
		if err := ch.Check(old, exists); err != nil {
			return err
		}
	}
	cfg, problems := config.With(a.Config(), ch.Change)
	if cfg == nil {
		return &ConfigError{problems}
	}
	_, err := a.apply(cfg, func(Plan) error {
		// Audited first: a record of a change that the disk then refused is
		// followed by another; a change without a record would be worse.
		if err := a.audit.Add(record); err != nil {
			return err
		}
		return a.store.Write(ch.Change, ch.Generation)
	})
	return err
}
