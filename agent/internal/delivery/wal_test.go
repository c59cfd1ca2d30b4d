package delivery

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func openLog(t testing.TB, dir string) *wal.Log {
	t.Helper()
	l, err := wal.Open(wal.Options{
		Dir: dir, MaxSize: 4 << 30, WhenFull: "block", Sync: "always", Compression: "s2",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: metrics.NewSet(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendTo(t testing.TB, l *wal.Log, targets []string, events ...agent.Event) {
	t.Helper()
	c := l.NewChunk()
	for i := range events {
		c.Add(&events[i])
	}
	c.Target(targets)
	commit, err := l.Append(context.Background(), c)
	if err == nil {
		_, _, err = commit.Wait(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWithTheLog runs over the real log, with a restart in between.
func TestWithTheLog(t *testing.T) {
	dir, failedDir := t.TempDir(), t.TempDir()
	out := &fakeOutput{answer: typed("poor", agent.Permanent(errSaid))}
	enc := &fakeEncoder{fakeOutput: out}
	cfg := DefaultConfig()
	cfg.Batch.MaxWait = agent.Duration(5 * time.Millisecond)
	cfg.Batch.MaxEvents = 100
	cfg.Filter.EventTypes = []string{"good", "poor"}
	run := func(f func(l *wal.Log, r *Runner, s *FailedStore)) {
		l := openLog(t, dir)
		c := l.Cursor("siem", true)
		env := agent.Env{Name: "siem", Kind: "output", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: metrics.NewSet()}
		s, err := OpenFailed(FailedOptions{Dir: failedDir, Cursor: c, Log: env.Log})
		if err != nil {
			t.Fatal(err)
		}
		r := New(Options{Name: "siem", Config: cfg, Output: enc, Cursor: c, Source: FromLog(l, c), Failed: s, Env: env})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		f(l, r, s)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := unaccounted(c); n != 0 {
			t.Errorf("unaccounted = %d", n)
		}
		s.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	run(func(l *wal.Log, r *Runner, s *FailedStore) {
		for i := range 20 {
			appendTo(t, l, nil, events(i*100, 100, "good")...)
		}
		appendTo(t, l, nil, event(2000, "poor"), event(2001, "other"))
		appendTo(t, l, []string{"else"}, event(2002, "good"))
		if err := r.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if want := (wal.Counts{Sent: 2000, Failed: 1, Filtered: 1, Foreign: 1}); r.Stats().Counts != want {
			t.Errorf("counts = %+v, want %+v", r.Stats().Counts, want)
		}
	})
	run(func(l *wal.Log, r *Runner, s *FailedStore) {
		appendTo(t, l, nil, events(3000, 10, "good")...)
		if sent, failed, err := r.ProcessPending(ctx, 1000); sent != 10 || failed != 0 || err != nil {
			t.Errorf("ProcessPending = %d, %d, %v", sent, failed, err)
		}
		out.set(nil)
		if sent, failed, err := r.RetryFailed(ctx, FailedFilter{}); sent != 1 || failed != 0 || err != nil {
			t.Errorf("RetryFailed = %d, %d, %v", sent, failed, err)
		}
		if want := (wal.Counts{Sent: 2011, Filtered: 1, Foreign: 1}); r.Stats().Counts != want || s.Len() != 0 {
			t.Errorf("counts = %+v, want %+v; %d in the store", r.Stats().Counts, want, s.Len())
		}
	})
	for i := range 2000 {
		if out.got(i) != 1 {
			t.Fatalf("event %d was taken %d times", i, out.got(i))
		}
	}
}

// TestDropOldest: the log gives up what the output was too slow for, some of it
// while it is held here, also if another runner takes over before this one has noticed.
func TestDropOldest(t *testing.T) {
	t.Run("one runner", func(t *testing.T) { testDropOldest(t, false) })
	t.Run("two runners", func(t *testing.T) { testDropOldest(t, true) })
}

func testDropOldest(t *testing.T, exchanged bool) {
	log, set := slog.New(slog.NewTextHandler(io.Discard, nil)), metrics.NewSet()
	l, err := wal.Open(wal.Options{
		Dir: t.TempDir(), MaxSize: 1 << 20, SegmentSize: 64 << 10, WhenFull: "drop_oldest", Sync: "always", Compression: "none",
		Log: log, Metrics: metrics.NewSet(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := l.Cursor("siem", true)
	s := openStore(t, t.TempDir(), c)
	out := &fakeOutput{answer: func([]agent.Event) error { return agent.Blocked(errSaid) }}
	env := agent.Env{Name: "siem", Kind: "output", Log: log, Metrics: set}
	start := func() (r *Runner, stop func()) {
		r = New(Options{
			Name: "siem", Config: DefaultConfig(), Output: out, Cursor: c, Source: FromLog(l, c), Failed: s, MaxBytes: 64 << 10,
			Env: env,
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		return r, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	r, stop := start()
	for i := range 100 {
		batch := make([]agent.Event, 100)
		for j := range batch {
			batch[j] = sized(i*100+j, 300)
		}
		appendTo(t, l, []string{"siem", "other"}[i%2:][:1], batch...)
	}
	// The counter follows also while the output is held, but for what is on its way, and over a reload.
	expired := env.Counter("events_total", "result", "expired")
	for deadline := time.Now().Add(20 * time.Second); expired.Get() < c.Counts().Expired/2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events have expired, the counter says %d", c.Counts().Expired, expired.Get())
		}
	}
	if exchanged {
		stop()
		r, stop = start()
	}
	out.set(nil)
	drain, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Drain(drain); err != nil {
		t.Error(err)
	}
	stop()
	got := c.Counts()
	if n := expired.Get(); n < got.Expired {
		t.Errorf("%d events have expired, the counter says %d", got.Expired, n)
	}
	if n := unaccounted(c); n != 0 || got.Total() != 10_000 || got.Expired == 0 || got.Sent == 0 || got.Foreign < 4500 || r.Pending() != 0 {
		t.Errorf("unaccounted = %d, pending = %d, counts = %+v", n, r.Pending(), got)
	}
}
