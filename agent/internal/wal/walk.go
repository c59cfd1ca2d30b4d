package wal

import (
	"errors"
	"os"
	"slices"
)

// recoverMarks applies the blocks that the state does not know yet. Those
// above doubt, unless it is 0, may follow one that is missing, and a mark of theirs would
// claim its lines: their inputs go on from an earlier one.
func (l *Log) recoverMarks(st *state, doubt uint64) error {
	return l.walk(st.Block, func(h *header) {
		if doubt == 0 || h.number < doubt {
			l.applyMarksLocked(h)
		}
		for _, c := range l.cursors {
			if !forOutput(h.targets, c.name) && h.next() > c.seq {
				c.ahead += h.next() - max(h.first, c.seq)
			}
		}
	})
}

// walk calls f for the header of each block above number after, as far as
// they are durable. A block that cannot be read is left out.
func (l *Log) walk(after uint64, f func(*header)) error {
	l.mu.Lock()
	segs := slices.Clone(l.segs)
	l.mu.Unlock()
	return l.walkSegments(segs, after, f)
}

func (l *Log) walkSegments(segs []*segment, after uint64, f func(*header)) error {
	l.mu.Lock()
	sizes := make([]int64, len(segs))
	for i, s := range segs {
		sizes[i] = s.size
	}
	l.mu.Unlock()
	for i, s := range segs {
		high := uint64(maxNumber)
		if i+1 < len(segs) {
			high = segs[i+1].index
		}
		if high <= after+1 {
			continue
		}
		in, err := openFile(s.path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		sc := scanner{f: in, limit: sizes[i], low: s.index, high: high}
		for {
			ok, err := sc.next()
			if err != nil {
				in.release()
				return err
			}
			if !ok {
				break
			}
			if sc.h.number > after {
				f(&sc.h)
			}
		}
		in.release()
	}
	return nil
}

func (l *Log) applyMarksLocked(h *header) {
	for _, m := range h.marks {
		if m.Pos == nil {
			delete(l.marks, m.Key)
		} else {
			l.marks[m.Key] = m.Pos
		}
	}
}

// Marks are the durable marks whose keys begin with prefix.
func (l *Log) Marks(prefix string) map[string][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]byte{}
	for key, pos := range l.marks {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			out[key] = pos
		}
	}
	return out
}
