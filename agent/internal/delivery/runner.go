package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// Options is what a Runner needs. All is required for which no default is named.
type Options struct {
	Name   string // of the output
	Config Config
	Output agent.Output
	Cursor Cursor
	Source Source
	Failed *FailedStore
	Env    agent.Env

	LastSuccess time.Time     // of the runners before; zero: none
	Endpoint    string        // for failed events whose error names none; "": nothing
	MaxBytes    int64         // of blocks and encoded events held; 0: 8 MiB
	Grace       time.Duration // for requests in flight when Run's context ends; 0: 5 s
}

const (
	// guardLimit refusals in a row, with nothing taken between, are the connection's fault and not the events'.
	guardLimit = 100
	// maxAgain answers in a row may ask for another try at once.
	maxAgain = 10
	// tickEvery is how often the runner looks at the clock for its own sake,
	// leastTick how often at most, where events soon are too old to be sent.
	tickEvery = 5 * time.Second
	leastTick = 50 * time.Millisecond
)

// tickOf is how often a runner looks at the clock: so often that an event is at
// most a tenth older than max_age when it expires, and at most tickEvery.
func tickOf(maxAge time.Duration) time.Duration {
	if maxAge == 0 {
		return tickEvery
	}
	return min(max(maxAge/10, leastTick), tickEvery)
}

// A Runner takes events from the log to one output. Its methods may be called
// from any goroutine; those that wait return ErrStopped when Run has ended.
type Runner struct {
	o        Options
	encoder  agent.Encoder // nil if the output is none
	match    matcher
	budget   *budget
	spans    chan *span
	spare    spares
	flush    chan goal
	results  chan result
	control  chan func()
	kicks    chan struct{}
	retrying sync.Mutex // one retry of failed events at a time
	started  atomic.Bool
	stopped  chan struct{}

	gathering atomic.Int64 // when the oldest event of the unfinished batch came; 0: none
	meanSize  atomic.Int64 // of an event in the log, bytes
	unsettled atomic.Int64 // the ledger's difference

	// The loop's own.
	hard    context.Context // of requests in flight; ends when the grace is over
	window  []*span         // handed over and not committed, in order
	next    uint64          // where the next span begins
	queue   []*part         // waiting to be sent
	toStore []*part         // waiting to be written to the failed store
	shelved []*part         // refused by the encoder while the guard holds
	flying  []*part         // in flight, to the output or the store
	sending int             // of these, to the output
	gate    gate
	limit   limiter
	pace    pace
	taken   uint64 // events taken, for evidence that others pass
	row     int    // refusals since
	swept   time.Time
	asked   map[uint64][]chan Outcome
	passed  []passing
	past    history
	metrics *meters
	book    logbook

	mu     sync.Mutex // guards below
	base   uint64     // where the cursor is, unless the log has moved it
	behind wal.Counts // of events that are finished and not passed yet
	health Health
	lat    latencies
	oldest int64 // when the oldest event handed over came; 0: none
	busy   int
	width  int
}

