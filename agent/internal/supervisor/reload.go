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
	Generation int             `json:"generation"`
	Changed    bool            `json:"changed"`
	Plan       Plan            `json:"plan"`
	Warnings   []agent.Problem `json:"warnings"`
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

// Reload loads the files of the running config anew and applies them, one
// reload after the other. commit, which may be nil, is called when nothing can
// fail any more but itself. The error is *ConfigError, commit's, or says which
// component cannot be built; then everything is as it was.
func (a *Agent) Reload(commit func(Plan) error) (Reload, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	return a.reload(config.Options{}, commit)
}

// reload is Reload by whoever holds a.changing.
func (a *Agent) reload(opt config.Options, commit func(Plan) error) (r Reload, err error) {
	defer func() { a.reloads.note(err) }()
	running := a.Config()
	if len(running.Files) == 0 {
		return r, errors.New("the config did not come from a file")
	}
	cfg, problems := config.Load(running.Files[0], opt)
	if cfg == nil {
		return r, &ConfigError{problems}
	}
	r.Warnings = problems
	if r.Plan, err = a.apply(cfg, commit); err != nil {
		return r, err
	}
	r.Changed, r.Generation = !r.Plan.Empty(), a.Generation()
	return r, nil
}
