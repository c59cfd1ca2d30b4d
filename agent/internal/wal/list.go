package wal

import (
	"errors"
	"time"

	"github.com/adrian207/siemd/agent"
)

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
	Damage   []Damage  `json:"damage,omitempty"` // in it or just before it, as far as headers tell
}

// List describes the segments by the headers of their blocks. What is missing
// before the first of them, or without any, is returned beside them.
func List(dir string) (list []SegmentInfo, missing []Damage, err error) {
	var w inspection
	w.segment = func(v *visit) {
		list = append(list, SegmentInfo{Name: v.name(), Size: v.seg.size})
	}
	w.block = func(_ *visit, h *header) error {
		list[len(list)-1].add(h)
		return nil
	}
	w.damage = func(d Damage) {
		switch {
		case w.writtenOff(d):
		case len(list) == 0:
			missing = append(missing, d)
		default:
			s := &list[len(list)-1]
			s.Damage = append(s.Damage, d)
		}
	}
	err = w.walk(dir)
	return list, missing, err
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

// A Range chooses events. Zero values do not limit.
type Range struct {
	FirstSeq, LastSeq uint64
	Since, Until      time.Time // of receipt
}

func (r *Range) has(e *agent.Event) bool {
	return e.Seq >= r.FirstSeq && (r.LastSeq == 0 || e.Seq <= r.LastSeq) &&
		(r.Since.IsZero() || e.Received >= r.Since.UnixNano()) && (r.Until.IsZero() || e.Received < r.Until.UnixNano())
}

// touches reports whether events that d cost may be in the range. Where
// nobody knows which they are they may, if all are asked for.
func (r *Range) touches(d Damage) bool {
	if d.FirstSeq == 0 {
		return r.FirstSeq <= 1 && r.LastSeq == 0
	}
	return d.LastSeq >= r.FirstSeq && (r.LastSeq == 0 || d.FirstSeq <= r.LastSeq)
}

// Dump calls f for each event in the range, in order; the event and its bytes
// are valid until f returns. An error of f ends it. What is damaged is passed
// over and returned.
func Dump(dir string, in Range, f func(*agent.Event) error) (damage []Damage, err error) {
	var events []agent.Event
	var w inspection
	w.damage = func(d Damage) {
		if in.touches(d) && !w.writtenOff(d) {
			damage = append(damage, d)
		}
	}
	w.block = func(v *visit, h *header) error {
		if h.count == 0 || h.next() <= in.FirstSeq || (in.LastSeq > 0 && h.first > in.LastSeq) {
			return nil
		}
		b := newBlock(nil, h)
		b.file, b.at = v.scan.f, v.scan.at
		v.scan.f.retain()
		defer b.Release()
		var err error
		if events, err = b.Events(events[:0]); errors.Is(err, ErrDamaged) {
			w.damage(badPayload(v, h))
			return nil
		} else if err != nil {
			return err
		}
		for i := range events {
			if !in.has(&events[i]) {
				continue
			}
			if err := f(&events[i]); err != nil {
				return err
			}
		}
		return nil
	}
	err = w.walk(dir)
	return damage, err
}
