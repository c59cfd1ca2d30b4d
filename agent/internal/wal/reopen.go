package wal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
)

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
	// The directory may be a new one, and its name is as important as what is in it.
	if err := l.disk.syncDir(l.opts.Dir); err != nil {
		return err
	}
	if err := l.removeAbove(durable.block); err != nil {
		return err
	}
	keep := len(segs)
	for keep > 0 && segs[keep-1].index > durable.block {
		keep-- // nothing durable in it
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

// removeAbove removes the segments that begin above block, the last one first
// and for good before anything else is cut: were one of them still there
// without those before it, its marks would claim lines that are not stored.
func (l *Log) removeAbove(block uint64) error {
	list, _, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	removed := false
	for _, s := range slices.Backward(list) {
		if s.index <= block {
			break
		}
		if err := l.disk.remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return l.disk.syncDir(l.dir)
}
