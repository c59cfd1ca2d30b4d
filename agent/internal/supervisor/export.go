package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// exportInput is the name under which exported events are counted.
const exportInput = "api"

// exports is the small input behind Export.
type exports struct {
	sink      agent.Sink
	env       agent.Env
	preparers sync.Pool
}

func (e *exports) init(a *Agent, cfg *config.Config) {
	e.env = a.env(cfg, "input", exportInput)
	e.sink = intake.New(intake.Options{Env: e.env, Log: a.wal, Refused: a.refused})
	e.preparers.New = func() any { return &intake.Preparer{Input: exportInput, Identity: cfg.Identity} }
}

// An Exported is an event that Export has stored, and what became of it.
type Exported struct {
	EventID string
	Seq     uint64
	Results map[string]delivery.Outcome // by connection
}

// A RefusedError says that an event cannot be taken.
type RefusedError struct{ Refusal agent.Refusal }

func (e *RefusedError) Error() string { return e.Refusal.Reason + ": " + e.Refusal.Detail }

// ErrUnknownConnection says that there is no connection of a name.
var ErrUnknownConnection = errors.New("there is no such connection")

// Export stores one event, a JSON object, and waits for what becomes of it at
// the running connections that take it, or at those in targets if there are
// any. It waits until ctx ends; then what is not known counts as pending. The
// error is *RefusedError, ErrUnknownConnection, agent.ErrFull or agent.ErrClosed; otherwise
// the event is on disk. store bounds how long a full log is waited for.
func (a *Agent) Export(ctx context.Context, event []byte, targets []string, store time.Duration) (Exported, error) {
	for _, name := range targets {
		if a.Config().Outputs[name] == nil {
			return Exported{}, fmt.Errorf("%w: %q", ErrUnknownConnection, name)
		}
	}
	p := a.exports.preparers.Get().(*intake.Preparer)
	var e agent.Event
	_, refusal := p.Prepare(&e, event, "", 0, time.Now().UnixNano())
	if refusal != nil {
		a.exports.preparers.Put(p)
		return Exported{}, &RefusedError{*refusal}
	}
	x := Exported{EventID: string(e.ID), Results: map[string]delivery.Outcome{}}
	typ, sev := string(e.Type), e.Severity
	waiting := a.takers(typ, sev, targets, x.Results)
	body := append([]byte(nil), e.Body...)
	a.exports.preparers.Put(p)

	storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), store)
	receipt, err := a.exports.sink.Emit(storing, agent.Batch{Lines: [][]byte{body}, Targets: targets})
	cancel()
	switch {
	case err != nil:
		return Exported{}, err
	case receipt.Accepted != 1:
		return Exported{}, &RefusedError{receipt.Refused[0]}
	}
	x.Seq = receipt.First

	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range waiting {
		wg.Go(func() {
			o := a.outcome(ctx, name, x.Seq)
			mu.Lock()
			defer mu.Unlock()
			x.Results[name] = o
		})
	}
	wg.Wait()
	return x, nil
}

// takers lists the connections to wait for. Of named ones that will not get the
// event it puts the reason into results.
func (a *Agent) takers(typ string, sev agent.Severity, targets []string, results map[string]delivery.Outcome) []string {
	var names []string
	a.mu.Lock()
	defer a.mu.Unlock()
	if targets == nil {
		for name, o := range a.outputs {
			if o.runner.Load().Takes([]byte(typ), sev) {
				names = append(names, name)
			}
		}
		return names
	}
	for _, name := range targets {
		o := a.outputs[name]
		switch {
		case o == nil:
			results[name] = delivery.Outcome{Result: delivery.Pending, Reason: "the connection is disabled; it gets the event when it is enabled"}
		case !o.runner.Load().Takes([]byte(typ), sev):
			results[name] = delivery.Outcome{Result: delivery.Filtered, Reason: "the connection's filter leaves it out"}
		default:
			names = append(names, name)
		}
	}
	return names
}

// outcome waits for what becomes of seq at the named connection, across reloads.
func (a *Agent) outcome(ctx context.Context, name string, seq uint64) delivery.Outcome {
	for {
		o := a.output(name)
		if o == nil {
			return delivery.Outcome{Result: delivery.Pending, Reason: "the connection was stopped"}
		}
		r := o.runner.Load()
		r.Flush()
		out, err := r.WaitFor(ctx, seq)
		if !errors.Is(err, delivery.ErrStopped) {
			return out
		}
		// A successor may take its place.
		if !sleep(ctx, 20*time.Millisecond) || a.stopping() {
			return out
		}
	}
}
