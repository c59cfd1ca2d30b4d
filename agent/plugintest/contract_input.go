package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adrian207/siemd/agent"
)

// InputTest says how an input is tried against a log in memory.
type InputTest[P T[P]] struct {
	// Build makes an input and gives the function that feeds its source with
	// lines. Feed returns nil once the source has been told that the lines are
	// taken, or at once if the source is told nothing.
	Build func(t P) (in agent.Input, feed func(ctx context.Context, lines [][]byte) error)

	// Acknowledges: the source is told. Then Feed must not return nil before
	// the lines are in the log, nor when the log fails.
	Acknowledges bool
}

// RunInput holds an input to the contract.
func RunInput[P T[P]](t P, test InputTest[P]) {
	t.Helper()
	t.Run("delivers", func(t P) { test.delivers(t) })
	t.Run("stops", func(t P) { test.stops(t) })
	if test.Acknowledges {
		t.Run("full", func(t P) { test.full(t) })
		t.Run("broken", func(t P) { test.broken(t) })
	}
}

// run starts the input and returns a function that stops it and checks that it ends well and soon.
func (test InputTest[P]) run(t P, sink *Sink) (feed func(context.Context, [][]byte) error, stop func()) {
	t.Helper()
	in, feed := test.Build(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx, sink) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("Run does not end with its context")
		}
		if c, ok := in.(agent.Closer); ok {
			c.Close(context.Background())
		}
	}
	t.Cleanup(stop)
	return feed, stop
}

// generated are n lines without their newline.
func generated(seed uint64, n int) [][]byte {
	g := NewGenerator(seed)
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = bytes.TrimSuffix(g.Append(nil), []byte("\n"))
	}
	return lines
}

func (test InputTest[P]) delivers(t P) {
	sink := NewSink()
	feed, stop := test.run(t, sink)
	lines := generated(1, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := feed(ctx, lines); err != nil {
		t.Fatalf("feed: %v", err)
	}
	if err := same(ctx, sink, lines, test.Acknowledges); err != nil {
		t.Errorf("%v", err)
	}
	stop()
}

// same waits until the log holds the lines, in order, and nothing else.
func same(ctx context.Context, sink *Sink, lines [][]byte, now bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !now && len(sink.Lines()) < len(lines) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d lines arrived", len(sink.Lines()), len(lines))
		case <-tick.C:
		}
	}
	got := sink.Lines()
	if len(got) != len(lines) {
		return fmt.Errorf("%d lines arrived, want %d", len(got), len(lines))
	}
	for i := range got {
		if !bytes.Equal(got[i], lines[i]) {
			return fmt.Errorf("line %d arrived as %s, want %s", i, got[i], lines[i])
		}
	}
	return nil
}

func (test InputTest[P]) stops(t P) {
	_, stop := test.run(t, NewSink())
	stop()
}

// full: while the log is full nothing is acknowledged, and afterwards all goes on.
func (test InputTest[P]) full(t P) {
	sink := NewSink()
	feed, stop := test.run(t, sink)
	sink.Fill(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	short, cancelShort := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancelShort()
	if feed(short, generated(2, 5)) == nil {
		t.Errorf("lines were acknowledged while the log was full")
	}
	sink.Fill(false)
	if err := feed(ctx, generated(3, 5)); err != nil {
		t.Errorf("there is room again, but: %v", err)
	}
	stop()
}

func (test InputTest[P]) broken(t P) {
	sink := NewSink()
	feed, stop := test.run(t, sink)
	sink.Break(errors.New("disk on fire"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if feed(ctx, generated(4, 5)) == nil {
		t.Errorf("lines were acknowledged although the log failed")
	}
	if n := len(sink.Lines()); n != 0 {
		t.Errorf("%d lines in a broken log", n)
	}
	sink.Break(nil)
	if err := feed(ctx, generated(5, 5)); err != nil {
		t.Errorf("the log works again, but: %v", err)
	}
	stop()
}
