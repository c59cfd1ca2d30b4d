package wal

import (
	"errors"
	"os"
	"path/filepath"
)

// List, Verify and Dump look at the log of a data directory without a lock and
// without touching it, whether an agent is running on it or not.

// Damage is a place that is not what was written, or not there.
type Damage struct {
	Segment  string `json:"segment,omitempty"` // empty: between segments
	From     int64  `json:"from"`              // bytes
	To       int64  `json:"to"`
	FirstSeq uint64 `json:"first_seq,omitempty"` // events that are lost by it; 0: none, or unknown
	LastSeq  uint64 `json:"last_seq,omitempty"`
	Reason   string `json:"reason"`
}

// An inspection walks the blocks of a log. Its functions may be nil.
type inspection struct {
	segment    func(v *visit)                  // called before the blocks of each segment
	block      func(v *visit, h *header) error // for each block with a good header
	damage     func(d Damage)                  // for each place between them that is none, and events that are missing
	unfinished func(bytes int64)               // for the end of a write that was never acknowledged: no damage

	// Where the walk is.
	st    *state
	began bool
	seq   uint64 // that the next block should begin with
	last  uint64 // number of the last block
}

// A visit is one segment in the course of an inspection.
type visit struct {
	plan *plan
	seg  *segment
	last bool
	scan scanner
}

func (v *visit) name() string { return filepath.Base(v.seg.path) }

// walk goes through the log in dir. Segments that vanish meanwhile are left
// out: a running agent removes what it no longer needs.
func (w *inspection) walk(dir string) error {
	var p *plan
	var err error
	for range 10 {
		w.st, _ = peekState(dir)
		if p, err = survey(walDir(dir), w.st.Block); !errors.Is(err, os.ErrNotExist) {
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
			w.began = false
			continue
		} else if err != nil {
			return err
		}
		v := &visit{plan: p, seg: s, last: i == len(p.segs)-1}
		v.scan = scanner{f: in, limit: s.size, low: s.index, high: maxNumber}
		if !v.last {
			v.scan.high = p.high(i)
		} else if p.cutTo >= 0 {
			v.scan.limit = min(v.scan.limit, p.cutTo)
		}
		err = w.visit(v)
		in.release()
		if err != nil {
			return err
		}
	}
	if w.last == 0 {
		// No block is left. That is as it should be if all are finished with them.
		w.seq = w.st.settled()
	}
	if w.seq = max(w.seq, 1); w.seq < w.st.NextSeq {
		w.found(Damage{FirstSeq: w.seq, LastSeq: w.st.NextSeq - 1, Reason: "the log ends before events that the state knows"})
	}
	return nil
}

// high bounds the numbers of the blocks in the segment at i: those of the next
// one that has any are above.
func (p *plan) high(i int) uint64 {
	for _, s := range p.segs[i+1:] {
		if s.first > 0 {
			return s.index
		}
	}
	return maxNumber
}

func (w *inspection) visit(v *visit) error {
	if !w.began {
		w.began, w.seq = true, v.seg.first
	}
	if w.segment != nil {
		w.segment(v)
	}
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
		d := Damage{Segment: v.name(), From: end, To: v.scan.begin, Reason: "these bytes are no block"}
		if h.first > w.seq {
			d.FirstSeq, d.LastSeq = w.seq, h.first-1
			if end == v.scan.begin {
				d.Segment, d.Reason = "", "blocks are missing"
			}
		}
		if d.From < d.To || d.FirstSeq > 0 {
			w.found(d)
		}
		end = v.scan.off
		w.seq, w.last = max(w.seq, h.next()), h.number
		if w.block == nil {
			continue
		}
		if err := w.block(v, h); err != nil {
			return err
		}
	}
	switch {
	case end == v.seg.size:
	case !v.last || w.st.Block > w.last:
		w.found(Damage{Segment: v.name(), From: end, To: v.seg.size, Reason: "these bytes are no block"})
	case w.unfinished != nil:
		w.unfinished(v.seg.size - end)
	}
	return nil
}

func (w *inspection) found(d Damage) {
	if w.damage != nil {
		w.damage(d)
	}
}

// badPayload is the damage of a block of which only the header is good.
func badPayload(v *visit, h *header) Damage {
	d := Damage{Segment: v.name(), From: v.scan.begin, To: v.scan.off, Reason: "the payload's checksum is wrong"}
	if h.count > 0 {
		d.FirstSeq, d.LastSeq = h.first, h.next()-1
	}
	return d
}

// writtenOff reports whether all there is to d is events that a repair wrote off.
func (w *inspection) writtenOff(d Damage) bool {
	return d.Segment == "" && d.FirstSeq > 0 && knows(w.st.Lost, d.FirstSeq, d.LastSeq)
}

func walDir(dir string) string { return filepath.Join(dir, "wal") }
