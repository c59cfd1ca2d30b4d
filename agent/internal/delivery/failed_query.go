package delivery

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// errEnough ends a walk.
var errEnough = errors.New("enough")

// walk calls f for the entries with an id above after that the filter picks,
// oldest first, until f is false.
func (s *FailedStore) walk(filter FailedFilter, after uint64, f func(e *Entry) bool) error {
	s.mu.Lock()
	segs := make([]segment, 0, len(s.segs))
	for _, seg := range s.segs {
		segs = append(segs, *seg)
	}
	s.mu.Unlock()
	now := time.Now()
	for _, seg := range segs {
		if seg.last <= after {
			continue
		}
		_, err := eachLine(seg.path, func(line []byte) error {
			id, _, ok := lineKey(line)
			if !ok || id <= after {
				return nil
			}
			e, err := parseEntry(line)
			if err != nil || !filter.picks(&e, now) {
				return nil
			}
			if !f(&e) {
				return errEnough
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil && !errors.Is(err, os.ErrNotExist): // it may have been dropped meanwhile
			return fmt.Errorf("read failed store: %w", err)
		}
	}
	return nil
}

// List returns up to limit entries that the filter picks, oldest first, and
// where to go on: "" if there are no more.
func (s *FailedStore) List(filter FailedFilter, cursor string, limit int) (entries []Entry, next string, err error) {
	err = s.walk(filter, parseID(cursor), func(e *Entry) bool {
		if len(entries) == limit {
			next = entries[limit-1].ID
			return false
		}
		entries = append(entries, *e)
		return true
	})
	return entries, next, err
}

// Get is the entry with that id.
func (s *FailedStore) Get(id string) (Entry, bool, error) {
	n := parseID(id)
	if n == 0 {
		return Entry{}, false, nil
	}
	var found Entry
	err := s.walk(FailedFilter{}, n-1, func(e *Entry) bool { found = *e; return false })
	return found, err == nil && found.ID == id, err
}

// find is the newest entry of an event.
func (s *FailedStore) find(seq uint64) (found Entry, ok bool) {
	s.mu.Lock()
	segs := make([]segment, 0, len(s.segs))
	for _, seg := range s.segs {
		segs = append(segs, *seg)
	}
	s.mu.Unlock()
	for i := len(segs) - 1; i >= 0 && !ok; i-- {
		if segs[i].maxSeq < seq {
			continue
		}
		_, _ = eachLine(segs[i].path, func(line []byte) error {
			if _, n, isLine := lineKey(line); isLine && n == seq {
				if e, err := parseEntry(line); err == nil {
					found, ok = e, true
				}
			}
			return nil
		})
	}
	return found, ok
}

// Export writes the entries that the filter picks, one JSON object a line.
func (s *FailedStore) Export(w io.Writer, filter FailedFilter) error {
	var buf []byte
	var writeErr error
	err := s.walk(filter, 0, func(e *Entry) bool {
		buf = append(e.AppendJSON(buf[:0]), '\n')
		_, writeErr = w.Write(buf)
		return writeErr == nil
	})
	return errors.Join(err, writeErr)
}

// Purge removes the entries that the filter picks. They count as expired.
func (s *FailedStore) Purge(filter FailedFilter) (removed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.noteRemovalLocked(removedOther); err != nil {
		return 0, err
	}
	now := time.Now()
	err = s.rewriteLocked(func(e *Entry) bool {
		if (filter.Limit == 0 || removed < filter.Limit) && filter.picks(e, now) {
			removed++
			return false
		}
		return true
	}, nil, removedOther)
	return removed, err
}

// apply removes the entries in taken and notes another attempt of those in again, by id.
func (s *FailedStore) apply(taken map[uint64]bool, again map[uint64]refusal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(taken) > 0 {
		if err := s.noteRemovalLocked(removedSent); err != nil {
			return err
		}
	}
	ids := make(map[uint64]bool, len(taken)+len(again))
	for id := range taken {
		ids[id] = true
	}
	for id := range again {
		ids[id] = true
	}
	return s.rewriteLocked(func(e *Entry) bool {
		id := parseID(e.ID)
		if f, ok := again[id]; ok {
			e.Attempts++
			e.answer(f.err)
		}
		return !taken[id]
	}, ids, removedSent)
}
