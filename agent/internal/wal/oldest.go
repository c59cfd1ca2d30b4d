package wal

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

// moveLocked moves a laggard's cursor to end. foreign are the blocks before
// end that have targets.
func (c *Cursor) moveLocked(end uint64, foreign []header) {
	if c.seq >= end {
		return
	}
	others := uint64(0)
	for i := range foreign {
		h := &foreign[i]
		if from, to := max(h.first, c.seq), min(h.next(), end); from < to && !forOutput(h.targets, c.name) {
			others += to - from
			c.skipped = append(c.skipped, Span{from, to - 1})
		}
	}
	c.ahead -= min(others, c.ahead)
	c.counts.Foreign += others
	c.counts.Expired += end - c.seq - others
	c.seq = end
}

// overtakenLocked takes back what moveLocked counted for the events before
// seq, which their user tells about now. Of those that delta calls expired it
// knows which were for others.
func (c *Cursor) overtakenLocked(seq uint64, delta Counts) Counts {
	others := uint64(0)
	rest := c.skipped[:0]
	for _, s := range c.skipped {
		if s.First < seq {
			others += min(s.Last+1, seq) - s.First
		}
		if s.Last >= seq {
			rest = append(rest, Span{max(s.First, seq), s.Last})
		}
	}
	c.skipped = rest
	c.counts.Foreign -= min(others, c.counts.Foreign)
	c.counts.Expired -= min(seq-c.told-others, c.counts.Expired)
	c.ahead += min(others, delta.Foreign) // moveLocked has taken them off
	if unknown := min(others-min(others, delta.Foreign), delta.Expired); unknown > 0 {
		delta.Foreign += unknown
		delta.Expired -= unknown
		c.ahead += unknown
	}
	return delta
}
