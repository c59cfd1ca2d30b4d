package cli

import (
	"fmt"
	"time"

	"github.com/adrian207/siemd/agent/internal/history"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// ratePoints is how many points of the history a rate looks back: a minute.
const ratePoints = 6

// rates are events a second over the last minute, or since the agent started.
type rates struct {
	report history.Report
	now    time.Time
}

// input is the rate of an input, or "-" as long as there is none.
func (r rates) input(in supervisor.InputStatus) string {
	return r.since(r.report.Inputs[in.Name].Events, in.Events)
}

// output is the rate of what a connection has sent.
func (r rates) output(o supervisor.OutputStatus) string {
	return r.since(r.report.Outputs[o.Name].Sent, o.Sent)
}

// since compares a counter with what it was at the earliest point that is near enough.
func (r rates) since(points []*float64, now uint64) string {
	for i := max(len(points)-ratePoints, 0); i < len(points); i++ {
		if points[i] == nil || *points[i] > float64(now) {
			continue // it was not there, or it began anew
		}
		elapsed := r.now.Sub(time.Unix(r.report.Times[i], 0)).Seconds()
		if elapsed < 1 {
			break
		}
		return fmt.Sprintf("%.1f", (float64(now)-*points[i])/elapsed)
	}
	return "-"
}
