package delivery

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// eachLine calls f with each whole line of a file, its end included, and
// returns the file's size. The line is valid until f returns.
func eachLine(path string, f func(line []byte) error) (size int64, err error) {
	// A file is small: a few MiB, or one event.
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	size = int64(len(data))
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			break
		}
		if err := f(data[:end+1]); err != nil {
			return size, err
		}
		data = data[end+1:]
	}
	return size, nil
}

// lineKey finds id and sequence number in a line without reading the rest.
func lineKey(line []byte) (id, seq uint64, ok bool) {
	const before = `{"id":"`
	if len(line) < len(before)+16 || string(line[:len(before)]) != before {
		return 0, 0, false
	}
	id, err := strconv.ParseUint(string(line[len(before):len(before)+16]), 16, 64)
	if err != nil {
		return 0, 0, false
	}
	head := line[:min(len(line), 120)]
	_, rest, found := bytes.Cut(head, []byte(`,"seq":`))
	if !found {
		return 0, 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte(","))
	seq, err = strconv.ParseUint(string(digits), 10, 64)
	return id, seq, err == nil
}

// rewriteLocked calls keep for the entries with one of ids (nil: for all), in
// order. Entries for which it is false are removed and count as why from then
// on; what it changed in others is kept. Each file is replaced as a whole.
func (s *FailedStore) rewriteLocked(keep func(e *Entry) bool, ids map[uint64]bool, why string) error {
	for i := 0; i < len(s.segs); i++ {
		seg := s.segs[i]
		if ids != nil && !seg.holdsAny(ids) {
			continue
		}
		if i == len(s.segs)-1 {
			s.sealLocked()
		}
		removed, err := s.rewriteSegment(seg, keep, ids)
		if err != nil {
			return err
		}
		s.removedLocked(removed, why)
		if seg.count == 0 {
			s.segs = slices.Delete(s.segs, i, i+1)
			i--
		}
	}
	return nil
}

// seqs are the sequence numbers of a file's entries.
func (seg *segment) seqs() (seqs []uint64, err error) {
	_, err = eachLine(seg.path, func(line []byte) error {
		if _, seq, ok := lineKey(line); ok {
			seqs = append(seqs, seq)
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return seqs, err
}

func (seg *segment) holdsAny(ids map[uint64]bool) bool {
	for id := range ids {
		if seg.first <= id && id <= seg.last {
			return true
		}
	}
	return false
}

// rewriteSegment is rewriteLocked for one file. It returns the sequence numbers of what it removed.
func (s *FailedStore) rewriteSegment(seg *segment, keep func(e *Entry) bool, ids map[uint64]bool) (removed []uint64, err error) {
	var buf []byte
	now := segment{path: seg.path}
	changed := false
	_, err = eachLine(seg.path, func(line []byte) error {
		if id, seq, ok := lineKey(line); ok && ids != nil && !ids[id] {
			buf = append(buf, line...)
			now.add(id, seq, len(line))
			return nil
		}
		e, err := parseEntry(line)
		if err != nil {
			buf = append(buf, line...) // for people
			now.size += int64(len(line))
			return nil
		}
		attempts := e.Attempts
		if !keep(&e) {
			removed = append(removed, e.Seq)
			return nil
		}
		start := len(buf)
		if e.Attempts != attempts {
			changed = true
			buf = e.appendLine(buf)
		} else {
			buf = append(buf, line...)
		}
		now.add(parseID(e.ID), e.Seq, len(buf)-start)
		return nil
	})
	if err != nil || len(removed) == 0 && !changed {
		return nil, err
	}
	if len(buf) == 0 {
		err = os.Remove(seg.path)
		if err == nil {
			err = s.syncDir()
		}
	} else {
		err = s.replaceFile(seg.path, buf)
	}
	if err != nil {
		return nil, err
	}
	s.count.Add(int64(now.count - seg.count))
	*seg = now
	return removed, nil
}

func (s *FailedStore) removalPath() string { return filepath.Join(s.o.Dir, "removal") }

// noteRemovalLocked records why entries are about to be removed. After a crash
// it tells what the missing ones are to be counted as.
func (s *FailedStore) noteRemovalLocked(why string) error {
	if s.removal == why {
		return nil
	}
	if err := s.replaceFile(s.removalPath(), []byte(why+"\n")); err != nil {
		return err
	}
	s.removal = why
	return nil
}

// replaceFile puts data in place of what path holds: after a crash there is either.
func (s *FailedStore) replaceFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && !s.o.noSync {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return s.syncDir()
}

func (s *FailedStore) syncDir() error {
	if s.o.noSync {
		return nil
	}
	d, err := os.Open(s.o.Dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
