package supervisor

import (
	"context"
	"slices"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// withSeverities is out with the severities that its connection wants to see.
func withSeverities(out agent.Output, m *config.Managed) agent.Output {
	if m == nil || len(m.SeverityMapping) == 0 {
		return out
	}
	s := severities{out, m}
	if enc, ok := out.(agent.Encoder); ok {
		return encodedSeverities{s, enc}
	}
	return s
}

// severities gives its output events with other severities.
type severities struct {
	out     agent.Output
	mapping *config.Managed
}

func (s severities) Write(ctx context.Context, events []agent.Event) error {
	mapped := slices.Clone(events)
	for i := range mapped {
		mapped[i].Severity = s.mapping.Severity(mapped[i].Severity)
	}
	return s.out.Write(ctx, mapped)
}

// OneAtATime is what its output says of itself.
func (s severities) OneAtATime() bool {
	one, ok := s.out.(agent.Serial)
	return ok && one.OneAtATime()
}

// encodedSeverities is the same for an output that encodes.
type encodedSeverities struct {
	severities
	enc agent.Encoder
}

func (s encodedSeverities) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	mapped := *e
	mapped.Severity = s.mapping.Severity(e.Severity)
	return s.enc.Encode(dst, &mapped)
}
