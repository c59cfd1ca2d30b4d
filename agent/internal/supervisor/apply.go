package supervisor

import (
	"errors"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// Apply replaces the running config by cfg: everything new is built before
// anything old is touched. After an error everything is as it was. Settings that
// only a new process can take are in the plan's Restart and stay as they were.
func (a *Agent) Apply(cfg *config.Config) (Plan, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	return a.apply(cfg, nil)
}

// apply is Apply by whoever holds a.changing. When all is built, and before
// anything old is touched, commit is called, which may be nil: it makes the
// change last, and its error stops everything.
func (a *Agent) apply(cfg *config.Config, commit func(Plan) error) (Plan, error) {
	a.mu.Lock()
	old := a.cfg
	a.mu.Unlock()
	plan := Diff(old, cfg)
	if old != nil && old.DataDir != cfg.DataDir {
		return plan, &ConfigError{[]agent.Problem{cfg.Problem("data_dir",
			"restart siemd for another data_dir: what waits in the old one stays there", "data_dir cannot change while the agent runs: it is %s", old.DataDir)}}
	}
	if a.stopping() {
		return plan, ErrStopping
	}
	ins, outs, err := a.build(cfg, plan)
	if err != nil {
		err = &BuildError{err}
	}
	if err == nil && commit != nil {
		err = commit(plan)
	}
	if err != nil {
		for _, in := range ins {
			in.discard()
		}
		for _, out := range outs {
			out.discard(a)
		}
		return plan, err
	}

	// Nothing below this line can fail.

	a.swapInputsOut(plan, ins)
	a.swapOutputs(plan, outs)
	a.mu.Lock()
	for name, in := range ins {
		a.inputs[name] = in
		a.startInput(in)
	}
	a.cfg = cfg
	a.generation++
	a.mu.Unlock()
	if a.applied != nil {
		a.applied(cfg)
	}
	return plan, nil
}

// build makes what the plan starts or restarts. After an error it returns what
// was made so far, to be discarded.
func (a *Agent) build(cfg *config.Config, plan Plan) (map[string]*input, map[string]*output, error) {
	ins, outs := map[string]*input{}, map[string]*output{}
	var errs []error
	for _, s := range plan.Outputs {
		if s.Action != Start && s.Action != Restart {
			continue
		}
		out, err := a.buildOutput(cfg, cfg.Outputs[s.Name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		outs[s.Name] = out
	}
	for _, s := range plan.Inputs {
		if s.Action != Start && s.Action != Restart {
			continue
		}
		in, err := a.buildInput(cfg, cfg.Inputs[s.Name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ins[s.Name] = in
	}
	// Cursors and stores come last: they are the only things that a failure has to take back from the disk.
	for _, s := range plan.Outputs {
		if s.Action == Start && len(errs) == 0 {
			if err := a.openOutput(cfg, outs[s.Name]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return ins, outs, errors.Join(errs...)
}

// swapInputsOut ends the inputs that the plan stops or restarts; their
// successors among built begin at their marks.
func (a *Agent) swapInputsOut(plan Plan, built map[string]*input) {
	ending := map[string]*input{}
	a.mu.Lock()
	for _, s := range plan.Inputs {
		if in := a.inputs[s.Name]; in != nil && s.Action != Keep {
			if built[s.Name].succeeds(in) {
				in.stop(agent.ErrExchanged)
			} else {
				in.stop(nil)
			}
			ending[s.Name] = in
			delete(a.inputs, s.Name)
		}
	}
	a.mu.Unlock()
	for name, in := range ending {
		in.wait()
		if next := built[name]; next.succeeds(in) {
			next.inherit(in)
		}
	}
}

// swapOutputs ends the outputs that the plan stops or restarts and starts the
// new ones at the same cursors. It runs before new inputs start: an output
// that begins at the latest event gets what they bring. Whoever looks up a
// connection finds the old one until the new one is there.
func (a *Agent) swapOutputs(plan Plan, built map[string]*output) {
	for _, s := range plan.Outputs {
		if s.Action == Keep {
			continue
		}
		old, next := a.output(s.Name), built[s.Name]
		if old != nil {
			old.halt()
			if next != nil {
				next.inherit(old, a)
			}
		}
		a.mu.Lock()
		if next != nil {
			a.outputs[s.Name] = next
			a.startOutput(next)
		} else {
			delete(a.outputs, s.Name)
		}
		a.mu.Unlock()
		if old != nil && next == nil {
			if err := old.close(); err != nil {
				a.log.Warn("store of failed events closed badly", "output", s.Name, "err", err)
			}
		}
	}
}