// New makes a Runner. It does no I/O.
func New(o Options) *Runner {
	if o.MaxBytes == 0 {
		o.MaxBytes = 8 << 20
	}
	// A batch is paid for whole: one that is more than a second's worth would come in bursts.
	if n := o.Config.RateLimit.Events; n > 0 {
		o.Config.Batch.MaxEvents = min(o.Config.Batch.MaxEvents, n)
	}
	if n := o.Config.RateLimit.Bytes; n > 0 {
		o.Config.Batch.MaxBytes = min(o.Config.Batch.MaxBytes, n)
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	r := &Runner{
		o:       o,
		match:   newMatcher(o.Config.Filter),
		budget:  newBudget(o.MaxBytes),
		spans:   make(chan *span),
		flush:   make(chan goal, 1),
		control: make(chan func()),
		kicks:   make(chan struct{}, 1),
		stopped: make(chan struct{}),
		gate:    newGate(o.Config.Retry),
		limit:   newLimiter(o.Config.Concurrency),
		pace:    newPace(o.Config),
		asked:   map[uint64][]chan Outcome{},
		health:  Health{Status: Unknown, Since: time.Now(), LastSuccess: o.LastSuccess},
	}
	r.encoder, _ = o.Output.(agent.Encoder)
	if one, ok := o.Output.(agent.Serial); ok {
		r.limit.solo = one.OneAtATime()
	}
	r.spare.most = r.windowSize() + 4
	r.results = make(chan result, 4*r.windowSize()+16)
	r.width = r.limit.limit()
	return r
}

// A result is what came of a part in flight.
type result struct {
	part   *part
	err    error
	took   time.Duration
	stored bool   // the failed store's answer, not the output's
	epoch  uint64 // of the gate when it began
	probe  bool   // it was the one try of a closed gate
	full   bool   // the limit was reached when it began
	size   int    // bytes on the wire
}

// Run delivers until ctx ends; then requests in flight have the grace to end.
// It is called once. The output is not closed. An error means that a Write did
// not return: its output is not to be used again.
func (r *Runner) Run(ctx context.Context) error {
	if !r.started.CompareAndSwap(false, true) {
		return errors.New("the runner has run before")
	}
	defer close(r.stopped)
	r.metrics = r.newMeters()
	defer r.metrics.unregister()
	r.o.Failed.reconcile()

	read, stop := context.WithCancel(ctx)
	defer stop()
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	r.hard = hard

	g := r.newGatherer()
	r.next = g.pos
	r.mu.Lock()
	r.base = g.pos
	r.mu.Unlock()
	var readers sync.WaitGroup
	readers.Go(func() { g.pump(read) })
	readers.Go(func() { g.gather(read) })

	r.loop(read)
	err := r.land(kill)
	stop()
	readers.Wait()
	r.countExpired()
	r.leave()
	for _, s := range r.window {
		if err == nil {
			s.free(r.budget)
		}
	}
	return err
}

func (r *Runner) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	every := tickOf(r.o.Config.MaxAge.D())
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(r.swept) >= every {
			r.tick(now)
		}
		wake := earliest(r.dispatch(now), r.swept.Add(every))
		timer.Reset(wake.Sub(now))
		var spans <-chan *span
		if r.wantsSpan() {
			spans = r.spans
		}
		select {
		case s := <-spans:
			r.accept(s)
		case res := <-r.results:
			r.settle(res)
		case f := <-r.control:
			f()
		case <-r.kicks:
			r.kicked(time.Now())
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// land waits for what is in flight.
func (r *Runner) land(kill context.CancelFunc) error {
	grace := time.NewTimer(r.o.Grace)
	defer grace.Stop()
	killed := false
	for len(r.flying) > 0 {
		select {
		case res := <-r.results:
			r.settle(res)
		case <-grace.C:
			if killed {
				// Its blocks stay retained: it may still read them.
				return fmt.Errorf("%d requests did not return when they were told to", len(r.flying))
			}
			killed = true
			kill()
			grace.Reset(r.o.Grace)
		}
	}
	return nil
}

// tick does what time alone asks for.
func (r *Runner) tick(now time.Time) {
	r.swept = now
	r.spare.trim()
	r.expireWaiting(now)
	r.observe(observation{kind: seenTime}, now)
	r.o.Failed.expire(now)
	r.countExpired()
	r.checkLedger()
}

// write is one request, in a goroutine of its own.
func (r *Runner) write(res result) {
	ctx, cancel := context.WithTimeout(r.hard, r.o.Config.Timeout.D())
	begun := time.Now()
	res.err = r.callOutput(ctx, res.part.events)
	res.took = time.Since(begun)
	if res.err != nil && ctx.Err() != nil {
		// Whatever it says, it was cut short.
		if _, partial := partialFailures(res.err, len(res.part.events)); !partial {
			res.err = fmt.Errorf("%w after %v: %w", context.DeadlineExceeded, res.took.Round(time.Millisecond), res.err)
		}
	}
	cancel()
	r.results <- res
}

// callOutput shields the runner from an output that panics.
func (r *Runner) callOutput(ctx context.Context, events []agent.Event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, stack()}
			r.logPanic(err, "events", len(events))
		}
	}()
	return r.o.Output.Write(ctx, events)
}

// store writes refusals to the failed store, in a goroutine of its own.
func (r *Runner) store(p *part) {
	entries := make([]Entry, len(p.refused))
	for i, f := range p.refused {
		entries[i] = newEntry(f, r.o.Name, r.o.Endpoint)
	}
	r.results <- result{part: p, stored: true, err: r.o.Failed.Add(entries)}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
