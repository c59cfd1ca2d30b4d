package agent

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"
)

// A Spec is a registered kind of input or output.
type Spec struct {
	Kind     string
	defaults reflect.Value
	build    func(config any, env Env) (any, error)
}

var (
	inputs  = map[string]*Spec{}
	outputs = map[string]*Spec{}
)

// RegisterInput makes a kind of input known under the name that configs give
// as its type. It is called from init; a second registration panics. defaults
// is copied for each component, filled by Decode, and given to build, which
// must not do I/O but through Env.
func RegisterInput[C any](kind string, defaults C, build func(C, Env) (Input, error)) {
	register(inputs, kind, defaults, func(c any, env Env) (any, error) { return build(*c.(*C), env) })
}

// RegisterOutput is the same for an output. A config with a method
// ValidateAs(Identity) error is asked, once the agent's identity is known, for
// the KeyError of what follows from it and cannot be built.
func RegisterOutput[C any](kind string, defaults C, build func(C, Env) (Output, error)) {
	register(outputs, kind, defaults, func(c any, env Env) (any, error) { return build(*c.(*C), env) })
}

func register[C any](specs map[string]*Spec, kind string, defaults C, build func(any, Env) (any, error)) {
	if specs[kind] != nil {
		panic("agent: " + kind + " is registered twice")
	}
	specs[kind] = &Spec{Kind: kind, defaults: reflect.ValueOf(defaults), build: build}
}

// InputKind is the input registered as kind.
func InputKind(kind string) (*Spec, bool) { s, ok := inputs[kind]; return s, ok }

// OutputKind is the output registered as kind.
func OutputKind(kind string) (*Spec, bool) { s, ok := outputs[kind]; return s, ok }

// InputKinds lists the registered inputs, sorted.
func InputKinds() []string { return slices.Sorted(maps.Keys(inputs)) }

// OutputKinds lists the registered outputs, sorted.
func OutputKinds() []string { return slices.Sorted(maps.Keys(outputs)) }

// Config is a pointer to a fresh copy of the kind's defaults.
func (s *Spec) Config() any {
	c := reflect.New(s.defaults.Type())
	c.Elem().Set(s.defaults)
	return c.Interface()
}

// Decode gives a valid config of this kind from n. Keys of common, if not nil,
// may stand beside the kind's own. Mistakes go to ps.
func (s *Spec) Decode(ps *Problems, n *yaml.Node, common any) any {
	config := s.Config()
	if common == nil {
		Decode(ps, n, config)
	} else {
		Decode(ps, n, common, config)
	}
	return config
}

// BuildInput makes the component from a config that Decode returned.
func (s *Spec) BuildInput(config any, env Env) (Input, error) {
	c, err := s.build(config, env)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", env.Name, err)
	}
	return c.(Input), nil
}

// BuildOutput makes the component from a config that Decode returned.
func (s *Spec) BuildOutput(config any, env Env) (Output, error) {
	c, err := s.build(config, env)
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", env.Name, err)
	}
	return c.(Output), nil
}
