package supervisor

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// output is one connection at work: the built component and the runner that
// takes events to it.
type output struct {
	cfg    *config.Output
	env    agent.Env
	out    agent.Output
	cursor *wal.Cursor
	failed *delivery.FailedStore
	runner atomic.Pointer[delivery.Runner]

	fresh     bool         // its cursor was made by openOutput
	failedDir string       // of its failed store
	probed    atomic.Int64 // when a probe has ended last, UTC nanoseconds
	grace     time.Duration

	cancel context.CancelFunc
	done   chan struct{}
}

// buildOutput makes the component; the log is not touched and nothing runs yet.
func (a *Agent) buildOutput(cfg *config.Config, oc *config.Output) (*output, error) {
	env := a.env(cfg, "output", oc.Name)
	if oc.Managed != nil {
		env.Control = a.control
	}
	out, err := oc.Spec.BuildOutput(oc.Config, env)
	if err != nil {
		return nil, err
	}
	return &output{cfg: oc, env: env, out: out, failedDir: failedDir(cfg, oc.Name), grace: graceOf(cfg), done: make(chan struct{})}, nil
}

// graceOf is how long requests in flight may go on when nothing new is sent
// any more: the end of shutdown_timeout, which it is a part of.
func graceOf(cfg *config.Config) time.Duration {
	return max(min(5*time.Second, cfg.ShutdownTimeout.D()/4), time.Millisecond)
}

// openOutput gives the output its cursor and its store of failed events.
func (a *Agent) openOutput(cfg *config.Config, o *output) error {
	o.fresh = !a.hasCursor(o.cfg.Name)
	o.cursor = a.wal.Cursor(o.cfg.Name, o.cfg.Common.Start == "oldest")
	failed, err := delivery.OpenFailed(delivery.FailedOptions{
		Dir:     failedDir(cfg, o.cfg.Name),
		MaxSize: int64(cfg.Failed.MaxSize),
		MaxAge:  cfg.Failed.MaxAge.D(),
		Cursor:  o.cursor,
		Log:     o.env.Log,
	})
	if err != nil {
		return err
	}
	o.failed = failed
	o.newRunner(a)
	return nil
}

// inherit goes on where old, which has halted, has come to.
func (o *output) inherit(old *output, a *Agent) {
	o.failed, o.cursor = old.failed, old.cursor
	o.probed.Store(old.probed.Load())
	o.newRunner(a)
}

func (o *output) newRunner(a *Agent) {
	r := delivery.New(delivery.Options{
		Name: o.cfg.Name, Config: o.cfg.Common, Output: withSeverities(o.out, o.cfg.Managed),
		Cursor: o.cursor, Source: source{a.wal, o.cursor},
		Failed: o.failed, Env: o.env, Endpoint: endpointOf(o.cfg.Config), Grace: o.grace, LastSuccess: o.cursor.LastSent(),
	})
	if o.cursor.Seq() < a.wal.Head() {
		// What waits has waited already, for others or for just this change.
		r.Flush()
	}
	o.runner.Store(r)
}

// startOutput runs the output until halt; a runner that ends with an error is
// followed by another.
func (a *Agent) startOutput(o *output) {
	ctx, cancel := context.WithCancel(a.runCtx)
	o.cancel = cancel
	a.running.Go(func() {
		defer close(o.done)
		for wait := time.Second; ; wait = min(2*wait, time.Minute) {
			err := guard(o.env.Log, func() error { return o.runner.Load().Run(ctx) })
			if err == nil || ctx.Err() != nil {
				return
			}
			o.env.Log.Error("output stopped, starting it again", "err", err)
			if !sleep(ctx, wait/2+rand.N(wait/2)) {
				return
			}
			o.newRunner(a)
		}
	})
}

// drain sends what waits, without linger, until there is nothing or ctx ends, and halts.
func (o *output) drain(ctx context.Context) {
	if err := o.runner.Load().Drain(ctx); err != nil && ctx.Err() == nil {
		o.env.Log.Warn("drain ended early", "err", err)
	}
	o.halt()
}

// halt ends the output; its cursor stays.
func (o *output) halt() {
	o.cancel()
	<-o.done
	closeComponent(o.out)
}

// close gives up the store and the cursor, which stays in the log as an orphan's.
func (o *output) close() error {
	o.cursor.Close()
	return o.failed.Close()
}

// discard gives up an output that was built and never started, and takes back
// what opening it has made.
func (o *output) discard(a *Agent) {
	closeComponent(o.out)
	if o.failed != nil {
		if err := o.failed.Close(); err != nil {
			o.env.Log.Warn("store of failed events closed badly", "err", err)
		}
	}
	if o.cursor == nil {
		return
	}
	o.cursor.Close()
	if o.fresh {
		if err := a.wal.Purge(o.cfg.Name); err != nil {
			o.env.Log.Warn("the place in the log was not taken back", "err", err)
		}
		_ = os.Remove(o.failedDir) // stays if it holds something
	}
}

// failedDir is where the failed events of the named connection are kept.
func failedDir(cfg *config.Config, name string) string {
	return filepath.Join(cfg.DataDir, "failed", name)
}

func (a *Agent) hasCursor(name string) bool {
	for _, c := range a.wal.Cursors() {
		if c.Name == name {
			return true
		}
	}
	return false
}

// output is the running connection of that name, or nil.
func (a *Agent) output(name string) *output {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outputs[name]
}

// endpointOf is the first endpoint that a config names, fit to be shown: the
// query of a URL is a key in practice.
func endpointOf(config any) string {
	if all := endpointsOf(config); len(all) > 0 {
		shown, _, _ := strings.Cut(all[0], "?")
		return shown
	}
	return ""
}

// endpointsOf are all of them.
func endpointsOf(config any) []string {
	f := reflect.ValueOf(config).Elem().FieldByName("Endpoint")
	switch {
	case !f.IsValid():
		return nil
	case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String:
		all := make([]string, f.Len())
		for i := range all {
			all[i] = f.Index(i).String()
		}
		return all
	case f.Kind() == reflect.String:
		return []string{f.String()}
	}
	return nil
}
