package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// benchRunner measures how fast a log of b.N events of size bytes is delivered.
func benchRunner(b *testing.B, size int, out agent.Output, set func(*Config), dead bool) {
	l := openLog(b, b.TempDir())
	defer l.Close()
	cur := l.Cursor("siem", true)
	deadCur := l.Cursor("dead", true)
	block := make([]agent.Event, 2000)
	for i := range block {
		block[i] = event(i, []string{"anomaly", "telemetry"}[i%2])
		body := fmt.Appendf(nil, `{"event_id":"id-%d","event_type":%q,"pad":"`, i, block[i].Type)
		for len(body) < size-2 {
			body = append(body, 'x')
		}
		block[i].Body = append(body, `"}`...)
	}
	n := 0
	for n < b.N {
		appendTo(b, l, nil, block...)
		n += len(block)
	}
	cfg := DefaultConfig()
	set(&cfg)
	run := func(name string, cur *wal.Cursor, out agent.Output) (*Runner, func()) {
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		s, err := OpenFailed(FailedOptions{Dir: b.TempDir(), Cursor: cur, Log: log})
		if err != nil {
			b.Fatal(err)
		}
		r := New(Options{
			Name: name, Config: cfg, Output: out, Cursor: cur, Source: FromLog(l, cur), Failed: s,
			Env: agent.Env{Name: name, Kind: "output", Log: log, Metrics: metrics.NewSet()},
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		return r, func() { cancel(); <-done; s.Close() }
	}
	b.ReportAllocs()
	b.ResetTimer()
	if dead {
		_, stop := run("dead", deadCur, hanging{})
		defer stop()
	}
	r, stop := run("siem", cur, out)
	defer stop()
	if err := r.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mevents/s")
	if n := unaccounted(cur); n != 0 {
		b.Fatalf("unaccounted = %d", n)
	}
}

// BenchmarkRunner: blocks are read, decoded, filtered, encoded, cut into
// batches and committed; the output takes everything at once.
func BenchmarkRunner(b *testing.B) {
	filter := func(types ...string) func(*Config) {
		return func(c *Config) { c.Filter.EventTypes = types }
	}
	b.Run("null", func(b *testing.B) { benchRunner(b, 500, null{}, filter(), false) })
	b.Run("encoder", func(b *testing.B) { benchRunner(b, 500, nullEncoder{}, filter(), false) })
	b.Run("small", func(b *testing.B) { benchRunner(b, 100, null{}, filter(), false) })
	b.Run("half_filtered", func(b *testing.B) { benchRunner(b, 500, null{}, filter("anomaly"), false) })
	b.Run("all_filtered", func(b *testing.B) { benchRunner(b, 500, null{}, filter("alert"), false) })
}

// BenchmarkLatency: a receiver that takes its time, against requests in flight and beside a dead connection.
func BenchmarkLatency(b *testing.B) {
	for _, latency := range []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond} {
		for _, n := range []Concurrency{1, 4, 0} {
			for _, dead := range []bool{false, true} {
				text, _ := n.MarshalText()
				name := fmt.Sprintf("%v/concurrency=%s/beside_dead=%v", latency, text, dead)
				b.Run(name, func(b *testing.B) {
					benchRunner(b, 500, lagging(latency), func(c *Config) { c.Concurrency = n }, dead)
				})
			}
		}
	}
}

// A null output takes everything; an encoder that copies the body stands for a codec.
type null struct{}

func (null) Write(context.Context, []agent.Event) error { return nil }

type nullEncoder struct{ null }

func (nullEncoder) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	return append(dst, e.Body...), nil
}

// lagging takes everything after its latency.
type lagging time.Duration

func (l lagging) Write(ctx context.Context, _ []agent.Event) error {
	return wait(ctx, time.Duration(l))
}

// hanging never answers.
type hanging struct{}

func (hanging) Write(ctx context.Context, _ []agent.Event) error { return wait(ctx, time.Hour) }

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
