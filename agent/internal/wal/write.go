package wal

import (
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
