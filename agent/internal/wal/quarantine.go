package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// quarantineLimit bounds what is set aside, in bytes; more is only counted.
const quarantineLimit = 256 << 20

// damage counts what was found broken since the log was opened.
type damage struct {
	mu     sync.Mutex
	seen   map[string]bool
	blocks uint64 // regions of a segment that are no good block
	events uint64 // sequence numbers that were found missing
	states uint64 // generations of state.json
}

// first reports whether what is called name is seen for the first time.
func (d *damage) first(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[name] {
		return false
	}
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	d.seen[name] = true
	return true
}

func (l *Log) quarantineDir() string { return filepath.Join(l.dir, "quarantine") }

// quarantine copies bytes of a segment that are no good block aside, once,
// and counts them. unfinished: they are the end of a write that was never
// acknowledged, and no damage.
func (l *Log) quarantine(s *segment, from, to int64, unfinished bool) {
	name := scrapName(s, from, to)
	if !l.damage.first(name) {
		return
	}
	if unfinished {
		l.log.Info("cut an unfinished write off the log", "segment", filepath.Base(s.path), "from", from, "to", to)
	} else {
		l.damage.mu.Lock()
		l.damage.blocks++
		l.damage.mu.Unlock()
		l.meters.corrupt.Inc()
		l.log.Error("the log is damaged", "segment", filepath.Base(s.path), "from", from, "to", to)
	}
	// What is set aside is for people. It must not keep the log from opening.
	if err := l.copyAside(s.path, from, to, filepath.Join(l.quarantineDir(), name)); err != nil {
		l.log.Warn("damaged bytes cannot be set aside", "segment", filepath.Base(s.path), "err", err)
	}
}

func scrapName(s *segment, from, to int64) string {
	return fmt.Sprintf("%s-%d-%d", filepath.Base(s.path), from, to)
}

func (l *Log) copyAside(path string, from, to int64, target string) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if _, size := quarantined(l.dir); size+to-from > quarantineLimit {
		return errors.New("the quarantine is full")
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	if zeros(io.NewSectionReader(src, from, to-from)) {
		return nil
	}
	if err := os.MkdirAll(l.quarantineDir(), 0o700); err != nil {
		return err
	}
	dst, err := os.OpenFile(target+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.NewSectionReader(src, from, to-from))
	if err == nil {
		err = l.disk.sync(dst)
	}
	err = errors.Join(err, dst.Close())
	if err == nil {
		err = os.Rename(target+".tmp", target)
	}
	if err != nil {
		os.Remove(target + ".tmp")
	}
	return err
}

// zeros reports whether there is nothing but zero bytes: a file that was
// extended and not written.
func zeros(r io.Reader) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return false
			}
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// setAside moves a whole file into quarantine.
func (l *Log) setAside(name string) error {
	if err := os.MkdirAll(l.quarantineDir(), 0o700); err != nil {
		return err
	}
	target := filepath.Join(l.quarantineDir(), name)
	for i := 1; ; i++ {
		if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
			break
		}
		target = filepath.Join(l.quarantineDir(), fmt.Sprintf("%s.%d", name, i))
	}
	if err := l.disk.rename(filepath.Join(l.dir, name), target); err != nil {
		return err
	}
	l.damage.mu.Lock()
	l.damage.blocks++
	l.damage.mu.Unlock()
	l.meters.corrupt.Inc()
	l.log.Error("a file in the log holds no block of it", "file", name, "moved_to", target)
	return nil
}

// quarantined is the number and size of the files set aside.
func quarantined(dir string) (files int, size int64) {
	_ = scraps(dir, func(_ string, n int64) { files, size = files+1, size+n })
	return files, size
}

// scraps calls f for each file set aside.
func scraps(dir string, f func(path string, size int64)) error {
	dir = filepath.Join(dir, "quarantine")
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			f(filepath.Join(dir, e.Name()), info.Size())
		}
	}
	return err
}

// A tally counts the events in quarantine. It remembers the files that it has
// read, which do not change. The zero value is ready.
type tally struct {
	mu     sync.Mutex
	events map[string]uint64 // by path
}

// count is the number of events in the files set aside, as far as headers
// tell. Those of unfinished writes are among them, which nobody counts as lost.
func (t *tally) count(dir string) (events uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.events
	t.events = map[string]uint64{}
	_ = scraps(dir, func(path string, size int64) {
		n, ok := before[path]
		if !ok {
			n = eventsIn(path, size)
		}
		t.events[path] = n
		events += n
	})
	return events
}

func eventsIn(path string, size int64) (n uint64) {
	f, err := openFile(path)
	if err != nil {
		return 0
	}
	defer f.release()
	for sc := (scanner{f: f, limit: size, low: 1, high: maxNumber}); ; {
		if ok, err := sc.next(); !ok || err != nil {
			return n
		}
		n += uint64(sc.h.count)
	}
}

// eventsLost counts a hole in the sequence numbers, once for all readers.
func (l *Log) eventsLost(first, last uint64) {
	if !l.damage.first(fmt.Sprintf("events %d-%d", first, last)) {
		return
	}
	l.damage.mu.Lock()
	l.damage.events += last - first + 1
	l.damage.mu.Unlock()
	l.meters.lost.Add(int(last - first + 1))
	l.log.Error("events are lost to damage of the log", "first_seq", first, "last_seq", last)
}

// blockDamaged notes a block whose payload is not what its header says, from event next on.
func (l *Log) blockDamaged(b *Block, next uint64) {
	if next <= b.Last() {
		l.eventsLost(next, b.Last())
	}
	if b.seg != nil {
		l.quarantine(b.seg, b.begin, b.end, false)
	}
}
