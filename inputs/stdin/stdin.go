// Package stdin is the input that reads its lines from standard input, or
// from any file that it is given. The end of the input ends it, when every
// line is on disk. Only so many batches are on their way at a time, so a slow
// disk holds the writer back and memory stays bounded.
package stdin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Config holds the keys of a stdin input.
type Config struct {
	MaxLine agent.Bytes `yaml:"max_line" doc:"longest line in bytes; of a longer one this much is kept with the refused lines" example:"1MiB"`
}

var defaults = Config{MaxLine: 1 << 20}

func init() {
	agent.RegisterInput("stdin", defaults, func(c Config, env agent.Env) (agent.Input, error) {
		return &Stdin{config: c, env: env, file: os.Stdin, pause: time.Second}, nil
	})
}

// Validate checks what types and tags cannot.
func (c Config) Validate() error {
	if c.MaxLine < 1<<10 || c.MaxLine > 64<<20 {
		return &agent.KeyError{Key: "max_line", Message: fmt.Sprintf("%s is out of range", c.MaxLine), Hint: "from 1KiB to 64MiB"}
	}
	return nil
}

const (
	blockSize = 256 << 10
	inFlight  = 8 // batches that are not on disk yet; each keeps its block
)

// Stdin is the input.
type Stdin struct {
	config Config
	env    agent.Env
	file   *os.File
	pause  time.Duration // first pause after the log did not take a batch; doubles to 30 times that
	left   *left         // what the run of this one's predecessor, or its own, could not store; nil: nothing
}

// A batch is kept until it is on disk: what was read cannot be read again.
type batch struct {
	number int // from 1
	block
	ticket agent.Ticket
	err    error
}

// A run is one Run. The reader fills batches; the goroutine that called Run hands them over.
type run struct {
	s    *Stdin
	sink agent.Sink
	name string // of this run, random
	full chan *batch
	free chan *batch

	cutter cutter // the reader's, like number
	number int    // of the last batch

	flying  []*batch // handed over, in order
	failing bool
	wait    time.Duration
}

// Run returns nil when the input has ended and every line is on disk, or when
// ctx ends. What was read by then cannot be read again: it is left to a successor,
// or there is a little time for storing it.
func (s *Stdin) Run(ctx context.Context, sink agent.Sink) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	storing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	exchanged := func() bool { return errors.Is(context.Cause(ctx), agent.ErrExchanged) }
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case <-ctx.Done():
		case <-storing.Done():
			return
		}
		if exchanged() {
			cancel()
			return
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-storing.Done():
		}
	})
	r := s.begin(sink)
	var readErr error
	wait.Go(func() {
		defer close(r.full)
		readErr = r.read(reading, storing, exchanged)
	})
	err := r.handOver(storing)
	stop()
	cancel()
	for b := range r.full {
		r.flying = append(r.flying, b)
	}
	wait.Wait()
	if exchanged() {
		s.left = r.leave()
		return nil
	}
	if ctx.Err() != nil && len(r.flying) > 0 {
		lines := 0
		for _, b := range r.flying {
			lines += len(b.lines)
		}
		s.env.Log.Error("lines from standard input could not be stored before the end", "lines", lines, "err", err)
	}
	if err == nil {
		err = readErr
	}
	if err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}

// grace is the time for storing what was read when the run ends.
const grace = 5 * time.Second

// read cuts the input into batches until it ends or reading does. What is left
// of a line then is one, unless another run goes on with it.
func (r *run) read(reading, storing context.Context, goesOn func() bool) error {
	in, err := newReader(reading, r.s.file)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	defer in.close()
	r.cutter.limit = int(r.s.config.MaxLine)
	for {
		var b *batch
		select {
		case b = <-r.free:
		case <-storing.Done():
			return storing.Err()
		}
		err := r.cutter.fill(&b.block, in, goesOn)
		r.number++
		b.number, b.ticket, b.err = r.number, nil, nil
		if len(b.lines)+len(b.refused) > 0 {
			r.full <- b // which is read until it is closed
		} else {
			r.free <- b
		}
		switch {
		case err == io.EOF, err != nil && reading.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}
