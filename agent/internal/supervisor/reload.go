package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// reloads is what is told about attempts to change the config.
type reloads struct {
	applied, refused *metrics.Counter
	problem          atomic.Pointer[string] // why the files are not what runs; nil: they are
	at               atomic.Int64           // of the last success, seconds since 1970

	mu     sync.Mutex    // guards queued
	queued *queuedReload // waits for the change that is under way; nil: none
}

// register makes the metrics. The first start counts as a success that is no
// reload, unless problem says why another config than that on disk runs.
func (r *reloads) register(set *metrics.Set, problem string) {
	r.applied = set.NewCounter(`siemd_config_reloads_total{result="applied"}`)
	r.refused = set.NewCounter(`siemd_config_reloads_total{result="refused"}`)
	if problem != "" {
		r.problem.Store(&problem)
	} else {
		r.at.Store(time.Now().Unix())
	}
	set.NewGauge("siemd_config_last_reload_success", func() float64 {
		if r.problem.Load() == nil {
			return 1
		}
		return 0
	})
	set.NewGauge("siemd_config_last_reload_success_timestamp_seconds", func() float64 { return float64(r.at.Load()) })
}

// note counts an attempt.
func (r *reloads) note(err error) {
	if err != nil {
		text := err.Error()
		r.problem.Store(&text)
		r.refused.Inc()
		return
	}
	r.problem.Store(nil)
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

// A queuedReload waits for the change that is under way. Whoever asks meanwhile
// joins it: the files are read after all of them have asked.
type queuedReload struct {
	by     []Actor
	done   chan struct{} // closed when result and err are set
	result Reload
	err    error
}

// Reload loads the files of the running config anew and applies them. While a
// change is under way one reload waits, however many ask for it, and all get its
// result. The error is *ConfigError, *BuildError, *AuditError or ErrStopping;
// then everything is as it was.
func (a *Agent) Reload(by Actor) (Reload, error) {
	a.reloads.mu.Lock()
	if q := a.reloads.queued; q != nil {
		q.by = append(q.by, by)
		a.reloads.mu.Unlock()
		<-q.done
		return q.result, q.err
	}
	q := &queuedReload{by: []Actor{by}, done: make(chan struct{}), err: errors.New("the reload has ended early")}
	a.reloads.queued = q
	a.reloads.mu.Unlock()
	defer close(q.done)

	a.changing.Lock()
	defer a.changing.Unlock()
	a.reloads.mu.Lock()
	a.reloads.queued = nil // who asks from here on may have written after this one has read
	a.reloads.mu.Unlock()
	q.result, q.err = a.reloadOnce(q.by)
	return q.result, q.err
}

// reloadOnce is a reload for all of by, with all that is told about it.
func (a *Agent) reloadOnce(by []Actor) (r Reload, err error) {
	if a.reloading != nil {
		reloaded := a.reloading()
		defer func() { reloaded(a.Generation(), err) }()
	}
	records := make([]AuditRecord, len(by))
	names := make([]string, len(by))
	for i, who := range by {
		records[i] = AuditRecord{Actor: who.Name, Address: who.Address, Action: "reload", Result: "ok"}
		names[i] = who.Name
	}
	who := strings.Join(names, ",")
	r, err = a.reloadLocked(func(p Plan) error {
		for _, record := range records {
			record.Change = p.changes()
			if err := a.audit.Add(record); err != nil {
				return err
			}
		}
		return nil
	})
	a.reloads.note(err)
	a.noteAttempt(Actor{Name: who, Address: by[0].Address}, "reload", "", r.Plan, r.Warnings, err)
	if err != nil {
		for _, record := range records {
			record.Result, record.Detail = "refused", err.Error()
			a.auditLate(record)
		}
		a.logRefusal(who, err)
		return r, err
	}
	a.logProblems(r.Warnings)
	a.log.Info("config reloaded", "by", who, "changed", r.Changed, "generation", r.Generation)
	if len(r.Plan.Restart) > 0 {
		a.log.Warn("some settings take effect after a restart", "settings", strings.Join(r.Plan.Restart, ","))
	}
	return r, nil
}

func (a *Agent) logProblems(problems []agent.Problem) {
	for _, p := range problems[:min(len(problems), maxLogged)] {
		where := []any{"file", p.File, "line", p.Line, "column", p.Column, "message", p.Message, "hint", p.Hint}
		if p.Warning {
			a.log.Warn("odd in the config", where...)
		} else {
			a.log.Error("config mistake", where...)
		}
	}
}

// maxLogged is how many mistakes of one config the log is told.
const maxLogged = 50

// logRefusal says why the old config runs on.
func (a *Agent) logRefusal(by string, err error) {
	var mistakes *ConfigError
	if errors.As(err, &mistakes) {
		a.logProblems(mistakes.Problems)
	}
	a.log.Error("reload refused, the old config runs on", "by", by, "generation", a.Generation(), "err", err)
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
	plan, err := a.changeLocked(ch, record)
	a.noteAttempt(by, ch.Action, ch.ID, plan, nil, err)
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
	if ch.Data == nil {
		a.forgetMetrics(ch.ID)
	}
	a.log.Info("connection changed through the API", "action", ch.Action, "output", ch.ID, "by", by.Name)
	return nil
}

func (a *Agent) changeLocked(ch Change, record AuditRecord) (Plan, error) {
	if ch.Check != nil {
		old, exists := a.Connection(ch.ID)
		if err := ch.Check(old, exists); err != nil {
			return Plan{}, err
		}
	}
	cfg, problems := config.With(a.Config(), ch.Change)
	if cfg == nil {
		return Plan{}, &ConfigError{problems}
	}
	return a.apply(cfg, func(Plan) error {
		// Audited first: a record of a change that the disk then refused is
		// followed by another; a change without a record would be worse.
		if err := a.audit.Add(record); err != nil {
			return err
		}
		return a.store.Write(ch.Change, ch.Generation)
	})
}
