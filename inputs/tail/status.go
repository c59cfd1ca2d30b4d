package tail

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// Files lists the files that are read now, by path. It is nil while the input does not run.
func (t *Tail) Files() []agent.FileStatus {
	r := t.current.Load()
	if r == nil {
		return nil
	}
	answer := make(chan []agent.FileStatus, 1)
	select {
	case r.asked <- answer:
		return <-answer
	case <-r.ended:
		return nil
	}
}

func (r *run) statuses() []agent.FileStatus {
	list := make([]agent.FileStatus, 0, len(r.files))
	for _, f := range r.files {
		if f.gone != 0 {
			continue
		}
		s := agent.FileStatus{Path: f.path, Offset: f.acked, Size: f.size, Lag: f.lag(), State: "idle", Error: f.trouble}
		switch {
		case f.lost:
			s.State = "draining"
		case r.pending[f]:
			s.State = "waiting"
		case f.queued || f.inflight > 0:
			s.State = "reading"
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b agent.FileStatus) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// meters are the metrics of one run.
type meters struct {
	env                            agent.Env
	rotations, truncations, losses *metrics.Counter
	troubles, bytes                *metrics.Counter
	files, lag                     atomic.Int64
	stale                          bool      // files and lag must be counted again
	due                            time.Time // not before
}

// countedEvery keeps the counting of files, in which each costs a cache miss, below a thousandth of a core.
const countedEvery = 100 * time.Microsecond // for each file

func newMeters(env agent.Env) *meters {
	m := &meters{
		env:         env,
		rotations:   env.Counter("rotations_total"),
		truncations: env.Counter("truncations_total"),
		losses:      env.Counter("suspected_losses_total"),
		troubles:    env.Counter("file_errors_total"),
		bytes:       env.Counter("read_bytes_total"),
	}
	env.Gauge("lag_bytes", func() float64 { return float64(m.lag.Load()) })
	env.Gauge("files", func() float64 { return float64(m.files.Load()) })
	return m
}

func (m *meters) update(r *run, now time.Time) {
	if !m.stale || now.Before(m.due) {
		return
	}
	m.stale, m.due = false, now.Add(time.Duration(len(r.files))*countedEvery)
	var files, lag int64
	for _, f := range r.files {
		if f.gone == 0 {
			files++
			lag += f.lag()
		}
	}
	m.files.Store(files)
	m.lag.Store(lag)
}

// close takes the gauges back: the next run has its own, and the first to
// register a gauge keeps it.
func (m *meters) close() {
	for _, name := range []string{"lag_bytes", "files"} {
		m.env.Metrics.UnregisterMetric(fmt.Sprintf("siemd_%s_%s{%s=%q}", m.env.Kind, name, m.env.Kind, m.env.Name))
	}
}
