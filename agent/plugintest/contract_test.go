package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// toyOutput is the smallest output that keeps the contract.
type toyOutput struct {
	url   string
	wrong string // or breaks it in this way
}

func (o *toyOutput) Write(ctx context.Context, events []agent.Event) error {
	var body bytes.Buffer
	for _, e := range events {
		body.Write(append(e.Body, '\n'))
	}
	req, err := http.NewRequestWithContext(ctx, "POST", o.url, &body)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	err = fmt.Errorf("status %d", resp.StatusCode)
	wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	switch {
	case o.wrong == "trusts":
		return nil
	case o.wrong == "secret" && resp.StatusCode != 200:
		return fmt.Errorf("T0K: %w", err)
	case resp.StatusCode == 200:
		return nil
	case resp.StatusCode == 413:
		return agent.TooLarge(err)
	case wait > 0:
		return agent.After(time.Duration(wait)*time.Second, err)
	case resp.StatusCode < 500 && resp.StatusCode != 408 && resp.StatusCode != 429:
		return agent.Blocked(err)
	}
	return err
}

func toyTest[P T[P]](wrong string) OutputTest[P] {
	return OutputTest[P]{
		Kind: "http", Secrets: []string{"T0K"},
		Build: func(_ P, r *Receiver) agent.Output { return &toyOutput{r.URL(), wrong} },
	}
}

func TestAGoodOutputPasses(t *testing.T) { RunOutput(t, toyTest[*testing.T]("")) }

// recorder is a T that only writes down.
type recorder struct {
	ctx      context.Context
	mu       *sync.Mutex
	failed   map[string]bool
	name     string
	cleanups *[]func()
}

func (r recorder) Helper()                        {}
func (r recorder) Context() context.Context       { return r.ctx }
func (r recorder) Cleanup(f func())               { *r.cleanups = append(*r.cleanups, f) }
func (r recorder) Fatalf(format string, a ...any) { r.Errorf(format, a...); panic(r) }
func (r recorder) Errorf(string, ...any) {
	r.mu.Lock()
	r.failed[r.name] = true
	r.mu.Unlock()
}

func (r recorder) Run(name string, f func(recorder)) bool {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(recorder); !ok {
				panic(v)
			}
		}
	}()
	f(recorder{r.ctx, r.mu, r.failed, name, r.cleanups})
	return true
}

func newRecorder(t *testing.T) recorder {
	r := recorder{t.Context(), new(sync.Mutex), map[string]bool{}, "", new([]func())}
	t.Cleanup(func() {
		for _, f := range *r.cleanups {
			f()
		}
	})
	return r
}

func TestBadOutputsFail(t *testing.T) {
	r := newRecorder(t)
	RunOutput(r, toyTest[recorder]("trusts"))
	if !r.failed["503"] || !r.failed["401"] || r.failed["delivers"] {
		t.Errorf("an output that takes any answer for a yes: failed %v", r.failed)
	}
	r = newRecorder(t)
	RunOutput(r, toyTest[recorder]("secret"))
	if !r.failed["503"] || r.failed["concurrent"] {
		t.Errorf("an output that tells its secret: failed %v", r.failed)
	}
}

// toyInput acknowledges on a channel.
type toyInput struct {
	in    chan toyRequest
	wrong bool // acknowledges before Emit
}

type toyRequest struct {
	lines  [][]byte
	answer chan error
}

func (i *toyInput) Run(ctx context.Context, sink agent.Sink) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-i.in:
			if i.wrong {
				r.answer <- nil
			}
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			_, err := sink.Emit(short, agent.Batch{Lines: r.lines})
			cancel()
			if !i.wrong {
				r.answer <- err
			}
		}
	}
}

func toyInputTest[P T[P]](wrong bool) InputTest[P] {
	return InputTest[P]{Acknowledges: true, Build: func(P) (agent.Input, func(context.Context, [][]byte) error) {
		in := &toyInput{make(chan toyRequest), wrong}
		return in, func(ctx context.Context, lines [][]byte) error {
			r := toyRequest{lines, make(chan error, 1)}
			select {
			case in.in <- r:
				return <-r.answer
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
}

func TestInputs(t *testing.T) {
	RunInput(t, toyInputTest[*testing.T](false))
	r := newRecorder(t)
	RunInput(r, toyInputTest[recorder](true))
	if !r.failed["full"] || !r.failed["broken"] {
		t.Errorf("an input that acknowledges too soon: failed %v", r.failed)
	}
}

func TestSinkSorts(t *testing.T) {
	s := NewSink()
	got, err := s.Emit(t.Context(), agent.Batch{Lines: [][]byte{[]byte(`{"a":1}` + "\r"), nil, []byte(`[1]`), []byte(`{`), []byte(` {"b":2}`)}, Mark: &agent.Mark{Key: "k", Pos: []byte("p")}})
	if err != nil || got.Accepted != 2 || got.First != 1 || got.Last != 2 || len(got.Refused) != 2 || got.Refused[0].Line != 2 || got.Refused[0].Reason != agent.ReasonNotObject || got.Refused[1].Reason != agent.ReasonNotJSON {
		t.Errorf("%+v %v", got, err)
	}
	if pos, ok := s.Resume("k"); !ok || string(pos) != "p" {
		t.Errorf("mark %q %v", pos, ok)
	}
	s.Fill(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Emit(ctx, agent.Batch{}); !errors.Is(err, agent.ErrFull) {
		t.Errorf("a full log says %v", err)
	}
}

func TestWord(t *testing.T) {
	e := errors.New("x")
	f := func(err error, want string) {
		t.Helper()
		if got := Word(err); got != want {
			t.Errorf("Word(%v) = %q, want %q", err, got, want)
		}
	}
	f(nil, "ok")
	f(e, "none")
	f(agent.Permanent(e), "permanent")
	f(agent.Suspect(e), "suspect")
	f(agent.TooLarge(e), "too_large")
	f(agent.Blocked(e), "blocked")
	f(agent.After(2*time.Second, e), "after=2s")
	f(&agent.PartialError{Failed: []agent.EventError{{Index: 0, Err: agent.Permanent(e)}, {Index: 1, Err: agent.Permanent(e)}, {Index: 2, Err: e}}}, "partial:permanent+none")
}
