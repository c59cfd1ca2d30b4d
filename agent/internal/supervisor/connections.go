package supervisor

import (
	"cmp"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// A Connection is a configured output, running or not, at one moment.
type Connection struct {
	Config  *config.Output
	Running bool
	Counts  wal.Counts // deliveries, across restarts
	Failed  uint64     // in the failed store now
	Pending uint64
	Health  delivery.Health
	Stats   delivery.Stats // zero if it does not run
	Checked time.Time      // when health was looked at last; zero: never
}

// Connections are all configured outputs, by name.
func (a *Agent) Connections() []Connection {
	a.mu.Lock()
	cfg := a.cfg
	running := make(map[string]*output, len(a.outputs))
	for name, o := range a.outputs {
		running[name] = o
	}
	a.mu.Unlock()
	cursors := map[string]wal.CursorInfo{}
	for _, c := range a.wal.Cursors() {
		cursors[c.Name] = c
	}
	list := make([]Connection, 0, len(cfg.Outputs))
	for name, oc := range cfg.Outputs {
		list = append(list, connection(oc, running[name], cursors[name]))
	}
	slices.SortFunc(list, func(x, y Connection) int { return cmp.Compare(x.Config.Name, y.Config.Name) })
	return list
}

// Connection is the configured output of that name.
func (a *Agent) Connection(name string) (Connection, bool) {
	oc := a.Config().Outputs[name]
	if oc == nil {
		return Connection{}, false
	}
	var cursor wal.CursorInfo
	for _, c := range a.wal.Cursors() {
		if c.Name == name {
			cursor = c
		}
	}
	return connection(oc, a.output(name), cursor), true
}

func connection(oc *config.Output, o *output, cursor wal.CursorInfo) Connection {
	if o == nil {
		return Connection{
			Config: oc, Counts: cursor.Counts, Failed: cursor.Counts.Failed, Pending: cursor.Pending,
			Health: delivery.Health{Status: delivery.Unknown, LastSuccess: cursor.LastSent},
		}
	}
	r := o.runner.Load()
	s := r.Stats()
	c := Connection{
		Config: oc, Running: true, Counts: s.Counts, Failed: uint64(max(s.FailedNow, 0)), Pending: s.Pending,
		Health: r.Health(), Stats: s,
	}
	if n := o.probed.Load(); n > 0 {
		c.Checked = time.Unix(0, n)
	}
	for _, t := range []time.Time{c.Health.LastSuccess, c.Health.LastErrorAt} {
		if t.After(c.Checked) {
			c.Checked = t
		}
	}
	return c
}
