package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

type fakePlace struct {
	at     time.Time
	seq    uint64
	counts wal.Counts
}

// event is an event of a type, with its number in the body.
func event(n int, typ string) agent.Event {
	return agent.Event{
		Time: time.Now().UnixNano(), Received: time.Now().UnixNano(), Severity: agent.Medium,
		ID: fmt.Appendf(nil, "id-%d", n), Type: []byte(typ), Source: []byte("mac-1"), Input: "in",
		Body: fmt.Appendf(nil, `{"event_id":"id-%d","event_type":%q,"n":%d}`, n, typ, n),
	}
}

func events(from, n int, typ string) []agent.Event {
	out := make([]agent.Event, n)
	for i := range out {
		out[i] = event(from+i, typ)
	}
	return out
}

// A fakeOutput takes what answer lets it, and remembers.
type fakeOutput struct {
	mu     sync.Mutex
	answer func(events []agent.Event) error // nil: takes all
	delay  time.Duration
	taken  map[string]int // by event id
	order  []string
	writes []int // sizes
	times  []time.Time
	active int
	most   int
	dead   bool
}

func (o *fakeOutput) Write(ctx context.Context, events []agent.Event) error {
	o.mu.Lock()
	o.writes = append(o.writes, len(events))
	o.times = append(o.times, time.Now())
	o.active++
	o.most = max(o.most, o.active)
	delay := o.delay
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.active--
		o.mu.Unlock()
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead {
		return fmt.Errorf("it is dead")
	}
	var err error
	if o.answer != nil {
		err = o.answer(events)
	}
	failed := map[int]bool{}
	if err != nil {
		list, ok := partialFailures(err, len(events))
		if !ok {
			return err
		}
		for _, f := range list {
			failed[f.Index] = true
		}
	}
	if o.taken == nil {
		o.taken = map[string]int{}
	}
	for i, e := range events {
		if !failed[i] {
			o.taken[string(e.ID)]++
			o.order = append(o.order, string(e.ID))
		}
	}
	return err
}

func (o *fakeOutput) set(answer func(events []agent.Event) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func (o *fakeOutput) got(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken[fmt.Sprintf("id-%d", n)]
}

// peak is how many requests there were at once.
func (o *fakeOutput) peak() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.most
}

func (o *fakeOutput) slow(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.delay = d
}

func (o *fakeOutput) requests() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.writes)
}

// A bench is a runner with everything around it.
type bench struct {
	t      testing.TB
	log    *fakeLog
	cursor *fakeCursor
	out    agent.Output
	fake   *fakeOutput
	cfg    Config
	dir    string
	failed *FailedStore
	env    agent.Env
	runner *Runner
	stop   func() error
	opts   func(*Options)
	maxSz  int64
	maxAge time.Duration
	after  *FailedStore // of the runner before, in the same process
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, log: newFakeLog(), fake: &fakeOutput{}, cfg: DefaultConfig(), dir: t.TempDir(), cursor: newFakeCursor("siem")}
	b.out = b.fake
	b.env = agent.Env{Name: "siem", Kind: "output", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: metrics.NewSet()}
	return b
}

func (b *bench) start() {
	b.t.Helper()
	store, err := OpenFailed(FailedOptions{Dir: b.dir, Cursor: b.cursor, Log: b.env.Log, MaxSize: b.maxSz, MaxAge: b.maxAge, noSync: true})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.after != nil {
		store.carried = b.after.carried
	}
	b.failed = store
	o := Options{
		Name: "siem", Config: b.cfg, Output: b.out, Cursor: b.cursor, Source: fakeSource{b.log, b.cursor},
		Failed: store, Env: b.env, Endpoint: "https://siem.example.com",
	}
	if b.opts != nil {
		b.opts(&o)
	}
	b.runner = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.runner.Run(ctx) }()
	b.stop = func() error {
		cancel()
		err := <-done
		store.Close()
		b.stop = nil
		return err
	}
}

// end stops the runner and adds up.
func (b *bench) end() {
	b.t.Helper()
	if b.stop != nil {
		if err := b.stop(); err != nil {
			b.t.Errorf("Run = %v", err)
		}
	}
	b.check()
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	if b.log.live != 0 {
		b.t.Errorf("%d blocks are still held", b.log.live)
	}
	if n := b.runner.budget.held(); n != 0 {
		b.t.Errorf("%d bytes are still charged", n)
	}
}

func (b *bench) check() {
	b.t.Helper()
	if n := unaccounted(b.cursor); n != 0 {
		b.t.Errorf("unaccounted = %d: passed %d, counts %+v", n, b.cursor.Seq()-b.cursor.Start(), b.cursor.Counts())
	}
}

func (b *bench) counts(want wal.Counts) {
	b.t.Helper()
	if got := b.cursor.Counts(); got != want {
		b.t.Errorf("counts = %+v, want %+v", got, want)
	}
}

// entries are all entries of the failed store.
func (b *bench) entries() []Entry {
	b.t.Helper()
	list, _, err := b.failed.List(FailedFilter{}, "", 1<<30)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// typed answers with err for the events of a type, one by one.
func typed(typ string, err error) func([]agent.Event) error {
	return func(events []agent.Event) error {
		var failed []agent.EventError
		for i, e := range events {
			if string(e.Type) == typ {
				failed = append(failed, agent.EventError{Index: i, Err: err})
			}
		}
		if failed == nil {
			return nil
		}
		return &agent.PartialError{Failed: failed}
	}
}

// whole answers with err for a batch that holds an event of a type.
func whole(typ string, err error) func([]agent.Event) error {
	return func(events []agent.Event) error {
		for _, e := range events {
			if string(e.Type) == typ {
				return err
			}
		}
		return nil
	}
}
