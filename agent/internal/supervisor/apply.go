package supervisor

import (
	"errors"
	"fmt"

	"github.com/adrian207/siemd/agent/internal/config"
)

// Apply replaces the running config by cfg: everything new is built before
// anything old is touched. After an error everything is as it was. Settings that
// only a new process can take are in the plan's Restart and stay as they were.
func (a *Agent) Apply(cfg *config.Config) (Plan, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	plan := Diff(a.cfg, cfg)
	if a.cfg != nil && a.cfg.DataDir != cfg.DataDir {
		return plan, fmt.Errorf("data_dir cannot change while the agent runs: it is %s", a.cfg.DataDir)
	}
	newInputs, newOutputs := map[string]*input{}, map[string]*output{}
	var errs []error
	for _, s := range plan.Outputs {
		if s.Action == Start || s.Action == Restart {
			out, err := a.buildOutput(cfg, cfg.Outputs[s.Name])
			if err == nil && s.Action == Start {
				err = a.openOutput(cfg, out)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			newOutputs[s.Name] = out
		}
	}
	for _, s := range plan.Inputs {
		if s.Action == Start || s.Action == Restart {
			in, err := a.buildInput(cfg, cfg.Inputs[s.Name])
			if err != nil {
				errs = append(errs, err)
				continue
			}
			newInputs[s.Name] = in
		}
	}
	if len(errs) > 0 {
		for _, in := range newInputs {
			in.discard()
		}
		for _, out := range newOutputs {
			out.discard()
		}
		return plan, errors.Join(errs...)
	}

	// Nothing below this line can fail.

	a.swapInputsOut(plan)
	a.swapOutputs(plan, newOutputs)
	for name, in := range newInputs {
		a.inputs[name] = in
		a.startInput(in)
	}
	a.cfg = cfg
	a.generation++
	return plan, nil
}

// swapInputsOut ends the inputs that the plan stops or restarts; their
// successors begin at their marks.
func (a *Agent) swapInputsOut(plan Plan) {
	var ending []*input
	for _, s := range plan.Inputs {
		if in := a.inputs[s.Name]; in != nil && s.Action != Keep {
			in.stop()
			ending = append(ending, in)
			delete(a.inputs, s.Name)
		}
	}
	for _, in := range ending {
		in.wait()
	}
}

// swapOutputs ends the outputs that the plan stops or restarts and starts the
// new ones at the same cursors. It runs before new inputs start: an output
// that begins at the latest event gets what they bring.
func (a *Agent) swapOutputs(plan Plan, built map[string]*output) {
	for _, s := range plan.Outputs {
		old := a.outputs[s.Name]
		if old == nil || s.Action == Keep {
			continue
		}
		old.halt()
		delete(a.outputs, s.Name)
		if next := built[s.Name]; next != nil {
			next.inherit(old, a)
		} else if err := old.close(); err != nil {
			a.log.Warn("store of failed events closed badly", "output", s.Name, "err", err)
		}
	}
	for name, out := range built {
		a.outputs[name] = out
		a.startOutput(out)
	}
}
