package stdin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/adrian207/siemd/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeSink is a log in memory. As the real one, it stores nothing behind a
// batch that failed until the outcome of all is known.
type fakeSink struct {
	mu      sync.Mutex
	lines   []string
	refused []agent.Refusal
	mark    []byte
	batches int
	waiting int                                  // tickets whose outcome is not known
	behind  bool                                 // one of them was not stored
	fail    func(n int) (err error, stored bool) // for the nth batch, from 1
	gate    chan struct{}                        // if not nil, a batch waits for one element
}

func (s *fakeSink) Submit(ctx context.Context, b agent.Batch) (agent.Ticket, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting++
	var err error
	stored := true
	if s.behind {
		err, stored = errors.New("behind one that was not stored"), false
	} else if s.batches++; s.fail != nil {
		err, stored = s.fail(s.batches)
	}
	s.behind = !stored
	if stored {
		for _, l := range b.Lines {
			s.lines = append(s.lines, string(l))
		}
		for _, r := range b.Refused {
			r.Text = bytes.Clone(r.Text)
			s.refused = append(s.refused, r)
		}
		s.mark = bytes.Clone(b.Mark.Pos)
	}
	return ticket{s, err}, nil
}

type ticket struct {
	sink *fakeSink
	err  error
}

func (t ticket) Wait(context.Context) (agent.Receipt, error) {
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	if t.sink.waiting--; t.sink.waiting == 0 {
		t.sink.behind = false
	}
	return agent.Receipt{}, t.err
}

func (s *fakeSink) Emit(ctx context.Context, b agent.Batch) (agent.Receipt, error) {
	t, err := s.Submit(ctx, b)
	if err != nil {
		return agent.Receipt{}, err
	}
	return t.Wait(ctx)
}

func (s *fakeSink) Resume(string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark, s.mark != nil
}

func (s *fakeSink) Settled() uint64 { return 0 }

func newInput(f *os.File) *Stdin {
	return &Stdin{config: defaults, env: agent.Env{Log: slog.New(slog.DiscardHandler)}, file: f, pause: time.Millisecond}
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestReadsToTheEnd(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	for _, c := range []struct {
		name, in string
		lines    []string
		refused  int
	}{
		{"empty", "", nil, 0},
		{"lines", "a\nb\r\n\nc\n", []string{"a", "b\r", "c"}, 0},
		{"no last newline", "a\n{\"n\":1}", []string{"a", `{"n":1}`}, 0},
		{"byte order mark", "\xef\xbb\xbfa\n", []string{"a"}, 0},
		{"NUL", "a\x00b\n", []string{"a\x00b"}, 0},
		{"too long", "a\n" + long + "\nb\n", []string{"a", "b"}, 1},
		{"too long at the end", "a\n" + long, []string{"a"}, 1},
		{"just fits", long[:1<<20] + "\n", []string{long[:1<<20]}, 0},
		{"just not", long[:1<<20+1] + "\nb", []string{"b"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kind := range []string{"pipe", "file"} {
				var in *os.File
				if kind == "pipe" {
					r, w := pipe(t)
					in = r
					go func() { io.WriteString(w, c.in); w.Close() }()
				} else {
					path := filepath.Join(t.TempDir(), "in")
					os.WriteFile(path, []byte(c.in), 0o600)
					f, err := os.Open(path)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					in = f
				}
				s := &fakeSink{}
				if err := newInput(in).Run(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(s.lines, c.lines) || len(s.refused) != c.refused {
					t.Errorf("%s: %d lines, %d refused, want %d and %d", kind, len(s.lines), len(s.refused), len(c.lines), c.refused)
				}
				for _, r := range s.refused {
					if len(r.Text) != 1<<20 || r.Reason != agent.ReasonTooLong {
						t.Errorf("refused %d bytes, %s", len(r.Text), r.Reason)
					}
				}
			}
		})
	}
}

// Halves of lines arrive one by one; each line comes when it has ended.
func TestFollowsTheWriter(t *testing.T) {
	r, w := pipe(t)
	s := &fakeSink{}
	done := make(chan error, 1)
	go func() { done <- newInput(r).Run(t.Context(), s) }()
	io.WriteString(w, `{"n":`)
	io.WriteString(w, "1}\n{")
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		s.mu.Lock()
		n := len(s.lines)
		s.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first line does not come")
		}
	}
	io.WriteString(w, "}")
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"n":1}`, "{}"}; !slices.Equal(s.lines, want) {
		t.Errorf("lines %q, want %q", s.lines, want)
	}
}

func TestEndsWhileWaiting(t *testing.T) {
	r, _ := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newInput(r).Run(ctx, &fakeSink{}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run returned %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not return")
	}
}

// What was read when the run ends is stored, the half of a line too.
func TestStoresWhatWasRead(t *testing.T) {
	r, w := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := &fakeSink{gate: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- newInput(r).Run(ctx, s) }()
	io.WriteString(w, "{\"n\":1}\n{\"n\"")
	s.gate <- struct{}{} // the first line is on its way, so all was read
	cancel()
	close(s.gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"n":1}`, `{"n"`}; !slices.Equal(s.lines, want) {
		t.Errorf("lines %q, want %q", s.lines, want)
	}
}

