package tail

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// A FileStatus is how far one file is read.
type FileStatus struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"` // bytes of plain text whose lines are on disk
	Size   int64  `json:"size"`   // bytes of the file
	Lag    int64  `json:"lag"`    // bytes that are not read
	State  string `json:"state"`  // "reading", "idle", "draining" (rotated away) or "waiting"
	Error  string `json:"error,omitempty"`
}

// Files lists the files that are read now, by path. It is nil while the input does not run.
func (t *Tail) Files() []FileStatus {
	r := t.current.Load()
	if r == nil {
		return nil
	}
	answer := make(chan []FileStatus, 1)
	select {
	case r.asked <- answer:
		return <-answer
	case <-r.ended:
		return nil
	}
}

// Status is Files, for a host that shows what components say of themselves.
func (t *Tail) Status() any { return t.Files() }

func (r *run) statuses() []FileStatus {
	list := make([]FileStatus, 0, len(r.files))
	for _, f := range r.files {
		if f.gone != 0 {
			continue
		}
		s := FileStatus{Path: f.path, Offset: f.acked, Size: f.size, Lag: f.lag(), State: "idle", Error: f.trouble}
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
	slices.SortFunc(list, func(a, b FileStatus) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// meters are the metrics of one run.
type meters struct {
	env                            agent.Env
	rotations, truncations, losses *metrics.Counter
	troubles, bytes                *metrics.Counter
	files, lag                     atomic.Int64
	stale                          bool // files and lag must be counted again
}

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

func (m *meters) update(r *run) {
	if !m.stale {
		return
	}
	m.stale = false
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
