package wal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/adrian207/siemd/agent"
)

// fullState is whether the log has room, and why not. Guarded by Log.mu.
type fullState struct {
	err    error // nil: there is room
	free   int64 // on the filesystem, as of the last look, less what was written since
	total  int64
	looked bool
	drop   bool // the committer waits for the keeper to drop the oldest segment
}

const (
	tick         = time.Second            // how often state is saved and space is looked at
	fullTick     = 100 * time.Millisecond // how often a full log looks for room
	removeAtOnce = 64                     // segments removed in one go, so that the disk is not busy with it for long
)

func (l *Log) countBytesLocked() {
	l.bytes = 0
	for _, s := range l.segs {
		l.bytes += s.written
	}
}

// hasRoomLocked reports whether the block that c begins may be written, and
// notes it if not.
func (l *Log) hasRoomLocked(c *Chunk) bool {
	need := max(min(l.line.bytes, blockSize), int64(len(c.buf))) + 4<<10
	var err error
	switch reserve := l.opts.MinFree.Of(l.full.total); {
	case l.bytes+need > l.opts.MaxSize:
		err = fmt.Errorf("%w: max_size of %s is used", agent.ErrFull, agent.Bytes(l.opts.MaxSize))
	case l.full.looked && reserve > 0 && l.full.free-need < reserve:
		err = fmt.Errorf("%w: less than min_free of %s is free", agent.ErrFull, l.opts.MinFree)
	}
	if (err == nil) != (l.full.err == nil) {
		if err != nil {
			l.log.Warn("the log is full", "reason", err, "when_full", l.opts.WhenFull)
		} else {
			l.log.Info("the log has room again")
		}
	}
	l.full.err = err
	if err == nil {
		l.admitLocked()
	}
	return err == nil
}

// waitForRoom waits a moment, or until the keeper has made room.
func (l *Log) waitForRoom() {
	if l.opts.WhenFull == "drop_oldest" {
		l.mu.Lock()
		l.full.drop = true
		l.mu.Unlock()
		wake(l.wakeKeeper)
	}
	t := time.NewTimer(fullTick)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.wakeCommitter:
	case <-l.stop:
	}
	l.lookAtSpace()
}

func (l *Log) lookAtSpace() {
	free, total, err := l.disk.room(l.dir)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.full.free, l.full.total, l.full.looked = free, total, true
	}
}

// keep saves the state, removes what every output is finished with, and looks
// at the space, once a second.
func (l *Log) keep() {
	defer close(l.keeperEnded)
	t := time.NewTicker(tick)
	defer t.Stop()
	failing := ""
	for {
		select {
		case <-t.C:
		case <-l.wakeKeeper:
			l.dropOldest()
			continue
		case <-l.stop:
			return
		}
		err := l.saveState()
		if err != nil && failing != err.Error() {
			l.log.Error("the state cannot be saved, trying again", "err", err)
			failing = err.Error()
		} else if err == nil && failing != "" {
			l.log.Info("the state is saved again")
			failing = ""
		}
		l.truncate()
		l.lookAtSpace()
	}
}

// truncate removes the segments below the lowest saved cursor. They are
// unlinked, not cut with tidwall's TruncateFront, which rewrites a segment and
// holds its lock for it: the writer never notices. Both generations of the
// state must be past a segment, so that either is enough to go on from.
func (l *Log) truncate() {
	l.mu.Lock()
	settled := l.settledLocked()
	n := 0
	for n < removeAtOnce && n+1 < len(l.segs) && l.segs[n].done &&
		l.segs[n+1].first <= settled && l.segs[n+1].index <= l.saved.block+1 && l.saved.newest != nil {
		n++
	}
	l.popLocked(n)
	for len(l.writtenOff) > 0 && l.writtenOff[0].Last < l.segs[0].first {
		l.writtenOff = l.writtenOff[1:]
	}
	l.mu.Unlock()
	l.removeDoomed()
	if n > 0 {
		wake(l.wakeCommitter)
	}
}

// popLocked takes the first n segments out of the log.
func (l *Log) popLocked(n int) {
	for _, s := range l.segs[:n] {
		s.closeSync()
		l.doomed = append(l.doomed, s.path)
		l.bytes -= s.written
	}
	l.segs = append([]*segment(nil), l.segs[n:]...)
	l.stale += n
}

// removeDoomed unlinks what is no longer part of the log, the oldest first, so
// that a crash in between leaves no hole.
func (l *Log) removeDoomed() {
	l.mu.Lock()
	doomed := l.doomed
	l.doomed = nil
	l.mu.Unlock()
	for i, path := range doomed {
		if err := l.disk.remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.log.Warn("a finished segment cannot be removed", "path", path, "err", err)
			l.mu.Lock()
			l.doomed = append(doomed[i:], l.doomed...)
			l.mu.Unlock()
			return
		}
	}
}

// dropOldest gives up the oldest finished segment. Cursors that are not past
// it move on, and its events count as expired for them.
func (l *Log) dropOldest() {
	l.mu.Lock()
	want := l.full.drop && len(l.segs) > 1 && l.segs[0].done
	l.full.drop = false
	if !want {
		l.mu.Unlock()
		return
	}
	seg, end := l.segs[0], l.segs[1].first
	l.mu.Unlock()
	var foreign []header
	_ = l.walkSegments([]*segment{seg}, 0, func(h *header) {
		if len(h.targets) > 0 {
			foreign = append(foreign, header{first: h.first, count: h.count, targets: h.targets})
		}
	})
	l.mu.Lock()
	for _, c := range l.cursors {
		c.moveLocked(end, foreign)
	}
	l.popLocked(1)
	l.changedLocked()
	l.mu.Unlock()
	// Saved before it is gone, so that a crash finds nothing missing.
	if err := l.saveState(); err != nil {
		l.log.Warn("the state cannot be saved", "err", err)
	}
	l.removeDoomed()
	wake(l.wakeCommitter)
}

// moveLocked moves a laggard's cursor to end.
func (c *Cursor) moveLocked(end uint64, foreign []header) {
	if c.seq >= end {
		return
	}
	others := uint64(0)
	for i := range foreign {
		h := &foreign[i]
		if !forOutput(h.targets, c.name) && h.next() > c.seq {
			n := h.next() - max(h.first, c.seq)
			others += n
			c.ahead -= min(n, c.ahead)
		}
	}
	others = min(others, end-c.seq)
	c.counts.Foreign += others
	c.counts.Expired += end - c.seq - others
	c.seq = end
}
