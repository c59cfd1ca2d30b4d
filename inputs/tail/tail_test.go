package tail

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func deadline() <-chan time.Time { return time.After(20 * time.Second) }

var quick = timing{
	scan: 50 * time.Millisecond, poll: 50 * time.Millisecond, tick: 5 * time.Millisecond, quiet: 60 * time.Millisecond,
	abandon: 2 * time.Second, settle: 20 * time.Millisecond, twin: 150 * time.Millisecond, retry: 5 * time.Millisecond,
	pace: time.Millisecond, forget: time.Hour, clock: 10 * time.Millisecond, open: 256,
}

// A rig is a directory, a log and an input between them.
type rig struct {
	t    testing.TB
	dir  string
	sink *fakeSink
	conf Config
	time timing
	set  *metrics.Set
	log  lockedBuffer

	tail *Tail
	stop context.CancelFunc
	done chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig makes an input over patterns below a new directory. It does not start it.
func newRig(t testing.TB, patterns ...string) *rig {
	r := &rig{t: t, dir: t.TempDir(), sink: newSink(), conf: defaults, time: quick, set: metrics.NewSet()}
	for _, p := range patterns {
		r.conf.Paths = append(r.conf.Paths, filepath.Join(r.dir, p))
	}
	t.Cleanup(func() {
		if t.Failed() && r.stop != nil {
			t.Logf("files: %+v", r.tail.Files())
		}
		r.halt()
		if t.Failed() {
			t.Logf("log:\n%s", r.log.String())
		}
	})
	return r
}

func (r *rig) env() agent.Env {
	return agent.Env{Name: "apps", Kind: "input", Log: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: r.set}
}

func (r *rig) start() {
	r.t.Helper()
	if err := r.conf.Validate(); err != nil {
		r.t.Fatal(err)
	}
	in, err := New(r.conf, r.env())
	if err != nil {
		r.t.Fatal(err)
	}
	in.timing = r.time
	fmt.Fprintln(&r.log, "-- start")
	ctx, cancel := context.WithCancel(context.Background())
	r.tail, r.stop, r.done = in, cancel, make(chan error, 1)
	go func() { r.done <- in.Run(ctx, r.sink) }()
}

func (r *rig) halt() {
	if r.stop == nil {
		return
	}
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run returned %v", err)
	}
	r.stop = nil
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(r.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// expect waits for so many lines and compares them, without regard to order.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	r.sink.await(r.t, fmt.Sprintf("%d lines", len(want)), func(s *fakeSink) bool { return len(s.lines) >= len(want) })
	got := r.sink.got()
	slices.Sort(got)
	want = slices.Clone(want)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Fatalf("lines %q, want %q", short(got), short(want))
	}
}

// calm waits until the input has looked at everything several times, and a
// little longer than that takes where nothing else has to be done.
func (r *rig) calm() {
	r.t.Helper()
	enough := r.looks() + 3
	time.Sleep(3*r.time.scan + r.time.twin)
	r.await("it has looked at everything", func() bool { return r.looks() >= enough })
}

func (r *rig) looks() int64 {
	if run := r.tail.current.Load(); run != nil {
		return run.looks.Load()
	}
	return 0
}

// logged waits until the input has said text.
func (r *rig) logged(text string) {
	r.t.Helper()
	r.await("the log says: "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

// await waits until f is true.
func (r *rig) await(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func short(lines []string) []string {
	out := slices.Clone(lines)
	for i := range out {
		if len(out[i]) > 80 {
			out[i] = out[i][:80] + "..."
		}
	}
	return out[:min(len(out), 40)]
}

func (r *rig) metric(name string) string {
	var b bytes.Buffer
	r.set.WritePrometheus(&b)
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.HasPrefix(line, "siemd_input_"+name+"{") {
			return line[strings.LastIndexByte(line, ' ')+1:]
		}
	}
	return ""
}

func numbered(from, to int) (text string, lines []string) {
	var b strings.Builder
	for i := from; i < to; i++ {
		l := fmt.Sprintf(`{"n":%d,"text":"the quick brown fox jumps over the lazy dog"}`, i)
		lines = append(lines, l)
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return b.String(), lines
}

func TestReadsAndFollows(t *testing.T) {
	for _, mode := range []string{"inotify", "polling"} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t, "**/*.log")
			r.time.noNotify = mode == "polling"
			r.write("a.log", "{\"n\":1}\n{\"n\":2}\r\n\n")
			r.start()
			r.expect(`{"n":1}`, "{\"n\":2}\r")
			r.write("a.log", `{"n":`)
			r.write("sub/deep/b.log", "{\"m\":1}\n")
			r.expect(`{"n":1}`, "{\"n\":2}\r", `{"m":1}`)
			r.write("a.log", "3}\n")
			r.expect(`{"n":1}`, "{\"n\":2}\r", `{"m":1}`, `{"n":3}`)
			r.write("sub/deep/.hidden.log", "{}\n")
			r.write("sub/other.txt", "{}\n")
			r.calm()
			r.expect(`{"n":1}`, "{\"n\":2}\r", `{"m":1}`, `{"n":3}`)
		})
	}
}

func TestResumes(t *testing.T) {
	r := newRig(t, "*.log")
	text, lines := numbered(0, 20000)
	r.write("a.log", text)
	r.start()
	r.expect(lines...)
	r.halt()
	more, moreLines := numbered(20000, 20010)
	r.write("a.log", more)
	r.start()
	r.expect(append(lines, moreLines...)...)
	r.calm()
	r.expect(append(lines, moreLines...)...)
}

// TestSince: lines that were written while the input paused did not come
// before the pause began, and outputs may count their waiting from there.
func TestSince(t *testing.T) {
	r := newRig(t, "*.log")
	r.time.pace, r.time.scan = time.Second, time.Minute
	n := 0
	write := func() (since time.Time) {
		r.write("a.log", fmt.Sprintf("{\"n\":%d}\n", n))
		n++
		r.all(n)
		r.sink.mu.Lock()
		defer r.sink.mu.Unlock()
		return time.Unix(0, r.sink.since[n-1])
	}
	r.write("a.log", "{\"n\":0}\n")
	n++
	r.start()
	r.all(n)
	if r.sink.since[0] != 0 {
		t.Errorf("what was there at the start came since %d", r.sink.since[0])
	}
	// A test that is held up between two lines misses the pause, and tries again.
	for try := 1; ; try++ {
		write() // noticed at once, or at the end of a pause: another begins
		written := time.Now()
		since := write() // at the end of that
		noticed := time.Now()
		if noticed.Sub(since) >= r.time.pace && written.Sub(since) >= 0 && written.Sub(since) <= r.time.pace {
			return
		}
		if try == 10 {
			t.Fatalf("what was written at %v and noticed at %v came since %v", written, noticed, since)
		}
	}
}

func TestStartAtEnd(t *testing.T) {
	r := newRig(t, "*.log")
	r.conf.StartAt = "end"
	r.write("a.log", "{\"n\":1}\n{\"n\"")
	r.start()
	r.sink.await(t, "the first scan", func(s *fakeSink) bool { return s.marks[startedKey] != nil })
	r.write("a.log", ":2}\n")
	r.expect(`{"n":2}`)
	r.write("b.log", "{\"m\":1}\n")
	r.expect(`{"n":2}`, `{"m":1}`)
	r.halt()
	r.write("c.log", "{\"o\":1}\n")
	r.start()
	r.expect(`{"n":2}`, `{"m":1}`, `{"o":1}`)
}
