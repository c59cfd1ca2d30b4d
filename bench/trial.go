package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// trial is one run of one agent.
type trial struct {
	*settings
	agent     agent
	dir       string
	input     string
	argv      []string
	receivers []*receiver
	p         *process
	spent     usage // by processes that were killed

	began          time.Time
	machine0, own0 float64
	result         result
}

// trial makes everything new for one run: directory, receivers, config.
func (s *settings) trial(a agent, target, scenario string) (result, error) {
	sc := scenarios[scenario]
	t := &trial{settings: s, agent: a, result: result{
		At: time.Now().UTC().Format(time.RFC3339), Agent: a.name, Version: a.versionText(), Mode: a.mode, Target: target, Scenario: scenario,
	}}
	var err error
	if t.dir, err = os.MkdirTemp(s.work, a.name+"-"); err != nil {
		return t.result, err
	}
	if !s.keep {
		defer os.RemoveAll(t.dir)
	}
	state := filepath.Join(t.dir, "state")
	t.input = filepath.Join(t.dir, "in", "events.jsonl")
	for _, d := range []string{state, filepath.Dir(t.input)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return t.result, err
		}
	}
	at := site{Dir: t.dir, State: state, Input: t.input, Target: target, Steady: sc.paced}
	for range max(1, sc.receivers) {
		r := newReceiver(target, newLedger(sc.count(s), sc.paced))
		if err := r.up(); err != nil {
			return t.result, err
		}
		defer r.down()
		t.receivers = append(t.receivers, r)
		at.Addrs = append(at.Addrs, r.addr)
	}
	if t.argv, err = a.command(at); err != nil {
		return t.result, err
	}
	if a.name == "siemd" && s.profile != "" {
		t.argv = append(t.argv, "--cpuprofile", s.profile)
	}
	awaitQuiet(s.quiet)
	defer func() {
		if t.p != nil && !t.p.ended() {
			t.p.stop()
		}
	}()
	if err := sc.run(t); err != nil {
		if t.p != nil {
			err = fmt.Errorf("%w; its log ends with:\n%s", err, t.p.lines())
		}
		return t.result, err
	}
	return t.result, nil
}

func (t *trial) launch() (err error) {
	t.p, err = start(t.argv, t.dir)
	return err
}

// begin starts the clocks.
func (t *trial) begin() { t.began, t.machine0, t.own0 = time.Now(), machineCPU(), ownCPU() }

// await returns when every receiver has want events. It calls each at every
// look, if that is not nil, with how many the slowest has.
func (t *trial) await(want int, each func(got int) error) error {
	moved, before := time.Now(), int64(-1)
	for look := 0; ; look++ {
		got, all := want, int64(0)
		for _, r := range t.receivers {
			got = min(got, int(r.ledger.distinct.Load()))
			all += r.ledger.arrivals.Load()
		}
		if each != nil {
			if err := each(got); err != nil {
				return err
			}
		}
		if look%10 == 0 {
			t.p.sample()
		}
		if got >= want {
			return nil
		}
		if all != before {
			moved, before = time.Now(), all
		}
		if t.p.ended() {
			return fmt.Errorf("it ended with %d of %d events delivered", got, want)
		}
		if time.Since(moved) > t.patience {
			return fmt.Errorf("nothing arrived for %s, %d of %d events delivered", t.patience, got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// killAndStart is kill -9 and a new start on the same state.
func (t *trial) killAndStart() error {
	u := t.p.sample()
	t.spent.cpu += u.cpu
	t.spent.written += u.written
	t.spent.peak = max(t.spent.peak, u.peak)
	t.p.kill()
	return t.launch()
}

// finish stops the clocks and fills the result in. cpu0 is what the agent had
// used before begin.
func (t *trial) finish(cpu0 float64) {
	u := t.p.sample()
	wall := time.Since(t.began).Seconds()
	cpu := u.cpu + t.spent.cpu - cpu0
	own := ownCPU() - t.own0
	r := &t.result
	r.Others = max(0, machineCPU()-t.machine0-own-cpu) / wall * 100
	r.Harness = own / wall * 100
	r.CPU = cpu / wall * 100
	r.PeakRSS, r.RSS = float64(max(u.peak, t.spent.peak))/1e6, float64(u.rss)/1e6
	r.Written = float64(u.written+t.spent.written) / 1e6
	time.Sleep(300 * time.Millisecond) // a repeat may still be on its way
	for _, rec := range t.receivers {
		l := rec.ledger
		distinct := int(l.distinct.Load())
		r.Delivered += distinct
		r.Lost += l.want - distinct
		r.Repeated += int(l.arrivals.Load()) - distinct
		r.Requests += int(l.requests.Load())
		r.Wire += float64(l.wire.Load()) / 1e6
		if end := l.last.Load(); end > 0 {
			r.Seconds = max(r.Seconds, float64(end-t.began.UnixNano())/1e9)
		}
		r.P50, r.P99 = l.latency()
	}
	if n := float64(t.receivers[0].ledger.want); n > 0 && r.Seconds > 0 {
		r.Rate = n / r.Seconds
		r.CPUPerMillion = cpu / n * 1e6
	}
}
