package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

var componentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// kindOf takes the type out of a component's node and finds its spec.
func (l *loader) kindOf(ps *agent.Problems, name string, key, n *yaml.Node, kinds []string, find func(string) (*agent.Spec, bool)) *agent.Spec {
	if !componentName.MatchString(name) {
		ps.Add(key, "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit", "%q is no name for a component", name)
		return nil
	}
	if n.Kind != yaml.MappingNode {
		ps.Add(key, "at least type: "+strings.Join(kinds, "|"), "%q has no keys", name)
		return nil
	}
	t := agent.Find(n, "type")
	if t == n {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; agent.Nearest(k.Value, []string{"type"}) != "" {
				ps.Hide(n)
				ps.Add(k, `did you mean "type"?`, "unknown key %q", k.Value)
				return nil
			}
		}
	}
	if t == n || t.Value == "" {
		ps.Add(key, "type: one of "+strings.Join(kinds, ", "), "%q has no type", name)
		return nil
	}
	spec, ok := find(t.Value)
	if !ok {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != "type" {
				ps.Hide(n.Content[i+1]) // what is a secret there, nobody knows
			}
		}
		hint := "one of " + strings.Join(kinds, ", ")
		_, isInput := agent.InputKind(t.Value)
		_, isOutput := agent.OutputKind(t.Value)
		switch {
		case isInput:
			ps.Add(t, "move it below inputs, or use "+hint, "%q is a type of input, and this is an output", t.Value)
			return nil
		case isOutput:
			ps.Add(t, "move it below outputs, or use "+hint, "%q is a type of output, and this is an input", t.Value)
			return nil
		}
		near := agent.Nearest(t.Value, kinds)
		if also := otherNames[strings.ToLower(t.Value)]; slices.Contains(kinds, also) {
			near = also
		}
		if near != "" {
			hint = fmt.Sprintf("did you mean %q? It is %s", near, hint)
		}
		ps.Add(t, hint, "%q is no type of component here", t.Value)
		return nil
	}
	return spec
}

// otherNames are what people call types of components elsewhere.
var otherNames = map[string]string{
	"hec": "splunk", "splunk_hec": "splunk", "elasticsearch": "elastic", "opensearch": "elastic", "es": "elastic", "arcsight": "cef", "sentinel": "cef",
	"qradar": "leef", "rsyslog": "syslog", "syslog-ng": "syslog", "tcp": "syslog", "udp": "syslog", "rfc5424": "syslog", "webhook": "http", "https": "http",
	"stdout": "file", "console": "file", "command": "exec", "files": "tail", "filestream": "tail", "log": "tail", "pipe": "stdin",
}

// kindKey lets the decoder accept the key that kindOf has read.
type kindKey struct {
	Type string `yaml:"type" doc:"which kind of component this is"`
}

type inputKeys struct {
	kindKey       `yaml:",inline"`
	intake.Common `yaml:",inline"`
}

type outputKeys struct {
	kindKey         `yaml:",inline"`
	delivery.Config `yaml:",inline"`
}

// Validate is asked of the common keys too.
func (k *outputKeys) Validate() error { return k.Config.Validate() }

func (l *loader) input(ps *agent.Problems, name string, key, n *yaml.Node) {
	if first := l.cfg.Inputs[name]; first != nil {
		ps.Add(key, "rename one of them", "input %q is defined already at %s:%d", name, first.File, first.Line)
		return
	}
	spec := l.kindOf(ps, name, key, n, agent.InputKinds(), agent.InputKind)
	if spec == nil {
		return
	}
	before := ps.Errors()
	var keys inputKeys
	in := &Input{Name: name, Kind: spec.Kind, Spec: spec, File: ps.File, Line: key.Line, Hash: hashOf(n)}
	in.Config = spec.Decode(ps, n, &keys)
	in.Common = keys.Common
	in.Hash += l.filesHash(ps, n, in.Config)
	in.provenance = provenance{below(l.refs, "inputs."+name+"."), privateTexts(ps)}
	l.cfg.Inputs[name] = in
	if ps.Errors() == before {
		l.place(ps, "input", name, key, n)
	}
}

func (l *loader) output(ps *agent.Problems, name string, key, n *yaml.Node) {
	if first := l.cfg.Outputs[name]; first != nil {
		ps.Add(key, "rename one of them", "output %q is defined already at %s:%d", name, first.File, first.Line)
		return
	}
	spec := l.kindOf(ps, name, key, n, agent.OutputKinds(), agent.OutputKind)
	if spec == nil {
		return
	}
	before := ps.Errors()
	keys := outputKeys{Config: delivery.DefaultConfig()}
	out := &Output{Name: name, Kind: spec.Kind, Spec: spec, File: ps.File, Line: key.Line, Hash: hashOf(n)}
	out.Config = spec.Decode(ps, n, &keys)
	out.Common = keys.Config
	out.Hash += l.filesHash(ps, n, out.Config)
	out.provenance = provenance{below(l.refs, "outputs."+name+"."), privateTexts(ps)}
	l.cfg.Outputs[name] = out
	if ps.Errors() == before {
		l.place(ps, "output", name, key, n)
	}
}

// ValidName reports whether name can be that of a component.
func ValidName(name string) bool { return componentName.MatchString(name) }
