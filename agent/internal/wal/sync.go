package wal

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"time"

	twal "github.com/tidwall/wal"

	"github.com/adrian207/siemd/agent"
)

func (l *Log) openTidwall() (tw *twal.Log, err error) {
	err = l.disk.do("openlog", l.dir, func() error {
		tw, err = twal.Open(l.dir, &twal.Options{
			NoSync: true, NoCopy: true, AllowEmpty: true, SegmentSize: l.opts.SegmentSize, SegmentCacheSize: 1,
			DirPerms: 0o700, FilePerms: 0o600,
		})
		return err
	})
	if err == nil && tw == nil {
		err = os.ErrNotExist
	}
	return tw, err
}

// commitLoop builds blocks from the line and writes them, one after the other.
// It is the only user of tidwall's log. While one block is being fsynced it
// builds the next, but only if that is full: else the line goes on gathering,
// so that one producer never waits for others and a hundred share an fsync.
func (l *Log) commitLoop() {
	defer close(l.ended)
	var batch []*Chunk
	for {
		batch = l.nextBatch(batch[:0])
		if batch == nil {
			return
		}
		l.mu.Lock()
		number, first, durable := l.nextBlock, l.nextSeq, l.durable.block
		l.mu.Unlock()
		w := l.build(batch, number, first, durable)
		l.write(w)
	}
}

// nextBatch waits for something to write and for leave to write it. Nil: the
// log is closing and there is nothing left, or no way to write it.
func (l *Log) nextBatch(batch []*Chunk) []*Chunk {
	l.mu.Lock()
	for {
		l.turns.committer.Add(1)
		switch {
		case l.poison != nil:
			l.mu.Unlock()
			if !l.reopen() {
				return nil
			}
			l.mu.Lock()
			continue
		case l.line.head == nil && l.closing:
			l.mu.Unlock()
			return nil
		case l.line.head != nil && l.mayBuildLocked():
			if l.hasRoomLocked() {
				batch = l.takeLocked(batch)
				l.mu.Unlock()
				return batch
			}
			if l.closing {
				l.mu.Unlock()
				return nil
			}
			l.mu.Unlock()
			l.waitForRoom()
			l.mu.Lock()
			continue
		}
		l.mu.Unlock()
		<-l.wakeCommitter
		l.mu.Lock()
	}
}

func (l *Log) mayBuildLocked() bool {
	switch {
	case len(l.unsynced) == 0:
		return true
	case l.dirty >= unsyncedLimit:
		return false
	}
	return l.opts.Sync == "interval" || l.line.bytes >= blockSize
}

// write appends the block in l.entry to the file, and hands it to the syncer.
func (l *Log) write(w *written) {
	l.mu.Lock()
	tail := l.segs[len(l.segs)-1]
	l.mu.Unlock()
	size := int64((bits.Len64(uint64(len(l.entry))|1)+6)/7) + int64(len(l.entry))
	err := l.disk.do("write", tail.path, func() error { return l.tw.Write(w.block.header.number, l.entry) })
	if cap(l.entry) > 4<<20 {
		l.entry = nil // one huge block must not stay in memory for ever
	}
	w.seg, w.end = tail, tail.written+size
	w.block.seg, w.block.begin, w.block.end = tail, tail.written, w.end
	l.mu.Lock()
	l.unsynced = append(l.unsynced, w)
	l.dirty += int64(w.block.header.raw)
	if err != nil {
		l.poisonLocked(err)
		l.mu.Unlock()
		return
	}
	l.nextBlock++
	l.nextSeq = w.block.header.next()
	l.bytes += size
	l.full.free -= size
	if tail.written == 0 {
		tail.time = w.block.header.time
	}
	tail.written = w.end
	if l.opts.Sync == "interval" {
		l.answerWrittenLocked(w)
	}
	l.mu.Unlock()
	// Tidwall's log has begun a new segment, and fsynced the old one, if this one is full.
	if w.end >= int64(l.opts.SegmentSize) {
		if err := l.nextSegment(tail); err != nil {
			l.mu.Lock()
			l.poisonLocked(err)
			l.mu.Unlock()
		}
	}
	wake(l.wakeSyncer)
}

