package supervisor

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// input is one input at work: it is run, and built and run again after an error.
type input struct {
	cfg   *config.Input
	env   agent.Env
	sink  agent.Sink
	first agent.Input // the instance that was built before anything else was touched

	cancel  context.CancelCauseFunc
	done    chan struct{}
	ended   atomic.Bool            // its source is exhausted
	last    atomic.Pointer[string] // last error, for status
	current atomic.Pointer[agent.Input]
}

const (
	inputBackoff    = time.Second
	inputBackoffMax = 30 * time.Second
)

// buildInput makes the component; nothing runs yet.
func (a *Agent) buildInput(cfg *config.Config, in *config.Input) (*input, error) {
	env := a.env(cfg, "input", in.Name)
	sink := a.newSink(in, env)
	first, err := in.Spec.BuildInput(in.Config, env)
	if err != nil {
		return nil, err
	}
	return &input{cfg: in, env: env, sink: sink, first: first, done: make(chan struct{})}, nil
}

// start runs the input until stop.
func (a *Agent) startInput(in *input) {
	ctx, cancel := context.WithCancelCause(a.runCtx)
	in.cancel = cancel
	a.running.Go(func() {
		defer close(in.done)
		in.run(ctx)
		select {
		case a.idle <- struct{}{}:
		default:
		}
	})
}

func (in *input) run(ctx context.Context) {
	component, wait := in.first, inputBackoff
	for {
		in.current.Store(&component)
		began := time.Now()
		err := guard(in.env.Log, func() error { return component.Run(ctx, in.sink) })
		closeComponent(component)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			in.ended.Store(true)
			in.env.Log.Info("input has come to the end of its source")
			return
		}
		text := err.Error()
		if old := in.last.Swap(&text); old == nil || *old != text {
			in.env.Log.Error("input failed, starting it again", "err", err)
		}
		if time.Since(began) > time.Minute {
			wait = inputBackoff
		}
		for {
			if !sleep(ctx, wait/2+rand.N(wait/2)) {
				return
			}
			wait = min(wait*2, inputBackoffMax)
			if component, err = in.cfg.Spec.BuildInput(in.cfg.Config, in.env); err == nil {
				break
			}
			text := err.Error()
			in.last.Store(&text)
		}
	}
}

// stop asks the input to end, because of a successor or because of nothing; wait returns when it has.
func (in *input) stop(why error)  { in.cancel(why) }
func (in *input) wait()           { <-in.done }
func (in *input) exhausted() bool { return in.ended.Load() }

// succeeds reports whether in can take over from old, which may be nil.
func (in *input) succeeds(old *input) bool {
	return in != nil && old != nil && in.cfg.Kind == old.cfg.Kind
}

// inherit hands on what old, which has ended, could not store.
func (in *input) inherit(old *input) {
	if heir, ok := in.first.(agent.Heir); ok {
		heir.Inherit(*old.current.Load())
	}
}

// discard gives up an input that was built and never started.
func (in *input) discard() { closeComponent(in.first) }

func closeComponent(c any) {
	if c, ok := c.(agent.Closer); ok {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Close(ctx) // it is going away, and has logged what matters
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func stack() string { return string(debug.Stack()) }

// newSink makes the log as the input sees it.
func (a *Agent) newSink(in *config.Input, env agent.Env) agent.Sink {
	return intake.New(intake.Options{Common: in.Common, Env: env, Log: a.wal, Refused: a.refused})
}
