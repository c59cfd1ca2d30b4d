package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
)

// An Errand is what one connection made of process-pending or retry-failed.
type Errand struct {
	Sent, Failed int
	Err          error // why it ended early; nil if all is done
}

// ProcessPending makes the running connections, or the named one, send up to
// limit waiting events each, without linger, and waits until ctx ends.
func (a *Agent) ProcessPending(ctx context.Context, connection string, limit int) (map[string]Errand, error) {
	return a.each(connection, func(o *output) Errand {
		sent, failed, err := o.runner.Load().ProcessPending(ctx, limit)
		return Errand{sent, failed, err}
	})
}

// RetryFailed makes the running connections, or the named one, send again what
// is in their failed stores and filter picks, and waits until ctx ends.
func (a *Agent) RetryFailed(ctx context.Context, connection string, filter delivery.FailedFilter) (map[string]Errand, error) {
	return a.each(connection, func(o *output) Errand {
		sent, failed, err := o.runner.Load().RetryFailed(ctx, filter)
		return Errand{sent, failed, err}
	})
}

// Drain sends what waits for the named connection, without linger, and waits until ctx ends.
func (a *Agent) Drain(ctx context.Context, connection string) error {
	o, err := a.runningOutput(connection)
	if err != nil {
		return err
	}
	return o.runner.Load().Drain(ctx)
}

// ErrDisabled says that a connection is configured and does not run.
var ErrDisabled = errors.New("the connection is disabled")

// runningOutput is the running connection of that name, or says why there is none.
func (a *Agent) runningOutput(name string) (*output, error) {
	if o := a.output(name); o != nil {
		return o, nil
	}
	if a.Config().Outputs[name] != nil {
		return nil, fmt.Errorf("%w: %s", ErrDisabled, name)
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownConnection, name)
}

// each runs f for the named connection, or for all at once.
func (a *Agent) each(connection string, f func(*output) Errand) (map[string]Errand, error) {
	var outs []*output
	if connection != "" {
		o, err := a.runningOutput(connection)
		if err != nil {
			return nil, err
		}
		outs = append(outs, o)
	} else {
		a.mu.Lock()
		outs = values(a.outputs)
		a.mu.Unlock()
	}
	results := map[string]Errand{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, o := range outs {
		wg.Go(func() {
			r := f(o)
			mu.Lock()
			defer mu.Unlock()
			results[o.cfg.Name] = r
		})
	}
	wg.Wait()
	return results, nil
}

// ErrNoProbe says that a kind of output cannot check its way.
var ErrNoProbe = errors.New("this type of connection cannot be tested without sending events")

// Probe checks the named connection's way to its SIEM and tells its health. A
// disabled one is built for the occasion. The error is that of the step that
// failed; ErrUnknownConnection and ErrNoProbe are no results of a probe.
func (a *Agent) Probe(ctx context.Context, connection string, report func(agent.Step)) error {
	if o := a.output(connection); o != nil {
		p, ok := o.out.(agent.Prober)
		if !ok {
			return ErrNoProbe
		}
		err := guard(o.env.Log, func() error { return p.Probe(ctx, report) })
		// A reload may have exchanged it meanwhile; its successor will find out by itself.
		o.runner.Load().Probed(err)
		o.probed.Store(time.Now().UnixNano())
		return err
	}
	cfg := a.Config()
	oc := cfg.Outputs[connection]
	if oc == nil {
		return fmt.Errorf("%w: %q", ErrUnknownConnection, connection)
	}
	o, err := a.buildOutput(cfg, oc)
	if err != nil {
		return err
	}
	defer closeComponent(o.out)
	p, ok := o.out.(agent.Prober)
	if !ok {
		return ErrNoProbe
	}
	return guard(o.env.Log, func() error { return p.Probe(ctx, report) })
}
