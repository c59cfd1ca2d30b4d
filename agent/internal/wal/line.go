package wal

import "errors"

// errBehind is what a chunk gets whose predecessor from the same source failed.
var errBehind = errors.New("an earlier part of the same source was not stored")

// line holds the chunks that wait to be written, in the order of the calls of
// Append. Those up to first are admitted: their callers have returned.
type line struct {
	head, tail *Chunk
	first      *Chunk // the first that is not admitted
	admitted   int64  // bytes
	bytes      int64
}

func (q *line) push(c *Chunk) {
	c.prev, c.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = c
	} else {
		q.head = c
	}
	q.tail = c
	if q.first == nil {
		q.first = c
	}
	q.bytes += int64(c.size)
}

func (q *line) remove(c *Chunk) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		q.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		q.tail = c.prev
	}
	if q.first == c {
		q.first = c.next
	}
	if c.commit.admitted {
		q.admitted -= int64(c.size)
	}
	q.bytes -= int64(c.size)
	c.prev, c.next = nil, nil
}

// admitLocked lets callers of Append return for as long as there is room.
func (l *Log) admitLocked() {
	if l.poison != nil || l.full.err != nil {
		return
	}
	q := &l.line
	for q.first != nil && (q.admitted == 0 || q.admitted+int64(q.first.size) <= lineLimit) {
		c := q.first
		q.first = c.next
		q.admitted += int64(c.size)
		c.commit.admitted = true
		c.commit.admit <- struct{}{}
	}
}

// takeLocked takes the chunks of the next block out of the line.
func (l *Log) takeLocked(batch []*Chunk) []*Chunk {
	q := &l.line
	size, inputs := 0, 0
	for c := q.head; c != nil; c = q.head {
		size += c.size + len(c.runs)*maxRunHeader
		inputs += len(c.runs)
		if len(batch) > 0 && (int64(size) > l.opts.block || inputs > maxInputs || !sameTargets(batch[0].targets, c.targets)) {
			break
		}
		q.remove(c)
		cm := c.commit
		cm.chunk = nil
		if !cm.admitted {
			cm.admitted = true
			cm.admit <- struct{}{}
		}
		batch = append(batch, c)
	}
	l.admitLocked()
	return batch
}

func sameTargets(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// withdrawLocked takes a chunk out of the line, and with it those behind it
// from the same source.
func (l *Log) withdrawLocked(cm *Commit) {
	c := cm.chunk
	l.line.remove(c)
	cm.chunk = nil
	c.recycle()
	if len(cm.keys) > 0 {
		l.failKeysLocked(cm)
	}
	l.admitLocked()
}

func (l *Log) failKeysLocked(cm *Commit) {
	for _, key := range cm.keys {
		k := l.keys[key]
		if k == nil || k.failed {
			continue
		}
		k.failed = true
		for c := l.line.head; c != nil; {
			next := c.next
			if c.hasMark(key) {
				l.dropLocked(c, errBehind)
			}
			c = next
		}
	}
}

// dropLocked answers a chunk that is in line with an error.
func (l *Log) dropLocked(c *Chunk, err error) {
	l.line.remove(c)
	cm := c.commit
	cm.chunk = nil
	c.recycle()
	if !cm.admitted {
		cm.admitted = true
		cm.admit <- struct{}{}
	}
	l.answerLocked(cm, err)
}

// forgetLocked notes that cm's caller knows the outcome.
func (l *Log) forgetLocked(cm *Commit) {
	for _, key := range cm.keys {
		k := l.keys[key]
		if k == nil {
			continue
		}
		if k.waiting--; k.waiting <= 0 {
			delete(l.keys, key)
		}
	}
	cm.keys = cm.keys[:0]
}

func (c *Chunk) hasMark(key string) bool {
	for _, m := range c.marks {
		if m.Key == key {
			return true
		}
	}
	return false
}
