package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/wal"
	"github.com/adrian207/siemd/codecs/json"
)

// tapPrefix begins the names of cursors that taps make for a moment. No
// component's name begins like that.
const tapPrefix = ".tap-"

func isTap(name string) bool { return strings.HasPrefix(name, tapPrefix) }

// sweepTaps forgets cursors of taps that a crash has left.
func (a *Agent) sweepTaps() {
	for _, c := range a.wal.Cursors() {
		if isTap(c.Name) {
			if err := a.wal.Purge(c.Name); err != nil {
				a.log.Warn("a tap's cursor stays", "cursor", c.Name, "err", err)
			}
		}
	}
}

// A TapFilter picks what a tap shows. Its conditions are ANDed.
type TapFilter struct {
	Connection string         // only what this one takes, and as it sends it
	Input      string         // only what this one took
	Type       string         // only events of this type
	Severity   agent.Severity // the least
	Match      string         // in the event, in any case
	Rate       int            // most events in a second; 0: no limit
}

// A Tapped is one event that a tap shows, or a number of those that it did not.
type Tapped struct {
	Event   agent.Event // its bytes are valid until the call returns; Wire as the connection sends it, nil if it does not encode
	Err     error       // why the connection cannot encode it
	Skipped uint64      // events that were passed over because there were too many; then Event is zero
}

// maxBehind is how many events a slow tap may be behind before it jumps to the end.
const maxBehind = 50_000

// Tap calls show with the events that the log takes from now on and the filter
// picks, until ctx ends or show returns an error. It holds nothing back: what
// comes faster than it is shown is skipped, and counted. quiet is called when
// nothing has come for a while.
func (a *Agent) Tap(ctx context.Context, f TapFilter, show func(Tapped) error, quiet func() error) error {
	t := tap{a: a, f: f, show: show}
	if f.Connection != "" {
		if err := t.renderer(); err != nil {
			return err
		}
		defer closeComponent(t.out)
	}
	r := a.tapReader()
	defer func() { r.Close() }()
	for {
		if behind := a.wal.Head() - min(r.Seq(), a.wal.Head()); behind > maxBehind {
			t.skipped += behind
			r.Close()
			r = a.tapReader()
		}
		wait, cancel := context.WithTimeout(ctx, 5*time.Second)
		b, err := r.Next(wait)
		cancel()
		switch {
		case err == nil:
			err = t.block(b)
			b.Release()
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			if err = t.tellSkipped(); err == nil {
				err = quiet()
			}
		}
		if err != nil {
			return err
		}
	}
}

// tapReader reads from the end of the log on. Its cursor lives for a moment
// only: a tap holds no events.
func (a *Agent) tapReader() *wal.Reader {
	name := fmt.Sprintf("%s%d", tapPrefix, a.taps.Add(1))
	c := a.wal.Cursor(name, false)
	r := a.wal.Reader(c)
	c.Close()
	if err := a.wal.Purge(name); err != nil {
		a.log.Warn("a tap's cursor stays", "cursor", name, "err", err)
	}
	return r
}

type tap struct {
	a       *Agent
	f       TapFilter
	show    func(Tapped) error
	out     agent.Output
	encoder agent.Encoder // nil: the connection sends events as they are, or none is named
	events  []agent.Event
	wire    []byte

	second  int64 // that shown counts
	shown   int
	skipped uint64
}

// renderer builds an instance of the connection's output that sends nothing and
// whose counters nobody sees.
func (t *tap) renderer() error {
	cfg := t.a.Config()
	oc := cfg.Outputs[t.f.Connection]
	if oc == nil {
		return fmt.Errorf("%w: %q", ErrUnknownConnection, t.f.Connection)
	}
	env := t.a.env(cfg, "output", oc.Name)
	env.Metrics, env.Log = metrics.NewSet(), slog.New(slog.DiscardHandler)
	out, err := oc.Spec.BuildOutput(oc.Config, env)
	if err != nil {
		return err
	}
	t.out = out
	t.encoder, _ = withSeverities(out, oc.Managed).(agent.Encoder)
	return nil
}

func (t *tap) block(b *wal.Block) error {
	if b.Lost() || b.Count() == 0 || t.f.Connection != "" && !b.For(t.f.Connection) {
		return nil
	}
	takes := t.taking()
	if !b.Has(takes) {
		return nil
	}
	var err error
	if t.events, err = b.Events(t.events[:0]); err != nil {
		return nil // damage is counted elsewhere
	}
	for i := range t.events {
		e := &t.events[i]
		if !takes(e.Type, e.Severity) || t.f.Input != "" && e.Input != t.f.Input || t.f.Match != "" && !json.Holds(e.Body, t.f.Match) {
			continue
		}
		if err := t.event(e); err != nil {
			return err
		}
	}
	return nil
}

// taking is the filter's part that a block's header can answer.
func (t *tap) taking() func(typ []byte, sev agent.Severity) bool {
	var filter *config.Output
	if t.f.Connection != "" {
		filter = t.a.Config().Outputs[t.f.Connection]
	}
	return func(typ []byte, sev agent.Severity) bool {
		if t.f.Type != "" && string(typ) != t.f.Type || sev < t.f.Severity {
			return false
		}
		return filter == nil || takes(&filter.Common.Filter, typ, sev)
	}
}

// takes is the runner's own test, for a connection that may not run.
func takes(f *delivery.Filter, typ []byte, sev agent.Severity) bool {
	return sev >= f.MinSeverity &&
		(len(f.EventTypes) == 0 || slices.ContainsFunc(f.EventTypes, func(t string) bool { return t == string(typ) }))
}

func (t *tap) event(e *agent.Event) error {
	if now := time.Now().Unix(); now != t.second {
		t.second, t.shown = now, 0
		if err := t.tellSkipped(); err != nil {
			return err
		}
	}
	if t.f.Rate > 0 && t.shown >= t.f.Rate {
		t.skipped++
		return nil
	}
	t.shown++
	shown := Tapped{Event: *e}
	if t.encoder != nil {
		t.wire, shown.Err = t.encode(e)
		shown.Event.Wire = t.wire
	}
	return t.show(shown)
}

// encode shields the agent from an encoder that panics.
func (t *tap) encode(e *agent.Event) (wire []byte, err error) {
	err = guard(slog.New(slog.DiscardHandler), func() error {
		wire, err = t.encoder.Encode(t.wire[:0], e)
		return err
	})
	return wire, err
}

func (t *tap) tellSkipped() error {
	if t.skipped == 0 {
		return nil
	}
	n := t.skipped
	t.skipped = 0
	return t.show(Tapped{Skipped: n})
}
