package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A scenario is what a trial does.
type scenario struct {
	run       func(t *trial) error
	count     func(s *settings) int // of events
	paced     bool                  // fed at a rate, latency counts
	receivers int                   // default 1
}

var scenarios map[string]*scenario

func init() {
	whole := func(s *settings) int { return s.events }
	paced := func(s *settings) int { return int(float64(s.rate) * s.length.Seconds()) }
	scenarios = map[string]*scenario{
		"bulk":   {run: (*trial).bulk, count: whole},
		"kill":   {run: (*trial).kill, count: whole},
		"fanout": {run: (*trial).bulk, count: whole, receivers: 4},
		"files":  {run: (*trial).files, count: whole},
		"steady": {run: (*trial).steady, count: paced, paced: true},
		"outage": {run: (*trial).outage, count: paced, paced: true},
		"idle":   {run: (*trial).watch, count: func(*settings) int { return 0 }},
	}
}

func scenarioNames() []string {
	names := make([]string, 0, len(scenarios))
	for n := range scenarios {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// bulk drains a file that was there before the agent started.
func (t *trial) bulk() error { return t.drain(nil) }

// kill is bulk with kill -9 at two fifths of the way.
func (t *trial) kill() error {
	killed := false
	return t.drain(func(got int) error {
		if killed || got < t.events*2/5 {
			return nil
		}
		killed = true
		return t.killAndStart()
	})
}

func (t *trial) drain(each func(int) error) error {
	path, err := bulkFile(t.work, t.events)
	if err != nil {
		return err
	}
	if err := os.Link(path, t.input); err != nil {
		return err
	}
	t.begin()
	if err := t.launch(); err != nil {
		return err
	}
	if err := t.await(t.events, each); err != nil {
		return err
	}
	t.finish(0)
	return nil
}

// files is bulk with many files beside the busy one, each with one line that
// no receiver counts.
func (t *trial) files() error {
	for i := range t.idle {
		line := fmt.Sprintf(`{"event_type":"telemetry","title":"idle file %d"}`+"\n", i)
		if err := os.WriteFile(fmt.Sprintf("%s.idle-%d.jsonl", t.input, i), []byte(line), 0o600); err != nil {
			return err
		}
	}
	if err := t.launch(); err != nil {
		return err
	}
	if err := t.settled(); err != nil {
		return err
	}
	path, err := bulkFile(t.work, t.events)
	if err != nil {
		return err
	}
	cpu0 := t.p.sample().cpu
	t.begin()
	if err := os.Link(path, t.input); err != nil {
		return err
	}
	if err := t.await(t.events, nil); err != nil {
		return err
	}
	t.finish(cpu0)
	return nil
}

// settled waits until the agent has used next to nothing for a second.
func (t *trial) settled() error {
	for range 60 {
		before := t.p.sample().cpu
		time.Sleep(time.Second)
		if t.p.ended() {
			return errors.New("it ended")
		}
		if t.p.sample().cpu-before < 0.05 {
			return nil
		}
	}
	return errors.New("it did not come to rest within a minute")
}

// steady feeds at a fixed rate and measures the way from the file to the receiver.
func (t *trial) steady() error { return t.paced(nil) }

// outage is steady with the receiver gone from a quarter of the time to a half.
func (t *trial) outage() error {
	r, state := t.receivers[0], 0
	return t.paced(func(got int) error {
		since := time.Since(t.began)
		switch {
		case state == 0 && since > t.length/4:
			r.down()
			state = 1
		case state == 1 && since > t.length/2:
			state = 2
			return r.up()
		case state == 2 && float64(got) >= min(float64(r.ledger.want), (since.Seconds()-1)*float64(t.rate)):
			t.result.CatchUp = (since - t.length/2).Seconds()
			state = 3
		}
		return nil
	})
}

func (t *trial) paced(each func(int) error) error {
	if err := os.WriteFile(t.input, nil, 0o600); err != nil {
		return err
	}
	if err := t.launch(); err != nil {
		return err
	}
	if err := t.settled(); err != nil {
		return err
	}
	l := t.receivers[0].ledger
	cpu0 := t.p.sample().cpu
	t.begin()
	fed := make(chan error, 1)
	go func() { fed <- steady(t.input, l.want, t.rate, l.sent) }()
	if err := t.await(l.want, each); err != nil {
		return err
	}
	t.finish(cpu0)
	return <-fed
}

// watch looks at an agent that has one empty file to read.
func (t *trial) watch() error {
	if err := os.WriteFile(t.input, nil, 0o600); err != nil {
		return err
	}
	if err := t.launch(); err != nil {
		return err
	}
	if err := t.settled(); err != nil {
		return err
	}
	cpu0 := t.p.sample().cpu
	t.begin()
	time.Sleep(t.length)
	if t.p.ended() {
		return errors.New("it ended")
	}
	t.finish(cpu0)
	return nil
}
