package tail

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// nullSink takes everything at once, and says when it has taken so many lines.
type nullSink struct {
	lines int
	want  int
	done  chan struct{}
}

func (s *nullSink) Submit(_ context.Context, b agent.Batch) (agent.Ticket, error) {
	before := s.lines
	s.lines += len(b.Lines)
	if before < s.want && s.lines >= s.want {
		close(s.done)
	}
	return s, nil
}
func (s *nullSink) Emit(ctx context.Context, b agent.Batch) (r agent.Receipt, err error) { return }
func (s *nullSink) Wait(context.Context) (r agent.Receipt, err error)                    { return }
func (s *nullSink) Resume(string) ([]byte, bool)                                         { return nil, false }

func (s *nullSink) Settled() uint64 { return 0 }

const benchLines = 500_000

func benchFile(b *testing.B) string {
	line := `{"event_id":"0123456789abcdef","timestamp":"2026-01-02T03:04:05.678901234Z","event_type":"telemetry","source":"laptop-0042.example.com","severity":"low","text":"` + strings.Repeat("z", 255) + "\"}\n"
	path := filepath.Join(b.TempDir(), "a.log")
	if err := os.WriteFile(path, []byte(strings.Repeat(line, benchLines)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)) * benchLines)
	return path
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, cpu time.Duration) {
	n := float64(b.N) * benchLines
	b.ReportMetric(n/b.Elapsed().Seconds()/1e6, "Mlines/s")
	b.ReportMetric(float64(cpu.Microseconds())/n, "cpu-µs/line")
}

// BenchmarkTail reads a file of 423-byte lines into a sink that does nothing.
func BenchmarkTail(b *testing.B) {
	path := benchFile(b)
	conf := defaults
	conf.Paths = []string{path}
	began := cpuTime()
	for b.Loop() {
		in, err := New(conf, agent.Env{Name: "a", Kind: "input", Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()})
		if err != nil {
			b.Fatal(err)
		}
		sink := &nullSink{want: benchLines, done: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- in.Run(ctx, sink) }()
		<-sink.done
		cancel()
		<-ended
	}
	report(b, cpuTime()-began)
}

// BenchmarkScanner is what the standard library can do with the same file.
func BenchmarkScanner(b *testing.B) {
	path := benchFile(b)
	began := cpuTime()
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		s := bufio.NewScanner(f)
		n := 0
		for s.Scan() {
			n += len(s.Bytes())
		}
		f.Close()
		if n == 0 {
			b.Fatal("nothing read")
		}
	}
	report(b, cpuTime()-began)
}

// BenchmarkScan is a look at ten thousand files that have not changed, in one directory.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("app-%d.jsonl", i)), []byte("{}\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	conf := defaults
	conf.Paths = []string{filepath.Join(dir, "*.jsonl*")}
	in, err := New(conf, agent.Env{Name: "a", Kind: "input", Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()})
	if err != nil {
		b.Fatal(err)
	}
	r := newRun(in, &nullSink{})
	r.meters = newMeters(in.env)
	r.load()
	r.scan(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		r.scan(time.Now())
		r.outbox = r.outbox[:0]
	}
}
