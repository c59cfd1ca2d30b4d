package cli

import (
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/internal/history"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

func TestRates(t *testing.T) {
	var rec history.Recorder
	start := time.Unix(1000, 0)
	for i := range 20 {
		rec.Add(history.Sample{
			Time:    start.Add(time.Duration(i) * history.Step),
			Inputs:  map[string]history.Input{"in": {Events: uint64(100 * i)}},
			Outputs: map[string]history.Output{"out": {Sent: uint64(50 * i)}},
		})
	}
	// The last point is at 1190 s, the one a minute back at 1140 s.
	r := rates{rec.Report(), time.Unix(1200, 0)}
	for name, c := range map[string]struct{ got, want string }{
		"input":       {r.input(supervisor.InputStatus{Name: "in", Events: 2000}), "10.0"},
		"output":      {r.output(supervisor.OutputStatus{Name: "out", Sent: 1000}), "5.0"},
		"it stands":   {r.output(supervisor.OutputStatus{Name: "out", Sent: 950}), "4.2"},
		"unknown":     {r.output(supervisor.OutputStatus{Name: "new", Sent: 10}), "-"},
		"began anew":  {r.input(supervisor.InputStatus{Name: "in", Events: 10}), "-"},
		"no history":  {rates{now: start}.input(supervisor.InputStatus{Name: "in"}), "-"},
		"just begun":  {rates{rec.Report(), time.Unix(1140, 0)}.input(supervisor.InputStatus{Name: "in", Events: 1400}), "-"},
		"after a gap": {rates{rec.Report(), time.Unix(1740, 0)}.output(supervisor.OutputStatus{Name: "out", Sent: 700}), "0.0"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}