func (l *Log) nextSegment(old *segment) error {
	l.mu.Lock()
	s := &segment{index: l.nextBlock, first: l.nextSeq, path: segmentPath(l.dir, l.nextBlock)}
	stale := l.stale
	l.mu.Unlock()
	var err error
	if s.f, err = l.disk.open(s.path, os.O_RDWR); err != nil {
		return err
	}
	l.tw.ClearCache() // else it keeps the old segment in memory
	l.mu.Lock()
	old.done = true
	l.segs = append(l.segs, s)
	l.mu.Unlock()
	if stale < maxStale {
		return nil
	}
	// Tidwall's log still lists the segments that were removed behind its back.
	if err := l.tw.Close(); err != nil {
		return err
	}
	if l.tw, err = l.openTidwall(); err != nil {
		return err
	}
	l.mu.Lock()
	l.stale = 0
	l.mu.Unlock()
	return nil
}

// maxStale bounds the memory for segments that tidwall's log does not know to be gone.
const maxStale = 1000

// answerWrittenLocked is for sync: interval, which answers before the fsync.
func (l *Log) answerWrittenLocked(w *written) {
	for _, cm := range w.commits {
		l.answerLocked(cm, nil)
	}
	w.commits = nil
}

// syncLoop fsyncs what has been written, all of it at once, shows it to the
// readers and answers those who wait.
func (l *Log) syncLoop() {
	defer close(l.synced)
	last := time.Now()
	for {
		l.mu.Lock()
		l.turns.syncer.Add(1)
		for len(l.unsynced) == 0 || l.poison != nil {
			ended := false
			select {
			case <-l.ended:
				ended = true
			default:
			}
			l.mu.Unlock()
			if ended {
				return
			}
			<-l.wakeSyncer
			l.turns.syncer.Add(1)
			l.mu.Lock()
		}
		if l.opts.Sync == "interval" && l.dirty < unsyncedLimit && !l.closing {
			if d := l.opts.SyncInterval - time.Since(last); d > 0 {
				l.mu.Unlock()
				l.pause(d)
				continue
			}
		}
		work := l.unsynced
		l.syncing = true
		l.mu.Unlock()
		last = time.Now()
		err := l.syncAll(work)
		l.mu.Lock()
		l.syncing = false
		if err != nil {
			l.poisonLocked(err)
		} else {
			l.publishLocked(work)
			n := copy(l.unsynced, l.unsynced[len(work):])
			clear(l.unsynced[n:])
			l.unsynced = l.unsynced[:n]
		}
		l.mu.Unlock()
		wake(l.wakeCommitter)
	}
}

// pause waits for d, or until the log closes, or there is a lot to sync.
func (l *Log) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return
		case <-l.stop:
			return
		case <-l.wakeSyncer:
			l.turns.syncer.Add(1)
			l.mu.Lock()
			full := l.dirty >= unsyncedLimit || l.poison != nil
			l.mu.Unlock()
			if full {
				return
			}
		}
	}
}

// syncAll makes the blocks in work durable.
func (l *Log) syncAll(work []*written) error {
	began := time.Now()
	var before *segment
	for _, w := range work {
		s := w.seg
		if s == before {
			continue
		}
		before = s
		if !s.named.Load() {
			if err := l.disk.syncDir(l.dir); err != nil {
				return err
			}
			s.named.Store(true)
		}
		l.mu.Lock()
		done := s.done
		l.mu.Unlock()
		if done {
			continue // by tidwall's log, when it began the next
		}
		if err := l.disk.sync(s.f); err != nil {
			return err
		}
	}
	l.meters.fsync.Update(time.Since(began).Seconds())
	return nil
}

