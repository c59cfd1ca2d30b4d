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
	need   int64 // bytes for which there was none, or 0
	free   int64 // on the filesystem, as of the last look, less what was written since
	total  int64
	looked bool
	until  time.Time // the disk said no at the last write: nothing is tried before
	drop   bool      // the committer waits for the keeper to drop the oldest segment
}

const (
	tick         = time.Second            // how often state is saved and space is looked at
	fullTick     = 100 * time.Millisecond // how often a full log looks for room
	leastFree    = ballastSize            // stays free whatever min_free says
	removeAtOnce = 64                     // segments removed in one go, so that the disk is not busy with it for long
)

func (l *Log) countBytesLocked() {
	l.bytes = 0
	for _, s := range l.segs {
		l.bytes += s.written
	}
}

// hasRoomLocked reports whether the next block may be written, and notes it if
// not. A full log stays full until there is room for what it had none for, be
// that still in line or not: else it would change its mind with whoever looks.
func (l *Log) hasRoomLocked() bool {
	need := int64(4 << 10)
	if c := l.line.head; c != nil {
		need += max(min(l.line.bytes, l.opts.block), int64(c.size))
	}
	need = max(need, l.full.need)
	var err error
	switch reserve := max(l.opts.MinFree.Of(l.full.total), leastFree); {
	case time.Now().Before(l.full.until):
		err = fmt.Errorf("%w: no space is left on the device", agent.ErrFull)
	case l.bytes+need > l.opts.MaxSize:
		err = fmt.Errorf("%w: max_size of %s is used", agent.ErrFull, agent.Bytes(l.opts.MaxSize))
	case l.full.looked && l.full.free-need < reserve:
		err = fmt.Errorf("%w: less than min_free (%s, and %s in any case) is free on the disk", agent.ErrFull, l.opts.MinFree, agent.Bytes(leastFree))
	}
	if (err == nil) != (l.full.err == nil) {
		if err != nil {
			l.log.Warn("the log is full", "reason", err, "when_full", l.opts.WhenFull)
		} else {
			l.log.Info("the log has room again")
		}
	}
	l.full.err, l.full.need = err, min(need, l.opts.block, l.opts.MaxSize/4)
	if err == nil {
		l.full.need = 0
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
	t := time.NewTimer(min(fullTick, l.opts.fullWait))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.wakeCommitter:
	case <-l.stop:
	}
	l.lookAtSpace()
}

// diskWorks tells a place that cannot be read from a disk that is away.
func (l *Log) diskWorks() bool {
	l.mu.Lock()
	troubled := l.poison != nil || l.trouble != nil
	l.mu.Unlock()
	return !troubled && l.disk.works(l.dir)
}

func (l *Log) lookAtSpace() {
	free, total, err := l.disk.room(l.dir)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && free >= 0 && total > 0 {
		l.full.free, l.full.total, l.full.looked = free, total, true
	}
	if l.hasRoomLocked() {
		wake(l.wakeCommitter)
		return
	}
	if l.line.head == nil && l.opts.WhenFull == "drop_oldest" && l.bytes+l.full.need > l.opts.MaxSize {
		// Who was in line has left. Others may wait until the log says that it has room.
		l.full.drop = true
		wake(l.wakeKeeper)
	}
	l.sendAwayLocked()
}

// sendAwayLocked answers what came into the line of a log that turned out to
// be full, and whose Append would wait for room no longer.
func (l *Log) sendAwayLocked() {
	for c := l.line.head; c != nil; {
		next := c.next
		if cm := c.commit; cm.admitted && cm.patience.Err() != nil {
			l.dropLocked(c, l.full.err)
			next = l.line.head // others may have gone with it
		}
		c = next
	}
}

// keep saves the state, removes what every output is finished with, and looks
// at the space, once a second.
func (l *Log) keep() {
	defer close(l.keeperEnded)
	t := time.NewTicker(l.opts.tick)
	defer t.Stop()
	failing := ""
	var next time.Time // when the state is saved ahead of its time at the earliest
	early := time.NewTimer(time.Hour)
	early.Stop()
	defer early.Stop()
	for {
		l.turns.keeper.Add(1)
		select {
		case <-t.C:
		case <-l.movedFar:
			// After a crash what was delivered since the state was saved comes again: at full speed a second's is much.
			early.Reset(time.Until(next))
			continue
		case <-early.C:
		case <-l.wakeKeeper:
			l.dropOldest()
			continue
		case <-l.stop:
			return
		}
		begun := time.Now()
		err := l.saveState()
		next = begun.Add(max(l.opts.tick/hurried, saveShare*time.Duration(l.stateCost.Load())))
		if err != nil && failing != err.Error() {
			l.log.Error("the state cannot be saved, trying again", "err", err)
			failing = err.Error()
		} else if err == nil && failing != "" {
			l.log.Info("the state is saved again")
			failing = ""
		}
		l.truncate()
		l.lookAtSpace()
		l.takeBallast()
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
	if n > 0 {
		l.dropped = l.segs[0].first
	}
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
