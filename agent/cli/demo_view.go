package cli

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/term"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// demoView shows the state once a second: a table that is drawn over itself on
// a terminal, else plain lines.
type demoView struct {
	out   io.Writer
	live  bool
	lines int // of the last table
	began time.Time
	last  time.Time
	sent  map[string]uint64 // at the last show
}

func newDemoView(out io.Writer) *demoView {
	f, ok := fileOf(out)
	return &demoView{out: out, live: ok && term.IsTerminal(int(f.Fd())), began: time.Now(), sent: map[string]uint64{}}
}

func (v *demoView) show(st supervisor.Status, down bool) {
	now := time.Now()
	since := now.Sub(v.last).Seconds()
	if v.last.IsZero() {
		since = now.Sub(v.began).Seconds()
	}
	v.last = now
	if v.live {
		if v.lines > 0 {
			fmt.Fprintf(v.out, "\x1b[%dA", v.lines)
		}
		v.lines = len(st.Outputs) + 2
		note := "all receivers are up"
		if down {
			note = "splunk is DOWN: its backlog grows, the others do not notice"
		}
		fmt.Fprintf(v.out, "\x1b[2K%4.0fs  %s\n", now.Sub(v.began).Seconds(), note)
		fmt.Fprintf(v.out, "\x1b[2K%-10s %10s %10s %9s %7s %9s %8s  %s\n", "connection", "accepted", "sent", "pending", "failed", "rate/s", "lag", "health")
	}
	for _, o := range st.Outputs {
		rate := float64(o.Sent-v.sent[o.Name]) / max(since, 0.001)
		v.sent[o.Name] = o.Sent
		lag := time.Duration(o.LagSeconds * float64(time.Second)).Round(100 * time.Millisecond)
		if v.live {
			fmt.Fprintf(v.out, "\x1b[2K%-10s %10d %10d %9d %7d %9.0f %8s  %s\n", o.Name, o.Accepted, o.Sent, o.Pending, o.Failed, rate, lag, o.Health)
			continue
		}
		fmt.Fprintf(v.out, "%.0fs connection=%s accepted=%d sent=%d pending=%d failed=%d rate=%.0f/s lag=%s health=%s\n",
			now.Sub(v.began).Seconds(), o.Name, o.Accepted, o.Sent, o.Pending, o.Failed, rate, lag, o.Health)
	}
}

// end leaves the table where it is.
func (v *demoView) end() { v.lines = 0 }
