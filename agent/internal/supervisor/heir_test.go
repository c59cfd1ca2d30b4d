package supervisor

import (
	"context"
	"errors"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// An heirInput tells what becomes of it.
type heirInput struct {
	name string
	from *heirInput
	why  error
}

type heirConfig struct {
	Name string `yaml:"name" doc:"of the instance"`
}

var heirs = map[string]*heirInput{} // by name; built and read one after the other

func init() {
	agent.RegisterInput("heir", heirConfig{}, func(c heirConfig, _ agent.Env) (agent.Input, error) {
		heirs[c.Name] = &heirInput{name: c.Name}
		return heirs[c.Name], nil
	})
}

func (h *heirInput) Run(ctx context.Context, _ agent.Sink) error {
	<-ctx.Done()
	h.why = context.Cause(ctx)
	return nil
}

func (h *heirInput) Inherit(p agent.Input) { h.from = p.(*heirInput) }

// An input that is exchanged knows it when it ends, and its successor gets it. One
// that is removed, and the last, end for no such reason.
func TestHeir(t *testing.T) {
	r := newRig(t, "inputs: {a: {type: heir, name: first}, b: {type: heir, name: other}}\noutputs: {}\n")
	r.write("inputs: {a: {type: heir, name: second}}\noutputs: {}\n")
	if _, err := r.Reload(Actor{Name: "test"}); err != nil {
		t.Fatal(err)
	}
	first, second, other := heirs["first"], heirs["second"], heirs["other"]
	if !errors.Is(first.why, agent.ErrExchanged) || first.from != nil || second.from != first {
		t.Errorf("the first ended by %v, the second has %v", first.why, second.from)
	}
	if errors.Is(other.why, agent.ErrExchanged) || other.why == nil {
		t.Errorf("the one that was removed ended by %v", other.why)
	}
	r.stop()
	if errors.Is(second.why, agent.ErrExchanged) || second.why == nil {
		t.Errorf("the last ended by %v", second.why)
	}
}
