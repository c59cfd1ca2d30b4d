package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// FailedOptions is what a failed store needs.
type FailedOptions struct {
	Dir     string        // of this connection: <data_dir>/failed/<connection>
	MaxSize int64         // bytes; 0: 1 GiB
	MaxAge  time.Duration // 0: 30 days
	Cursor  Cursor        // of the output; its counts follow what happens here
	Log     *slog.Logger

	noSync bool // for tests that crash often
}

// FailedStore is the store of the events that one SIEM refused: files of JSON
// lines, oldest first. An entry is on disk before the cursor passes its event.
// What falls off the end is counted as expired. It may be used from several
// goroutines, and is opened once per connection, not once per Runner.
type FailedStore struct {
	o FailedOptions

	mu      sync.Mutex // guards below, and all writing
	segs    []*segment
	active  *os.File          // the last of segs, if it may grow
	lastID  uint64            //
	ahead   map[uint64]uint64 // entries by sequence number that the cursor does not count: id
	owed    map[uint64]string // by sequence number: why entries were removed that the cursor has not counted yet
	removal string            // what the last removal was, as it is on disk

	surplus atomic.Int64 // len(ahead), to be asked without the lock
	debts   debts        // what owed adds up to
	count   atomic.Int64
	carried carry // from one runner to the next; only the one that runs touches it
}

// A segment is one file. Its name is the id of its first entry.
type segment struct {
	path        string
	count       int
	size        int64
	first, last uint64 // ids
	maxSeq      uint64
}

const (
	segmentSize  = 4 << 20
	segmentAges  = 30 // a file takes entries for this part of MaxAge
	removedSent  = "sent"
	removedOther = "expired"
)

// OpenFailed opens the store, making its directory if need be, and cuts what a crash left unfinished.
func OpenFailed(o FailedOptions) (*FailedStore, error) {
	if o.MaxSize == 0 {
		o.MaxSize = 1 << 30
	}
	if o.MaxAge == 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	s := &FailedStore{o: o, ahead: map[uint64]uint64{}, owed: map[uint64]string{}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open failed store %s: %w", o.Dir, err)
	}
	return s, nil
}

func (s *FailedStore) open() error {
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(s.o.Dir), "*"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		switch filepath.Ext(name) {
		case ".tmp":
			err = os.Remove(name)
		case ".jsonl":
			err = s.load(name)
		}
		if err != nil {
			return err
		}
	}
	b, err := os.ReadFile(s.removalPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.removal = strings.TrimSpace(string(b))
	return nil
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// load takes up a file. A last line without its end was never acknowledged.
func (s *FailedStore) load(path string) error {
	seg := &segment{path: path}
	size, err := eachLine(path, func(line []byte) error {
		id, seq, ok := lineKey(line)
		if ok {
			seg.add(id, seq, len(line))
		} else {
			s.o.Log.Warn("line of the failed store cannot be read", "file", path, "bytes", len(line))
			seg.size += int64(len(line))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if size > seg.size {
		if err := os.Truncate(path, seg.size); err != nil {
			return err
		}
	}
	if seg.count == 0 && seg.size == 0 {
		return os.Remove(path)
	}
	s.segs = append(s.segs, seg)
	s.lastID = max(s.lastID, seg.last)
	s.count.Add(int64(seg.count))
	return nil
}

func (seg *segment) add(id, seq uint64, size int) {
	if seg.count == 0 {
		seg.first = id
	}
	seg.count++
	seg.size += int64(size)
	seg.last = max(seg.last, id)
	seg.maxSeq = max(seg.maxSeq, seq)
}

// Len is the number of entries.
func (s *FailedStore) Len() int { return int(s.count.Load()) }

// Add makes entries durable, giving each its id and time. Those that are here
// already, from before a crash, stay as they are.
func (s *FailedStore) Add(entries []Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var buf []byte
	var added segment
	var known []uint64
	lastID := s.lastID
	for i := range entries {
		e := &entries[i]
		if _, ok := s.ahead[e.Seq]; ok {
			known = append(known, e.Seq)
			continue
		}
		lastID = max(lastID+1, uint64(now.UnixNano()))
		e.ID, e.Time = formatID(lastID), now.UTC()
		start := len(buf)
		buf = e.appendLine(buf)
		added.add(lastID, e.Seq, len(buf)-start)
	}
	if len(buf) > 0 {
		if err := s.appendLocked(buf, &added); err != nil {
			return fmt.Errorf("write failed store: %w", err)
		}
		s.lastID = lastID
		s.count.Add(int64(added.count))
	}
	for _, seq := range known {
		delete(s.ahead, seq) // it is counted now
	}
	s.surplus.Store(int64(len(s.ahead)))
	s.capLocked(now)
	return nil
}

// appendLocked writes buf to the last file, or to a new one, and fsyncs it.
func (s *FailedStore) appendLocked(buf []byte, added *segment) error {
	if n := len(s.segs); n > 0 && s.active != nil {
		last := s.segs[n-1]
		if last.size+int64(len(buf)) > s.maxSegment() || added.last-last.first > uint64(s.o.MaxAge/segmentAges) {
			s.sealLocked()
		}
	}
	if s.active == nil {
		path := filepath.Join(s.o.Dir, formatID(added.first)+".jsonl")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		if err := s.syncDir(); err != nil {
			f.Close()
			os.Remove(path)
			return err
		}
		s.active = f
		s.segs = append(s.segs, &segment{path: path})
	}
	last := s.segs[len(s.segs)-1]
	_, err := s.active.Write(buf)
	if err == nil && !s.o.noSync {
		err = s.active.Sync()
	}
	if err != nil {
		// Nobody knows what is on disk. Cut it off, and never write to this file again.
		_ = s.active.Truncate(last.size)
		s.sealLocked()
		if last.count == 0 {
			s.segs = s.segs[:len(s.segs)-1]
			_ = os.Remove(last.path)
		}
		return err
	}
	if last.count == 0 {
		last.first = added.first
	}
	last.count += added.count
	last.size += added.size
	last.last, last.maxSeq = added.last, max(last.maxSeq, added.maxSeq)
	return nil
}

func (s *FailedStore) maxSegment() int64 { return min(segmentSize, max(s.o.MaxSize/4, 1)) }

// sealLocked ends the file that grows.
func (s *FailedStore) sealLocked() {
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
}

// Close closes the file that grows.
func (s *FailedStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealLocked()
	return nil
}

// overtaken is told what was taken: an entry from before a crash may be among it.
func (s *FailedStore) overtaken(seqs func(yield func(uint64) bool)) {
	if s.surplus.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := map[uint64]bool{}
	for seq := range seqs {
		if id, ok := s.ahead[seq]; ok {
			gone[id] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	if err := s.rewriteLocked(func(e *Entry) bool { return !gone[parseID(e.ID)] }, gone, removedOther); err != nil {
		s.o.Log.Error("failed store cannot be written, it holds events that were sent", "events", len(gone), "err", err)
	}
}

func formatID(id uint64) string { return fmt.Sprintf("%016x", id) }

func parseID(id string) uint64 {
	n, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		return 0
	}
	return n
}