// publishLocked shows durable blocks to the readers and answers their commits.
func (l *Log) publishLocked(work []*written) {
	for _, w := range work {
		h := &w.block.header
		w.seg.size = w.end
		if w.seg.done {
			w.seg.closeSync()
		}
		l.durable = position{h.number, h.next()}
		l.dirty -= int64(h.raw)
		l.applyMarksLocked(h)
		if len(h.targets) > 0 {
			for _, c := range l.cursors {
				if !w.block.For(c.name) {
					c.ahead += uint64(h.count)
				}
			}
		}
		if h.count > 0 && l.readers > 0 {
			l.warm.add(w.block)
		} else {
			w.block.Release()
		}
		for _, cm := range w.commits {
			l.answerLocked(cm, nil)
		}
	}
	l.changedLocked()
	l.announceLocked()
}

// announceLocked wakes the readers.
func (l *Log) announceLocked() {
	if l.published != nil {
		close(l.published)
		l.published = nil
	}
}

// poisonLocked notes that the log's files are not what we think they are.
// Nothing is written to them any more until they have been read again: after a
// failed fsync a second one succeeds without doing anything.
func (l *Log) poisonLocked(err error) {
	if l.poison != nil {
		return
	}
	l.poison = err
	l.log.Error("the log cannot be written, reopening it", "err", err)
	wake(l.wakeCommitter)
}

// failAllLocked answers everything that is on its way with an error. What was
// acknowledged before its fsync (sync: interval) is counted as lost.
func (l *Log) failAllLocked(err error) {
	for _, w := range l.unsynced {
		for _, cm := range w.commits {
			l.answerLocked(cm, err)
		}
		w.block.Release()
	}
	if l.opts.Sync == "interval" {
		l.durable.seq = max(l.durable.seq, l.nextSeq) // a hole that readers will find
	}
	l.unsynced, l.dirty = nil, 0
	for l.line.head != nil {
		l.dropLocked(l.line.head, err)
	}
}

// reopen brings a poisoned log back, and tries until it succeeds. It reports
// whether it did before the log was closed.
func (l *Log) reopen() bool {
	l.mu.Lock()
	for l.syncing {
		l.mu.Unlock()
		<-l.wakeCommitter
		l.mu.Lock()
	}
	cause := l.poison
	l.failAllLocked(cause)
	l.announceLocked()
	l.mu.Unlock()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		l.turns.committer.Add(1)
		err := l.tryReopen()
		l.mu.Lock()
		if err == nil {
			again := l.trouble != nil
			l.poison, l.trouble = nil, nil
			if noSpace(cause) {
				l.full.until = time.Now().Add(l.opts.fullWait)
				l.full.err = fmt.Errorf("%w: %w", agent.ErrFull, cause)
			}
			l.admitLocked()
			l.mu.Unlock()
			l.log.Info("the log is writable again", "after_retries", again)
			return true
		}
		if l.trouble == nil || l.trouble.Error() != err.Error() {
			l.log.Error("the log cannot be reopened, trying again", "err", err)
		}
		l.trouble = err
		l.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-l.stop:
			t.Stop()
			return false
		}
	}
}

// tryReopen cuts the last segment back to what is known to be durable, and
// goes on in a new one.
func (l *Log) tryReopen() error {
	if l.tw != nil {
		l.tw.Close() // its error says nothing new
		l.tw = nil
	}
	l.mu.Lock()
	segs := l.segs
	durable := l.durable
	l.mu.Unlock()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	keep := len(segs)
	for keep > 0 && segs[keep-1].index > durable.block {
		keep-- // nothing durable in it
	}
	for _, s := range segs[keep:] {
		if err := l.disk.remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	// A segment that tidwall's log began, and that we did not get to know.
	if err := l.removeAbove(durable.block); err != nil {
		return err
	}
	if keep > 0 {
		s := segs[keep-1]
		if err := l.disk.truncate(s.path, s.size); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	l.mu.Lock()
	for _, s := range segs {
		s.closeSync()
	}
	l.segs = segs[:keep]
	if keep > 0 {
		s := l.segs[keep-1]
		s.written, s.done = s.size, true
	}
	l.tailLocked() // readers and others rely on there being one
	l.countBytesLocked()
	l.mu.Unlock()
	return l.openTail()
}

func (l *Log) removeAbove(block uint64) error {
	list, _, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.index > block {
			if err := l.disk.remove(s.path); err != nil {
				return err
			}
		}
	}
	return nil
}
