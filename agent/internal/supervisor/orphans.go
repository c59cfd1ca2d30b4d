package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// PurgeOrphan forgets an output that is gone from the config: its place in the
// log, with the events that wait there, and its failed events. It returns how
// many events were given up.
func (a *Agent) PurgeOrphan(name string) (uint64, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.stopping() {
		return 0, ErrStopping
	}
	cfg := a.Config()
	if cfg.Outputs[name] != nil {
		return 0, fmt.Errorf("%w: %s is in the config", ErrNoOrphan, name)
	}
	var cursor *wal.CursorInfo
	for _, c := range a.wal.Cursors() {
		if c.Name == name && !isTap(name) {
			cursor = &c
		}
	}
	dir := failedDir(cfg, name)
	stored := config.ValidName(name) && isDir(dir)
	if cursor == nil && !stored {
		return 0, fmt.Errorf("%w: %q", ErrUnknownConnection, name)
	}
	a.forgetMetrics(name)
	if stored {
		if err := os.RemoveAll(dir); err != nil {
			return 0, err
		}
		if err := config.SyncDir(filepath.Dir(dir)); err != nil {
			return 0, err
		}
	}
	if cursor == nil {
		return 0, nil
	}
	if err := a.wal.Purge(name); err != nil {
		return 0, err
	}
	a.log.Warn("orphan purged, what waited for it is given up", "output", name, "events", cursor.Pending)
	return cursor.Pending + cursor.Counts.Failed, nil
}

// forgetMetrics drops the figures of an output that will not come back: who
// makes and deletes connections all day is not to fill /metrics with them. Those
// of an output that may return stay, since counters should not begin anew.
func (a *Agent) forgetMetrics(output string) {
	label := fmt.Sprintf("output=%q", output)
	for _, name := range a.metrics.ListMetricNames() {
		if _, labels, ok := strings.Cut(name, "{"); ok && slices.Contains(strings.Split(strings.TrimSuffix(labels, "}"), ","), label) {
			a.metrics.UnregisterMetric(name)
		}
	}
}

// ErrNoOrphan says that something is in the config and so cannot be purged.
var ErrNoOrphan = errors.New("this is no orphan")

// A LogReport describes the log for people.
type LogReport struct {
	Stats    wal.Stats         `json:"stats" doc:"The log as a whole."`
	Segments []wal.SegmentInfo `json:"segments" doc:"Its files, oldest first."`
	Cursors  []wal.CursorInfo  `json:"cursors" doc:"How far each output has come."`
}

// LogReport looks at the log while it is in use.
func (a *Agent) LogReport() (LogReport, error) {
	r := LogReport{Stats: a.wal.Stats(), Cursors: []wal.CursorInfo{}}
	for _, c := range a.wal.Cursors() {
		if !isTap(c.Name) {
			r.Cursors = append(r.Cursors, c)
		}
	}
	var err error
	if r.Segments, _, err = wal.List(a.Config().DataDir); r.Segments == nil {
		r.Segments = []wal.SegmentInfo{}
	}
	return r, err
}
