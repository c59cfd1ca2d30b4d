// Package stdin is the input that reads its lines from standard input, or
// from any file that it is given. The end of the input ends it, when every
// line is on disk. Only so many batches are on their way at a time, so a slow
// disk holds the writer back and memory stays bounded.
package stdin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
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

// left is what a run that was exchanged leaves to the next: what was read
// cannot be read again.
type left struct {
	name    string // of the run
	number  int    // of its last batch
	cutter  cutter
	batches []*batch // that are not on disk
}

// Inherit takes over what predecessor could not store.
func (s *Stdin) Inherit(predecessor agent.Input) {
	if p, ok := predecessor.(*Stdin); ok {
		s.left, p.left = p.left, nil
	}
}

// markKey is the mark that tells which batches of this run are on disk, so
// that after a failure only the others are handed over again.
const markKey = "stdin"

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

// begin makes a run, which goes on with what the one before has left.
func (s *Stdin) begin(sink agent.Sink) *run {
	r := &run{s: s, sink: sink, full: make(chan *batch), free: make(chan *batch, inFlight), wait: s.pause}
	if l := s.left; l != nil {
		// As if the log had not taken them: those that are on disk after all are told by the mark.
		r.name, r.number, r.cutter, r.flying, r.failing = l.name, l.number, l.cutter, l.batches, len(l.batches) > 0
		s.left = nil
	} else {
		var id [8]byte
		rand.Read(id[:])
		r.name = hex.EncodeToString(id[:])
	}
	for range inFlight - len(r.flying) {
		r.free <- &batch{}
	}
	return r
}

// leave is what the next run goes on with. What becomes of batches in line is
// known soon: the context that they were submitted with has ended.
func (r *run) leave() *left {
	l := &left{name: r.name, number: r.number, cutter: r.cutter}
	for _, b := range r.flying {
		if b.err == nil && b.ticket != nil {
			_, b.err = b.ticket.Wait(context.Background())
		}
		if b.err != nil || b.ticket == nil {
			b.err = errBefore
			l.batches = append(l.batches, b)
		}
	}
	return l
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

// handOver submits batches in order. What was read goes first; only when there
// is nothing is the oldest batch waited for.
func (r *run) handOver(ctx context.Context) error {
	for {
		var b *batch
		open := true
		if len(r.flying) == 0 {
			b, open = <-r.full
		} else {
			select {
			case b, open = <-r.full:
			default:
			}
		}
		switch {
		case !open:
			return r.drain(ctx)
		case b != nil:
			r.submit(ctx, b)
		default:
			if err := r.land(ctx); err != nil {
				return err
			}
		}
	}
}

func (r *run) drain(ctx context.Context) error {
	for len(r.flying) > 0 {
		if err := r.land(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) submit(ctx context.Context, b *batch) {
	r.flying = append(r.flying, b)
	if r.failing {
		b.err = errBefore // it must not overtake the one that failed
		return
	}
	r.resubmit(ctx, b)
}

var errBefore = errors.New("a batch before it was not stored")

func (r *run) resubmit(ctx context.Context, b *batch) {
	b.ticket, b.err = r.sink.Submit(ctx, agent.Batch{
		Lines: b.lines, Offsets: b.offsets, Refused: b.refused, File: "-",
		Mark: &agent.Mark{Key: markKey, Pos: fmt.Appendf(nil, "%s %d", r.name, b.number)},
	})
	r.failing = r.failing || b.err != nil
}

// land waits for the oldest batch. If it failed, all are handed over again,
// but for those that are on disk after all: the log stores nothing behind a
// batch that failed, so the mark divides them.
func (r *run) land(ctx context.Context) error {
	b := r.flying[0]
	err := b.err
	if err == nil {
		// Its outcome is to be known, whoever stops meanwhile. Where the log is full ctx ends it, being Submit's.
		_, err = b.ticket.Wait(context.WithoutCancel(ctx))
		b.err = err
	}
	if err == nil {
		if r.wait != r.s.pause {
			r.s.env.Log.Info("the log takes lines again")
			r.wait = r.s.pause
		}
		r.flying = r.flying[1:]
		r.free <- b
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, agent.ErrClosed) {
		return fmt.Errorf("hand over lines: %w", err)
	}
	if r.wait == r.s.pause {
		r.s.env.Log.Warn("the log did not take lines, trying again", "err", err)
	}
	for _, behind := range r.flying[1:] {
		if behind.err == nil {
			behind.ticket.Wait(context.WithoutCancel(ctx)) // its fate is in the mark
			behind.err = errBefore
		}
	}
	timer := time.NewTimer(r.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.wait = min(2*r.wait, 30*r.s.pause)
	stored := r.stored()
	for len(r.flying) > 0 && r.flying[0].number <= stored {
		r.free <- r.flying[0]
		r.flying = r.flying[1:]
	}
	r.failing = false
	for _, b := range r.flying {
		if r.failing {
			b.err = errBefore
		} else {
			r.resubmit(ctx, b)
		}
	}
	return nil
}

// stored is the number of the last batch of this run that is on disk.
func (r *run) stored() int {
	pos, _ := r.sink.Resume(markKey)
	name, number, _ := strings.Cut(string(pos), " ")
	if name != r.name {
		return 0
	}
	n, _ := strconv.Atoi(number)
	return n
}