// A log that takes nothing stops the reading: the writer is held back after
// a bounded number of bytes.
func TestHoldsTheWriterBack(t *testing.T) {
	r, w := pipe(t)
	s := &fakeSink{gate: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- newInput(r).Run(t.Context(), s) }()
	line := []byte(strings.Repeat("y", 999) + "\n")
	written := 0
	for {
		w.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := w.Write(line)
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if written > 64<<20 {
			t.Fatal("the writer is not held back")
		}
	}
	if most := (inFlight + 2) * 2 * blockSize; written > most {
		t.Errorf("%d bytes were taken, want at most %d", written, most)
	}
	w.Close()
	close(s.gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := len(s.lines); got != (written+999)/1000 {
		t.Errorf("%d lines, want %d", got, (written+999)/1000)
	}
}

// Whatever batches fail, stored or not, each line comes once and in order.
func TestRepeatsOnlyWhatIsNotStored(t *testing.T) {
	for _, stored := range []bool{false, true} {
		r, w := pipe(t)
		s := &fakeSink{}
		s.fail = func(n int) (error, bool) {
			if n%3 == 0 || n%7 == 0 {
				return errors.New("input/output error"), stored
			}
			return nil, true
		}
		done := make(chan error, 1)
		go func() { done <- newInput(r).Run(t.Context(), s) }()
		var want []string
		for i := range 500 {
			l := fmt.Sprintf(`{"n":%d}`, i)
			want = append(want, l)
			fmt.Fprintln(w, l)
		}
		w.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.lines, want) {
			t.Errorf("stored %v: %d lines, want %d, each once", stored, len(s.lines), len(want))
		}
	}
}

func TestClosedLogEndsRun(t *testing.T) {
	r, w := pipe(t)
	s := &fakeSink{fail: func(int) (error, bool) { return agent.ErrClosed, false }}
	io.WriteString(w, "{}\n")
	if err := newInput(r).Run(t.Context(), s); !errors.Is(err, agent.ErrClosed) {
		t.Errorf("Run returned %v, want %v", err, agent.ErrClosed)
	}
}

