package wal

import "time"

// syncLoop fsyncs what has been written, all of it at once, shows it to the
// readers and answers those who wait.
func (l *Log) syncLoop() {
	defer close(l.synced)
	last := time.Now()
	for {
		l.mu.Lock()
		l.syncerTurnLocked()
		for len(l.unsynced) == 0 || l.poison != nil || l.syncing {
			ended := false
			select {
			case <-l.ended:
				ended = !l.syncing
			default:
			}
			l.mu.Unlock()
			if ended {
				return
			}
			<-l.wakeSyncer
			l.mu.Lock()
			l.syncerTurnLocked()
		}
		if l.opts.Sync == "interval" && l.dirty < unsyncedLimit && !l.closing {
			if d := l.opts.SyncInterval - time.Since(last); d > 0 {
				l.mu.Unlock()
				l.pause(d)
				continue
			}
		}
		last = time.Now()
		l.syncLocked()
		l.mu.Unlock()
		wake(l.wakeCommitter)
	}
}

// syncerTurnLocked counts a turn, unless another does the syncer's work, and may hang in it.
func (l *Log) syncerTurnLocked() {
	if !l.syncing {
		l.turns.syncer.Add(1)
	}
}

// syncLocked fsyncs what has been written. It lets go of the lock meanwhile;
// nobody else may be syncing.
func (l *Log) syncLocked() {
	work := l.unsynced
	l.syncing = true
	l.mu.Unlock()
	err := l.syncAll(work)
	l.mu.Lock()
	l.syncing = false
	l.syncerTurnLocked()
	if err != nil {
		l.poisonLocked(err)
		return
	}
	l.publishLocked(work)
	n := copy(l.unsynced, l.unsynced[len(work):])
	clear(l.unsynced[n:])
	l.unsynced = l.unsynced[:n]
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
		if h.count > 0 && l.readers > 0 && w.block.raw != nil {
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
