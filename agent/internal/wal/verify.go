package wal

import (
	"errors"
	"os"
)

// A Report is what Verify found.
type Report struct {
	Segments int    `json:"segments"`
	Blocks   int    `json:"blocks"`
	Events   uint64 `json:"events"`
	Bytes    int64  `json:"bytes"`
	FirstSeq uint64 `json:"first_seq"`
	NextSeq  uint64 `json:"next_seq"`

	Damage     []Damage `json:"damage"`           // none: the log is clean
	Unfinished int64    `json:"unfinished_bytes"` // of a write that was never acknowledged: no damage
	LostBefore uint64   `json:"lost_before"`      // events lost to damage that has been repaired
	Strays     []string `json:"strays,omitempty"` // files that are none of the log's
	State      string   `json:"state"`            // "ok", "missing", "damaged"; one intact generation is ok
	Files      int      `json:"quarantined"`      // files set aside earlier
	FileBytes  int64    `json:"quarantined_bytes"`
	FileEvents uint64   `json:"quarantined_events"` // in them, as far as headers tell
}

// Clean reports whether nothing was found.
func (r *Report) Clean() bool {
	return len(r.Damage) == 0 && len(r.Strays) == 0 && r.State != "damaged"
}

// Verify reads every byte of the log and checks it.
func Verify(dir string) (*Report, error) {
	r := &Report{Damage: []Damage{}, State: "ok"}
	_, err := peekState(dir)
	switch {
	case errors.Is(err, ErrNewer):
		return nil, err
	case errors.Is(err, os.ErrNotExist):
		r.State = "missing"
	case err != nil:
		r.State = "damaged"
	}
	var w inspection
	w.segment = func(v *visit) {
		if r.Segments++; r.Segments == 1 {
			r.FirstSeq, r.Strays = v.seg.first, v.plan.strays
		}
		r.Bytes += v.seg.size
	}
	w.block = func(v *visit, h *header) error {
		if err := v.scan.payload(); isDamage(err) {
			w.damage(badPayload(v, h))
			return nil
		} else if err != nil {
			return err
		}
		r.Blocks++
		r.Events += uint64(h.count)
		return nil
	}
	w.damage = func(d Damage) {
		if w.writtenOff(d) {
			r.LostBefore += d.LastSeq - d.FirstSeq + 1
			return
		}
		r.Damage = append(r.Damage, d)
	}
	w.unfinished = func(bytes int64) { r.Unfinished = bytes }
	if err := w.walk(dir); err != nil {
		return nil, err
	}
	r.NextSeq = max(w.seq, w.st.NextSeq)
	if w.last == 0 {
		r.FirstSeq = w.seq
	}
	r.FirstSeq = max(r.FirstSeq, 1)
	low := r.FirstSeq
	// A running agent has perhaps saved cursors and removed segments since.
	if later, err := peekState(dir); err == nil {
		w.st = later
	}
	for _, c := range w.st.Cursors {
		low = min(low, c.Seq)
	}
	if low < r.FirstSeq {
		w.damage(Damage{FirstSeq: low, LastSeq: r.FirstSeq - 1, Reason: "the log begins after events that an output waits for"})
	}
	r.Files, r.FileBytes = quarantined(walDir(dir))
	r.FileEvents = new(tally).count(walDir(dir))
	return r, nil
}