func TestRegistered(t *testing.T) {
	spec, ok := agent.InputKind("stdin")
	if !ok {
		t.Fatal("stdin is not registered")
	}
	in, err := spec.BuildInput(spec.Config(), agent.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil || in.(*Stdin).file != os.Stdin {
		t.Errorf("built %v, %v", in, err)
	}
}

// FuzzCut compares the cutter, fed in pieces, with a plain split.
func FuzzCut(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), 3)
	f.Add([]byte("\xef\xbb\xbfa\r\nxxxxxxxxxxxxxxxxxxxxx\nb"), 1)
	f.Fuzz(func(t *testing.T, text []byte, limit int) {
		limit = 1 + (limit&0xff)%64
		var lines [][]byte
		refused := 0
		c, b := cutter{limit: limit}, block{}
		in := iotest.OneByteReader(bytes.NewReader(text))
		for {
			err := c.fill(&b, in, func() bool { return false })
			for i, l := range b.lines {
				lines = append(lines, bytes.Clone(l))
				at := int(b.offsets[i])
				if at == 0 && bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
					at = 3
				}
				if !bytes.HasPrefix(text[at:], l) || at > 3 && text[at-1] != '\n' {
					t.Errorf("line %q is said to begin at %d of %q", l, at, text)
				}
			}
			refused += len(b.refused)
			if err != nil {
				break
			}
		}
		var want [][]byte
		tooLong, first := 0, true
		for _, l := range bytes.Split(text, []byte("\n")) {
			if len(l) > limit {
				tooLong++
			} else {
				if first {
					l = bytes.TrimPrefix(l, []byte("\xef\xbb\xbf"))
				}
				if len(l) > 0 {
					want = append(want, l)
				}
			}
			first = false
		}
		if refused != tooLong || !slices.EqualFunc(lines, want, bytes.Equal) {
			t.Errorf("lines %q and %d refused, want %q and %d", lines, refused, want, tooLong)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	line := `{"event_type":"telemetry","text":"` + strings.Repeat("z", 380) + "\"}\n"
	path := filepath.Join(b.TempDir(), "in")
	os.WriteFile(path, []byte(strings.Repeat(line, 200_000)), 0o600)
	b.SetBytes(int64(len(line)) * 200_000)
	for b.Loop() {
		f, _ := os.Open(path)
		if err := newInput(f).Run(b.Context(), nullSink{}); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	b.ReportMetric(float64(b.N)*200_000/b.Elapsed().Seconds()/1e6, "Mlines/s")
}

type nullSink struct{}

func (nullSink) Submit(context.Context, agent.Batch) (agent.Ticket, error)      { return nullSink{}, nil }
func (nullSink) Emit(context.Context, agent.Batch) (r agent.Receipt, err error) { return }
func (nullSink) Wait(context.Context) (r agent.Receipt, err error)              { return }
func (nullSink) Resume(string) ([]byte, bool)                                   { return nil, false }
func (nullSink) Settled() uint64                                                { return 0 }

// TestExchanged: what a run has read and the log has not taken goes to the
// next, half a line too, and each line is stored once.
func TestExchanged(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	made := func() *Stdin {
		return &Stdin{config: defaults, env: agent.Env{Log: slog.New(slog.DiscardHandler)}, file: in, pause: time.Millisecond}
	}
	var want []string
	write := func(text string) {
		t.Helper()
		if _, err := out.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	sink := &fakeSink{}
	last := made()
	for n := range 40 {
		tried, failing := make(chan struct{}), n%2 == 0
		once := sync.OnceFunc(func() { close(tried) })
		sink.mu.Lock()
		before := sink.batches
		sink.fail = func(k int) (error, bool) {
			// The first is stored for sure; the second is too now and then, whatever is said of it.
			defer once()
			if failing && k > before+1 {
				return errors.New("full"), n%4 == 0 && k == before+2
			}
			return nil, true
		}
		sink.mu.Unlock()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		run := last
		go func() { done <- run.Run(ctx, sink) }()
		for k := range 3 {
			want = append(want, fmt.Sprintf("line %d %d", n, k))
		}
		write(fmt.Sprintf("line %d 0\nline %d 1\nline %d", n, n, n))
		<-tried
		cancel(agent.ErrExchanged)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		write(" 2\n")
		last = made()
		last.Inherit(run)
	}
	sink.mu.Lock()
	sink.fail = nil
	sink.mu.Unlock()
	out.Close()
	if err := last.Run(t.Context(), sink); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sink.lines, want) || len(sink.refused) > 0 {
		t.Errorf("%d refused, lines: %q", len(sink.refused), sink.lines)
	}
}
