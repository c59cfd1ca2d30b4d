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

// exportMarks stands before the keys of their marks: an input may be called api
// too, and none can be called that.
const exportMarks = "/api"

// commitTime is how long the disk is waited for once there is room in the log.
// Whoever runs into it does not know what became of the event.
const commitTime = time.Minute

// exports is the small input behind Store.
type exports struct {
	sink      agent.Sink
	env       agent.Env
	preparers sync.Pool
}

func (e *exports) init(a *Agent, cfg *config.Config) {
	e.env = a.env(cfg, "input", exportInput)
	e.sink = intake.New(intake.Options{Env: e.env, Log: a.wal, Refused: a.refused, Marks: exportMarks})
	e.preparers.New = func() any { return &intake.Preparer{Input: exportInput, Identity: cfg.Identity} }
}

// An Exported is an event that Store has stored, and what became of it.
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

// An Export is one event to store and to follow.
type Export struct {
	Event    []byte        // a JSON object
	Targets  []string      // the connections that are to get it; nil: all that take it
	Patience time.Duration // how long a full log is waited for

	// Origin, if there is one, derives the id of an event that has none, so that
	// the same request gives it the same id. Mark is asked for what goes to the
	// disk in the same fsync as the event; nil: nothing.
	Origin string
	Mark   func(eventID string) *agent.Mark
}

// Store puts the event into the log. Results of what it returns holds the named
// connections that will not get it, and why; waiting are those to Await. The
// error is *RefusedError, ErrUnknownConnection, agent.ErrFull or agent.ErrClosed;
// otherwise the event is on disk.
func (a *Agent) Store(ctx context.Context, x Export) (stored Exported, waiting []string, err error) {
	for _, name := range x.Targets {
		if a.Config().Outputs[name] == nil {
			return stored, nil, fmt.Errorf("%w: %q", ErrUnknownConnection, name)
		}
	}
	p := a.exports.preparers.Get().(*intake.Preparer)
	var e agent.Event
	_, refusal := p.Prepare(&e, x.Event, x.Origin, 0, time.Now().UnixNano())
	if refusal != nil {
		a.exports.preparers.Put(p)
		return stored, nil, &RefusedError{*refusal}
	}
	stored = Exported{EventID: string(e.ID), Results: map[string]delivery.Outcome{}}
	typ, sev := string(e.Type), e.Severity
	waiting = a.takers(typ, sev, x.Targets, stored.Results)
	batch := agent.Batch{Lines: [][]byte{append([]byte(nil), e.Body...)}, Targets: x.Targets}
	a.exports.preparers.Put(p)
	if x.Mark != nil {
		batch.Mark = x.Mark(stored.EventID)
	}

	receipt, err := a.exports.emit(ctx, x.Patience, batch)
	switch {
	case err != nil:
		return Exported{}, nil, err
	case receipt.Accepted != 1:
		return Exported{}, nil, &RefusedError{receipt.Refused[0]}
	}
	stored.Seq = receipt.First
	return stored, waiting, nil
}

// Await waits until ctx ends for what becomes of the event seq at the
// connections waiting, and puts it into results. What is not known then counts as pending.
func (a *Agent) Await(ctx context.Context, seq uint64, waiting []string, results map[string]delivery.Outcome) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range waiting {
		wg.Go(func() {
			o := a.outcome(ctx, name, seq)
			mu.Lock()
			defer mu.Unlock()
			results[name] = o
		})
	}
	wg.Wait()
}

// Resume is the position of the last durable mark that Store or Remember has kept under key.
func (a *Agent) Resume(key string) ([]byte, bool) { return a.exports.sink.Resume(key) }

// Remember makes a mark last. A full log is waited for as long as patience says.
func (a *Agent) Remember(ctx context.Context, m *agent.Mark, patience time.Duration) error {
	_, err := a.exports.emit(ctx, patience, agent.Batch{Mark: m})
	return err
}

// emit puts b into the log, also if ctx ends meanwhile.
func (e *exports) emit(ctx context.Context, patience time.Duration, b agent.Batch) (agent.Receipt, error) {
	ctx = context.WithoutCancel(ctx)
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticket, err := e.sink.Submit(short, b)
	if err != nil {
		return agent.Receipt{}, err
	}
	long, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	return ticket.Wait(long)
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
