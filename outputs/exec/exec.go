// Package exec delivers events through a program of one's own, a connector in
// any language. It runs for as long as the output does and speaks NDJSON:
//
// siemd writes one request for each event of a batch to its standard input:
//
//	{"seq":17,"event":{"event_id":"A-1",...}}
//
// and the connector answers each with one line on its standard output, in any
// order and at any time, so that it can work in batches of its own:
//
//	{"seq":17,"ok":true}
//	{"seq":18,"error":"mailbox is full"}                     the same event comes again later
//	{"seq":19,"error":"no such severity","permanent":true}   it never can be taken: to the failed store
//	{"seq":20,"error":"token expired","blocked":true}        nothing can be taken until a person acts
//	{"seq":21,"error":"slow down","retry_after":30}          not before so many seconds
//
// One batch is under way at a time: the next begins when every event has its
// answer. After an event without a good answer the same seq comes again, also
// after a restart, so a connector can tell repeats by it or by event_id.
// Empty lines are ignored.
// A connector that misses the output's timeout, ends, or writes anything else to its
// standard output is ended with its children and started anew, after 1 s at
// first and 60 s at most. An exit code of 77 or 78 says that a person must act
// (blocked). Standard error goes to siemd's log. End of input means: finish and exit.
package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	osexec "os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

func init() {
	agent.RegisterOutput("exec", Config{}, func(c Config, env agent.Env) (agent.Output, error) {
		return newOutput(c, env), nil
	})
}

// An output is agent.Output, Encoder, Serial, Prober and Closer.
type output struct {
	config Config
	env    agent.Env
	mask   *strings.Replacer
	now    func() time.Time
	turn   chan struct{} // holds one token: whoever has it may use what follows

	process *process // nil: to be started
	buf     []byte
	pause   time.Duration // before the next start
	notYet  time.Time     // until when no start is tried
	last    error         // why the last process is gone
}

func newOutput(c Config, env agent.Env) *output {
	var pairs []string
	for _, v := range c.Env {
		if len(v.Reveal()) >= 4 { // shorter ones occur by chance
			pairs = append(pairs, v.Reveal(), "***")
		}
	}
	o := &output{config: c, env: env, mask: strings.NewReplacer(pairs...), now: time.Now, turn: make(chan struct{}, 1)}
	o.turn <- struct{}{}
	return o
}

// Encode appends the request for e. It never fails.
func (o *output) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"event":`...)
	dst = append(dst, e.Body...)
	return append(dst, "}\n"...), nil
}

// OneAtATime: a batch has the connector, and its whole timeout, for itself.
func (o *output) OneAtATime() bool { return true }

// Write hands the events to the connector and returns its verdicts.
func (o *output) Write(ctx context.Context, events []agent.Event) error {
	if len(events) == 0 {
		return nil
	}
	select {
	case <-o.turn:
		defer func() { o.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("another batch is under way: %w", ctx.Err())
	}
	if err := o.start(); err != nil {
		return err
	}
	verdicts := newVerdicts(events)
	err := o.exchange(ctx, events, verdicts)
	if err != nil {
		o.discard(err)
		err = o.last
	} else {
		o.pause = 0
	}
	return verdicts.result(err)
}

// exchange writes the requests and reads an answer to each.
func (o *output) exchange(ctx context.Context, events []agent.Event, v *verdicts) error {
	o.buf = o.buf[:0]
	for i := range events {
		if events[i].Wire != nil {
			o.buf = append(o.buf, events[i].Wire...)
		} else {
			o.buf, _ = o.Encode(o.buf, &events[i])
		}
	}
	p := o.process
	defer p.within(ctx)()

	// The connector may answer before it has read everything: both ends move at once.
	var writing sync.WaitGroup
	var wrote error
	writing.Go(func() { _, wrote = p.in.Write(o.buf) })
	read := o.answers(p, v)
	if read != nil {
		p.interrupt() // the rest of the requests has no reader
	}
	writing.Wait()
	switch {
	case ctx.Err() != nil && read != nil:
		return fmt.Errorf("no answer to %d of %d events in time: %w", len(v.pending), len(events), ctx.Err())
	case read != nil:
		return read
	case wrote != nil:
		return fmt.Errorf("write to the connector: %w", wrote)
	}
	return nil
}

// answers reads until every event has its verdict.
func (o *output) answers(p *process, v *verdicts) error {
	for len(v.pending) > 0 {
		line, err := p.readLine()
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		a, err := parseAnswer(line)
		if err != nil {
			return fmt.Errorf("the connector wrote %s: %w", o.clean(line, 200), err)
		}
		a.Error = o.clean([]byte(a.Error), 2048)
		if !v.take(a) {
			return fmt.Errorf("the connector answered seq %d, which is not waiting for an answer", *a.Seq)
		}
	}
	return nil
}

// start makes sure that a process runs.
func (o *output) start() error {
	if p := o.process; p != nil {
		if !p.ended() {
			return nil
		}
		o.discard(errors.New("the connector ended between two batches"))
	}
	if wait := o.notYet.Sub(o.now()); wait > 0 {
		if agent.IsBlocked(o.last) {
			return o.last
		}
		return agent.After(wait, o.last)
	}
	p, err := startProcess(o.config, o.env, o.clean)
	if err != nil {
		o.delay(agent.Blocked(err))
		return o.last
	}
	o.env.Log.Info("connector started", "command", o.config.Command[0], "pid", p.cmd.Process.Pid)
	o.process = p
	return nil
}

// discard ends the process because of err and keeps the reason.
func (o *output) discard(err error) {
	code, state := o.process.kill()
	o.process = nil
	if state != "" {
		err = fmt.Errorf("%w (%s)", err, state)
	}
	if code == 77 || code == 78 {
		err = agent.Blocked(err)
	}
	o.delay(err)
}

func (o *output) delay(err error) {
	o.last = err
	o.pause = min(max(2*o.pause, time.Second), time.Minute)
	o.notYet = o.now().Add(o.pause)
}

// Probe checks that the program is there and may be run. It does not run it.
func (o *output) Probe(_ context.Context, report func(agent.Step)) error {
	path, err := osexec.LookPath(o.config.Command[0])
	s := agent.Step{Name: "permission", Detail: path + " can be run", Err: err}
	if err != nil {
		s.Detail = o.config.Command[0]
		s.Fix = "give the program's full path, and make it executable for the user that siemd runs as"
	}
	report(s)
	return err
}

// Close lets the connector finish: it sees the end of its input. If it does
// not exit within ctx, at most 5 s, it is ended.
func (o *output) Close(ctx context.Context) error {
	<-o.turn
	defer func() { o.turn <- struct{}{} }()
	if o.process == nil {
		return nil
	}
	o.process.finish(ctx)
	o.process = nil
	return nil
}
