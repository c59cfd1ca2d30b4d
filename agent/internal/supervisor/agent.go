// Package supervisor runs the components of one agent over one log: it starts,
// stops and restarts inputs and outputs as a config says, and applies a new
// config as the difference to the old one. It knows no plugin by name.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/intake"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// Agent is a running siemd: one log, its inputs and its outputs.
type Agent struct {
	log     *slog.Logger
	version string
	applied func(*config.Config)
	metrics *metrics.Set

	reloading func() func(int, error)
	started   time.Time

	// Made once.
	wal     *wal.Log
	refused *intake.Refused
	sockets *listeners
	exports exports
	audit   *Audit
	store   *config.Store

	changing sync.Mutex // one change of the config or the components at a time

	changingSince time.Time // seen by Alive, its own
	reloads       reloads
	attempts      attempts
	taps          atomic.Uint64 // that there have been

	// mu guards what a reload swaps. It is held for moments only.
	mu         sync.Mutex
	cfg        *config.Config
	generation int
	inputs     map[string]*input
	outputs    map[string]*output

	runCtx  context.Context // of the components; ends when the agent stops
	stopRun context.CancelFunc
	running sync.WaitGroup // inputs and outputs
	idle    chan struct{}  // gets a value when an input has ended by itself
	done    chan struct{}  // closed when Run begins to stop
}

// Options are what New needs beside the config.
type Options struct {
	Log     *slog.Logger
	Version string
	Applied func(*config.Config) // called after each config that was applied, the first one included; may be nil

	// Problem is why another config than that on disk runs; empty: it is that one.
	Problem string

	// Reloading is called when a reload begins, and what it returns when that
	// has ended, with the generation that runs then; may be nil.
	Reloading func() (reloaded func(generation int, err error))
}

// New opens the log below cfg.DataDir, recovering it if need be, and starts
// every component of cfg. If one of them cannot be built, nothing runs and the
// error says which. wal.LockedError means that another agent has the directory.
func New(cfg *config.Config, opt Options) (*Agent, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, err
	}
	a := &Agent{
		log: opt.Log, version: opt.Version, applied: opt.Applied, reloading: opt.Reloading, metrics: metrics.NewSet(), started: time.Now(),
		sockets: newListeners(), inputs: map[string]*input{}, outputs: map[string]*output{},
		idle: make(chan struct{}, 1), done: make(chan struct{}),
	}
	a.runCtx, a.stopRun = context.WithCancel(context.Background())
	var err error
	a.wal, err = wal.Open(wal.Options{
		Dir:          cfg.DataDir,
		MaxSize:      int64(cfg.WAL.MaxSize),
		MinFree:      cfg.WAL.MinFree,
		WhenFull:     cfg.WAL.WhenFull,
		Sync:         cfg.WAL.Sync,
		SyncInterval: cfg.WAL.SyncInterval.D(),
		Compression:  cfg.WAL.Compression,
		Log:          opt.Log,
		Metrics:      a.metrics,
	})
	if err != nil {
		return nil, err
	}
	a.refused, err = intake.OpenRefused(filepath.Join(cfg.DataDir, "refused"), int64(cfg.Refused.MaxSize))
	if err == nil {
		a.audit, err = openAudit(cfg.DataDir)
	}
	if err == nil {
		a.store, err = config.OpenStore(cfg.DataDir)
	}
	if err == nil {
		a.sweepTaps()
		a.exports.init(a, cfg)
		var plan Plan
		plan, err = a.Apply(cfg)
		a.noteAttempt(Actor{Name: "siemd"}, "start", "", plan, nil, err)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.registerMetrics(opt.Problem)
	return a, nil
}

// Run waits until ctx ends or every input has come to the end of its source,
// then stops: intake closes, what waits is sent for at most shutdown_timeout,
// state is saved. It returns nil after a clean stop, whatever is left in the log.
func (a *Agent) Run(ctx context.Context) error {
	exhausted := a.waitInputs(ctx)
	close(a.done)
	a.changing.Lock()
	//lint:ignore SA2001 a barrier: a change that is under way ends, and there will be no other
	a.changing.Unlock()
	a.mu.Lock()
	budget := a.cfg.ShutdownTimeout.D() - graceOf(a.cfg)
	ins, outs := values(a.inputs), values(a.outputs)
	a.mu.Unlock()
	for _, in := range ins {
		in.stop(nil)
	}
	for _, in := range ins {
		in.wait()
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget)
	if exhausted {
		// Everything that stdin gave is to be delivered, however long that takes.
		cancel()
		drain, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	var wg sync.WaitGroup
	for _, out := range outs {
		wg.Go(func() { out.drain(drain) })
	}
	wg.Wait()
	return a.close()
}

// waitInputs returns true when all inputs have ended by themselves.
func (a *Agent) waitInputs(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-a.idle:
			a.mu.Lock()
			all := len(a.inputs) > 0
			for _, in := range a.inputs {
				all = all && in.exhausted()
			}
			a.mu.Unlock()
			if all {
				return true
			}
		}
	}
}

// close stops what runs and closes the stores.
func (a *Agent) close() error {
	a.stopRun()
	a.running.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, out := range a.outputs {
		errs = append(errs, out.close())
	}
	if a.refused != nil {
		errs = append(errs, a.refused.Close())
	}
	if a.audit != nil {
		errs = append(errs, a.audit.close())
	}
	errs = append(errs, a.wal.Close())
	return errors.Join(errs...)
}

// Done is closed when the agent begins to stop.
func (a *Agent) Done() <-chan struct{} { return a.done }

// ErrStopping is returned to whoever wants to change an agent that is on its way out.
var ErrStopping = errors.New("the agent is stopping")

func (a *Agent) stopping() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// Config is the config that runs. It is not to be changed.
func (a *Agent) Config() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg
}

// Generation counts the configs that were applied, from 1.
func (a *Agent) Generation() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.generation
}

// Ready is nil while intake is open and durable.
func (a *Agent) Ready() error {
	if a.stopping() {
		return ErrStopping
	}
	return a.wal.Ready()
}

// env is what the named component gets.
func (a *Agent) env(cfg *config.Config, kind, name string) agent.Env {
	return agent.Env{
		Name: name, Kind: kind, Version: a.version, Identity: cfg.Identity, DataDir: cfg.DataDir,
		Log: a.log.With(kind, name), Metrics: a.metrics, Listen: a.sockets.listen,
	}
}

func values[V any](m map[string]V) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

// guard runs f and turns a panic into an error with the stack in the log.
func guard(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("component panicked", "panic", fmt.Sprint(p), "stack", stack())
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
