package wal

import (
	"context"
	"math/bits"
	"os"

	twal "github.com/tidwall/wal"
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
// While one block is being fsynced it builds the next, but only if that is
// full: else the line goes on gathering, so that one producer never waits for
// others and a hundred share an fsync.
func (l *Log) commitLoop() {
	defer close(l.ended)
	for l.nextBatch() {
		l.turn()
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		wake(l.wakeSyncer)
	}
}

// turn makes a block of the batch and writes it. Only who has set busy may call it.
func (l *Log) turn() {
	l.mu.Lock()
	number, first, durable := l.nextBlock, l.nextSeq, l.durable.block
	l.mu.Unlock()
	w := l.build(l.batch, number, first, durable)
	clear(l.batch)
	l.write(w)
}

// nextBatch waits for something to write and for leave to write it, and sets
// busy. False: the log is closing and there is nothing left, or no way to write it.
func (l *Log) nextBatch() bool {
	l.mu.Lock()
	for {
		if !l.busy {
			l.turns.committer.Add(1)
		}
		switch {
		case l.busy: // a leader is; it wakes us
		case l.poison != nil:
			l.mu.Unlock()
			if !l.reopen() {
				return false
			}
			l.mu.Lock()
			continue
		case l.line.head == nil && l.closing:
			l.mu.Unlock()
			return false
		case l.line.head != nil && l.mayBuildLocked():
			if l.hasRoomLocked() {
				l.busy = true
				l.batch = l.takeLocked(l.batch[:0])
				l.mu.Unlock()
				return true
			}
			if l.closing {
				l.mu.Unlock()
				return false
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

// idleLocked reports whether a chunk that is alone in line may be written at once.
func (l *Log) idleLocked() bool {
	return !l.busy && l.poison == nil && !l.closing && l.mayBuildLocked()
}

// lead writes the chunk of cm and makes it durable, if it is alone in line and
// nobody else is at the log: waking the committer, the syncer and then the
// caller would cost as much as the work. ctx is not looked at meanwhile.
func (l *Log) lead(ctx context.Context, cm *Commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := cm.chunk; c == nil || l.line.head != c || l.line.tail != c || !l.idleLocked() || ctx.Err() != nil {
		return
	}
	if !l.hasRoomLocked() {
		wake(l.wakeCommitter) // which looks for some
		return
	}
	l.busy = true
	l.batch = l.takeLocked(l.batch[:0])
	l.mu.Unlock()
	l.turn()
	l.mu.Lock()
	l.busy = false
	l.turns.committer.Add(1)
	if l.poison == nil && !l.syncing && l.opts.Sync != "interval" {
		if l.line.head != nil {
			wake(l.wakeCommitter) // for what is a full block by now
		}
		l.syncLocked()
	}
	if l.line.head != nil || l.poison != nil || l.closing {
		wake(l.wakeCommitter)
	}
	if len(l.unsynced) > 0 || l.closing {
		wake(l.wakeSyncer)
	}
}

func (l *Log) mayBuildLocked() bool {
	switch {
	case len(l.unsynced) == 0:
		return true
	case l.dirty >= unsyncedLimit:
		return false
	}
	return l.opts.Sync == "interval" || l.line.bytes >= l.opts.block
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
	tailBuffers.handOver(l.tw) // else it keeps the old segment in memory
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
