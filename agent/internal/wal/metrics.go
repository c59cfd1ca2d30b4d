package wal

import (
	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

type meters struct {
	fsync         *metrics.PrometheusHistogram
	corrupt, lost *metrics.Counter
}

func newMeters(set *metrics.Set) meters {
	return meters{
		fsync:   set.GetOrCreatePrometheusHistogramExt("siemd_wal_fsync_seconds", agent.DurationBuckets),
		corrupt: set.GetOrCreateCounter("siemd_wal_corrupt_blocks_total"),
		lost:    set.GetOrCreateCounter("siemd_wal_lost_events_total"),
	}
}

func (l *Log) registerGauges(set *metrics.Set) {
	gauge := func(name string, f func() float64) {
		// A log that was opened again in the same process replaces the one before.
		set.UnregisterMetric(name)
		set.GetOrCreateGauge(name, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return f()
		})
	}
	gauge("siemd_wal_bytes", func() float64 { return float64(l.bytes) })
	gauge("siemd_wal_max_bytes", func() float64 { return float64(l.opts.MaxSize) })
	gauge("siemd_wal_segments", func() float64 { return float64(len(l.segs)) })
	gauge("siemd_wal_oldest_age_seconds", func() float64 {
		begun := l.segs[0].time
		if begun == 0 || len(l.cursors) > 0 && l.settledLocked() == l.durable.seq {
			return 0 // what is there is only there because its segment is not full
		}
		return max(0, float64(l.opts.Now().UnixNano()-begun)/1e9)
	})
}

// Stats describes the log for people and metrics.
type Stats struct {
	Bytes    int64  `json:"bytes"` // in segments
	MaxBytes int64  `json:"max_bytes"`
	Segments int    `json:"segments"`
	FirstSeq uint64 `json:"first_seq"` // of the oldest event in the log
	NextSeq  uint64 `json:"next_seq"`  // of the next one to come

	OldestTime int64  `json:"oldest_time"` // when the oldest segment was begun, UTC nanoseconds; 0: unknown
	Full       bool   `json:"full"`
	Trouble    string `json:"trouble,omitempty"` // why nothing can be written

	CorruptBlocks uint64 `json:"corrupt_blocks"` // regions that are no good block, found since Open
	LostEvents    uint64 `json:"lost_events"`    // sequence numbers found missing since Open
	DamagedStates uint64 `json:"damaged_states"` // generations of state.json found damaged by Open

	Quarantined       int    `json:"quarantined"` // files set aside, whenever that was
	QuarantinedBytes  int64  `json:"quarantined_bytes"`
	QuarantinedEvents uint64 `json:"quarantined_events"` // in them, as far as headers tell
}

// Stats is a snapshot. It looks into the quarantine directory.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	s := Stats{
		Bytes: l.bytes, MaxBytes: l.opts.MaxSize, Segments: len(l.segs), FirstSeq: l.segs[0].first,
		NextSeq: l.durable.seq, OldestTime: l.segs[0].time, Full: l.full.err != nil,
	}
	switch {
	case l.trouble != nil:
		s.Trouble = l.trouble.Error()
	case l.poison != nil:
		s.Trouble = l.poison.Error()
	}
	l.mu.Unlock()
	l.damage.mu.Lock()
	s.CorruptBlocks, s.LostEvents, s.DamagedStates = l.damage.blocks, l.damage.events, l.damage.states
	l.damage.mu.Unlock()
	s.Quarantined, s.QuarantinedBytes = quarantined(l.dir)
	s.QuarantinedEvents = l.tally.count(l.dir)
	return s
}
