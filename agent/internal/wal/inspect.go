package wal

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/adrian207/siemd/agent"
)

// The functions below look at the log of a data directory without a lock and
// without touching it, whether an agent is running on it or not.

// A SegmentInfo describes one file of the log.
type SegmentInfo struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	Stored   int64     `json:"stored"` // bytes of payload, compressed
	Raw      int64     `json:"raw"`    // and before compression
	Blocks   int       `json:"blocks"`
	Events   uint64    `json:"events"`
	FirstSeq uint64    `json:"first_seq"` // 0: no events
	LastSeq  uint64    `json:"last_seq"`
	Begun    time.Time `json:"begun"` // when the first and the last block were written
	Ended    time.Time `json:"ended"`
}

// List describes the segments by the headers of their blocks.
func List(dir string) ([]SegmentInfo, error) {
	var list []SegmentInfo
	err := inspect(dir, func(v *visit) error {
		s := SegmentInfo{Name: filepath.Base(v.seg.path), Size: v.seg.size}
		for {
			ok, err := v.scan.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			s.add(&v.scan.h)
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func (s *SegmentInfo) add(h *header) {
	when := time.Unix(0, h.time).UTC()
	if s.Blocks == 0 {
		s.Begun = when
	}
	s.Ended = when
	s.Blocks++
	s.Raw += int64(h.raw)
	s.Stored += int64(h.stored)
	if h.count == 0 {
		return
	}
	s.Events += uint64(h.count)
	if s.FirstSeq == 0 {
		s.FirstSeq = h.first
	}
	s.LastSeq = h.next() - 1
}

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
}

// Damage is a place that is not what was written, or not there.
type Damage struct {
	Segment  string `json:"segment,omitempty"` // empty: between segments
	From     int64  `json:"from"`              // bytes
	To       int64  `json:"to"`
	FirstSeq uint64 `json:"first_seq,omitempty"` // events that are lost by it; 0: none, or unknown
	LastSeq  uint64 `json:"last_seq,omitempty"`
	Reason   string `json:"reason"`
}

// Clean reports whether nothing was found.
func (r *Report) Clean() bool {
	return len(r.Damage) == 0 && len(r.Strays) == 0 && r.State != "damaged"
}

// Verify reads every byte of the log and checks it.
func Verify(dir string) (*Report, error) {
	r := &Report{Damage: []Damage{}, State: "ok"}
	st, err := peekState(dir)
	switch {
	case errors.Is(err, ErrNewer):
		return nil, err
	case errors.Is(err, os.ErrNotExist):
		r.State = "missing"
	case err != nil:
		r.State = "damaged"
	}
	next := uint64(0)
	lastBlock := uint64(0)
	err = inspect(dir, func(v *visit) error {
		if r.Segments++; r.Segments == 1 {
			r.FirstSeq, next = v.seg.first, v.seg.first
			r.Strays = v.plan.strays
		}
		return r.segment(v, &next, &lastBlock, st)
	})
	if err != nil {
		return nil, err
	}
	if next = max(next, 1); next < st.NextSeq {
		r.add(Damage{FirstSeq: next, LastSeq: st.NextSeq - 1, Reason: "the log ends before events that the state knows"}, st)
	}
	r.NextSeq = max(next, st.NextSeq)
	r.FirstSeq = max(r.FirstSeq, 1)
	low := r.FirstSeq
	// A running agent has perhaps saved cursors and removed segments since.
	if later, err := peekState(dir); err == nil {
		st = later
	}
	for _, c := range st.Cursors {
		low = min(low, c.Seq)
	}
	if low < r.FirstSeq {
		r.add(Damage{FirstSeq: low, LastSeq: r.FirstSeq - 1, Reason: "the log begins after events that an output waits for"}, st)
	}
	r.Files, r.FileBytes = quarantined(walDir(dir))
	return r, nil
}

// add notes damage, unless all there is to it is events that a repair wrote off.
func (r *Report) add(d Damage, st *state) {
	if d.Segment == "" && d.FirstSeq > 0 && knows(st.Lost, d.FirstSeq, d.LastSeq) {
		r.LostBefore += d.LastSeq - d.FirstSeq + 1
		return
	}
	r.Damage = append(r.Damage, d)
}

func (r *Report) segment(v *visit, next, lastBlock *uint64, st *state) error {
	name := filepath.Base(v.seg.path)
	r.Bytes += v.seg.size
	end := int64(0)
	for {
		ok, err := v.scan.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		h := &v.scan.h
		d := Damage{Segment: name, From: end, To: v.scan.begin, Reason: "these bytes are no block"}
		if h.first > *next {
			d.FirstSeq, d.LastSeq = *next, h.first-1
			if end == v.scan.begin {
				d.Segment, d.Reason = "", "blocks are missing"
			}
		}
		if d.From < d.To || d.FirstSeq > 0 {
			r.add(d, st)
		}
		end = v.scan.off
		*next, *lastBlock = max(*next, h.next()), h.number
		if err := v.scan.payload(); err != nil {
			if !isDamage(err) {
				return err
			}
			d := Damage{Segment: name, From: v.scan.begin, To: end, Reason: "the payload's checksum is wrong"}
			if h.count > 0 {
				d.FirstSeq, d.LastSeq = h.first, h.next()-1
			}
			r.add(d, st)
			continue
		}
		r.Blocks++
		r.Events += uint64(h.count)
	}
	switch {
	case end == v.seg.size:
	case v.last && st.Block <= *lastBlock:
		r.Unfinished = v.seg.size - end
	default:
		r.Damage = append(r.Damage, Damage{Segment: name, From: end, To: v.seg.size, Reason: "these bytes are no block"})
	}
	return nil
}

// A Range chooses events. Zero values do not limit.
type Range struct {
	FirstSeq, LastSeq uint64
	Since, Until      time.Time // of receipt
}

func (r *Range) has(e *agent.Event) bool {
	return e.Seq >= r.FirstSeq && (r.LastSeq == 0 || e.Seq <= r.LastSeq) &&
		(r.Since.IsZero() || e.Received >= r.Since.UnixNano()) && (r.Until.IsZero() || e.Received < r.Until.UnixNano())
}

// Dump calls f for each event in the range, in order; the event and its bytes
// are valid until f returns. An error of f ends it. Damaged blocks are passed
// over, and their events counted.
func Dump(dir string, in Range, f func(*agent.Event) error) (damaged uint64, err error) {
	var events []agent.Event
	err = inspect(dir, func(v *visit) error {
		for {
			ok, err := v.scan.next()
			if !ok || err != nil {
				return err
			}
			h := &v.scan.h
			if h.count == 0 || h.next() <= in.FirstSeq || (in.LastSeq > 0 && h.first > in.LastSeq) {
				continue
			}
			b := newBlock(nil, h)
			b.file, b.at = v.scan.f, v.scan.at
			v.scan.f.retain()
			if events, err = b.Events(events[:0]); errors.Is(err, ErrDamaged) {
				damaged += uint64(h.count)
			} else if err != nil {
				return err
			}
			for i := range events {
				if in.has(&events[i]) {
					if err := f(&events[i]); err != nil {
						return err
					}
				}
			}
			b.Release()
		}
	})
	return damaged, err
}

// A visit is one segment in the course of an inspection.
type visit struct {
	plan *plan
	seg  *segment
	last bool
	scan scanner
}

// inspect calls f for each segment, in order. Segments that vanish meanwhile
// are left out: a running agent removes what it no longer needs.
func inspect(dir string, f func(*visit) error) error {
	var p *plan
	var err error
	for range 10 {
		st, _ := peekState(dir)
		if p, err = survey(walDir(dir), st.Block); !errors.Is(err, os.ErrNotExist) {
			break
		}
		if _, e := os.Stat(walDir(dir)); e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	for i, s := range p.segs {
		in, err := openFile(s.path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		v := &visit{plan: p, seg: s, last: i == len(p.segs)-1}
		v.scan = scanner{f: in, limit: s.size, low: s.index, high: maxNumber}
		if !v.last {
			v.scan.high = p.segs[i+1].index
		} else if p.cutTo >= 0 {
			v.scan.limit = min(v.scan.limit, p.cutTo)
		}
		err = f(v)
		in.release()
		if err != nil {
			return err
		}
	}
	return nil
}

func walDir(dir string) string { return filepath.Join(dir, "wal") }
