package supervisor

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/adrian207/siemd/agent/internal/config"
)

// A Plan says what changes when one config replaces another. It is a pure
// value: the first start is a plan from nothing.
type Plan struct {
	Inputs   []Step   `json:"inputs"`
	Outputs  []Step   `json:"outputs"`
	Restart  []string `json:"restart_needed,omitempty"` // settings that only a new process can take
	Settings []string `json:"settings,omitempty"`       // settings that change in place
}

// A Step is what happens to one component.
type Step struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
}

// Action is what a plan does with a component.
type Action string

// The actions, as a reload prints them.
const (
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
	Keep    Action = "keep"
)

// Diff is the plan from old, which may be nil, to new.
func Diff(old, new *config.Config) Plan {
	var p Plan
	oldIn, oldOut := map[string]string{}, map[string]string{}
	if old != nil {
		for name, in := range old.Inputs {
			oldIn[name] = inputHash(in)
		}
		for name, out := range old.Outputs {
			if out.Common.Enabled {
				oldOut[name] = outputHash(old, out)
			}
		}
		p.Restart, p.Settings = diffSettings(old, new)
	}
	newIn, newOut := map[string]string{}, map[string]string{}
	for name, in := range new.Inputs {
		newIn[name] = inputHash(in)
	}
	for name, out := range new.Outputs {
		if out.Common.Enabled {
			newOut[name] = outputHash(new, out)
		}
	}
	p.Inputs = steps(oldIn, newIn)
	p.Outputs = steps(oldOut, newOut)
	return p
}

func inputHash(in *config.Input) string { return in.Kind + " " + in.Hash }

// outputHash covers what an output is built from beside its own keys.
func outputHash(cfg *config.Config, out *config.Output) string {
	return fmt.Sprintf("%s %s %v %v", out.Kind, out.Hash, cfg.Identity, cfg.Failed)
}

func steps(old, new map[string]string) []Step {
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range new {
		names[name] = true
	}
	list := []Step{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := old[name]
		is, has := new[name]
		action := Keep
		switch {
		case !had:
			action = Start
		case !has:
			action = Stop
		case was != is:
			action = Restart
		}
		list = append(list, Step{Name: name, Action: action})
	}
	return list
}

// diffSettings tells settings that need a new process from those that do not.
func diffSettings(old, new *config.Config) (restart, inPlace []string) {
	if old.DataDir != new.DataDir {
		restart = append(restart, "data_dir")
	}
	if old.WAL != new.WAL {
		restart = append(restart, "wal")
	}
	if old.Refused != new.Refused {
		restart = append(restart, "refused")
	}
	if fmt.Sprintf("%v", old.API.Listen) != fmt.Sprintf("%v", new.API.Listen) || (old.API.TLS.CertFile == "") != (new.API.TLS.CertFile == "") || old.API.SocketGroup != new.API.SocketGroup {
		restart = append(restart, "api.listen")
	}
	if fmt.Sprintf("%v", old.Log) != fmt.Sprintf("%v", new.Log) {
		inPlace = append(inPlace, "log")
	}
	if old.API.TLS != new.API.TLS {
		inPlace = append(inPlace, "api.tls")
	}
	if !slices.Equal(old.API.Clients, new.API.Clients) {
		inPlace = append(inPlace, "api.clients")
	}
	if !reflect.DeepEqual(old.API.Tokens, new.API.Tokens) {
		inPlace = append(inPlace, "api.tokens")
	}
	if !slices.Equal(old.API.AllowedDestinations, new.API.AllowedDestinations) {
		inPlace = append(inPlace, "api.allowed_destinations")
	}
	if old.ShutdownTimeout != new.ShutdownTimeout {
		inPlace = append(inPlace, "shutdown_timeout")
	}
	return restart, inPlace
}

// Empty reports whether nothing changes.
func (p Plan) Empty() bool {
	changes := func(s Step) bool { return s.Action != Keep }
	return !slices.ContainsFunc(p.Inputs, changes) && !slices.ContainsFunc(p.Outputs, changes) &&
		len(p.Restart) == 0 && len(p.Settings) == 0
}

// changes are the steps that do something, for the audit log.
func (p Plan) changes() any {
	c := struct {
		Inputs   []Step   `json:"inputs,omitempty"`
		Outputs  []Step   `json:"outputs,omitempty"`
		Settings []string `json:"settings,omitempty"`
		Restart  []string `json:"restart_needed,omitempty"`
	}{Settings: p.Settings, Restart: p.Restart}
	for _, s := range p.Inputs {
		if s.Action != Keep {
			c.Inputs = append(c.Inputs, s)
		}
	}
	for _, s := range p.Outputs {
		if s.Action != Keep {
			c.Outputs = append(c.Outputs, s)
		}
	}
	return c
}

// Print writes the plan for people, one component a line.
func (p Plan) Print(w io.Writer) {
	sign := map[Action]string{Start: "+", Stop: "-", Restart: "~", Keep: "="}
	for _, s := range p.Inputs {
		fmt.Fprintf(w, "%s input  %-24s %s\n", sign[s.Action], s.Name, s.Action)
	}
	for _, s := range p.Outputs {
		fmt.Fprintf(w, "%s output %-24s %s\n", sign[s.Action], s.Name, s.Action)
	}
	for _, s := range p.Settings {
		fmt.Fprintf(w, "~ %s changes in place\n", s)
	}
	for _, s := range p.Restart {
		fmt.Fprintf(w, "! %s takes effect after a restart of the agent\n", s)
	}
}
