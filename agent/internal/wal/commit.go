package wal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// ErrTooLarge is returned by Append for a chunk that the log can never take.
var ErrTooLarge = errors.New("the chunk is larger than the log takes")

// errBehind is what a chunk gets whose predecessor from the same source failed.
var errBehind = errors.New("an earlier part of the same source was not stored")

// A Commit is a chunk on its way to the disk. Wait must be called once.
type Commit struct {
	log         *Log
	chunk       *Chunk // while in line, else nil; guarded by Log.mu
	admitted    bool   // guarded by Log.mu
	keys        []string
	first, last uint64
	err         error
	admit, done chan struct{} // capacity 1
}

var commits = sync.Pool{New: func() any {
	return &Commit{admit: make(chan struct{}, 1), done: make(chan struct{}, 1)}
}}

// A markKey follows the chunks of one source that are not yet answered. After
// a failure those behind it must fail too, or their marks would claim lines
// that are not stored.
type markKey struct {
	waiting int
	failed  bool
}

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
	q.bytes += int64(len(c.buf))
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
		q.admitted -= int64(len(c.buf))
	}
	q.bytes -= int64(len(c.buf))
	c.prev, c.next = nil, nil
}

// Append puts c in line, behind those of earlier calls, and takes it over. It
// blocks while the line or the log is full: until ctx ends, or with agent.ErrFull
// until its deadline. After an error nothing of c is stored. Further errors
// are agent.ErrClosed and ErrTooLarge.
func (l *Log) Append(ctx context.Context, c *Chunk) (*Commit, error) {
	if len(c.buf) > maxRaw || int64(len(c.buf)) > l.opts.MaxSize/2 {
		c.recycle()
		return nil, ErrTooLarge
	}
	cm := commits.Get().(*Commit)
	cm.log, cm.chunk, cm.keys = l, c, cm.keys[:0]
	c.commit = cm
	l.mu.Lock()
	if err := l.enlistLocked(cm, c); err != nil {
		l.mu.Unlock()
		cm.recycle()
		c.recycle()
		return nil, err
	}
	l.admitLocked()
	admitted := cm.admitted
	l.mu.Unlock()
	wake(l.wakeCommitter)
	if admitted {
		<-cm.admit
		return cm, nil
	}
	select {
	case <-cm.admit:
		return cm, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	if cm.chunk != c || cm.admitted {
		l.mu.Unlock()
		<-cm.admit
		return cm, nil
	}
	err := l.timeoutLocked(ctx)
	l.withdrawLocked(cm)
	l.forgetLocked(cm)
	l.mu.Unlock()
	cm.recycle()
	return nil, err
}

func (l *Log) enlistLocked(cm *Commit, c *Chunk) error {
	if l.closing {
		return agent.ErrClosed
	}
	for _, m := range c.marks {
		if k := l.keys[m.Key]; k != nil && k.failed {
			return errBehind
		}
	}
	for _, m := range c.marks {
		k := l.keys[m.Key]
		if k == nil {
			k = new(markKey)
			l.keys[m.Key] = k
		}
		k.waiting++
		cm.keys = append(cm.keys, m.Key)
	}
	l.line.push(c)
	return nil
}

// admitLocked lets callers of Append return for as long as there is room.
func (l *Log) admitLocked() {
	if l.poison != nil || l.full.err != nil {
		return
	}
	q := &l.line
	for q.first != nil && (q.admitted == 0 || q.admitted+int64(len(q.first.buf)) <= lineLimit) {
		c := q.first
		q.first = c.next
		q.admitted += int64(len(c.buf))
		c.commit.admitted = true
		c.commit.admit <- struct{}{}
	}
}

// takeLocked takes the chunks of the next block out of the line.
func (l *Log) takeLocked(batch []*Chunk) []*Chunk {
	q := &l.line
	size, inputs := 0, 0
	for c := q.head; c != nil; c = q.head {
		size += len(c.buf) + len(c.runs)*maxRunHeader
		inputs += len(c.runs)
		if len(batch) > 0 && (size > blockSize || inputs > maxInputs || !sameTargets(batch[0].targets, c.targets)) {
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

// Wait returns once the chunk is durable, or has failed. With events in it,
// first and last are their sequence numbers, without gaps. If ctx ends before
// the chunk left the line, it is taken back and nothing of it is stored; if
// later, the error is ctx's and it may have been stored.
func (cm *Commit) Wait(ctx context.Context) (first, last uint64, err error) {
	l := cm.log
	select {
	case <-cm.done:
	case <-ctx.Done():
		l.mu.Lock()
		if cm.chunk == nil {
			// With the committer. The commit is not reused, since an answer comes yet.
			l.forgetLocked(cm)
			l.mu.Unlock()
			select {
			case <-cm.done:
				return cm.first, cm.last, cm.err
			default:
				return 0, 0, ctx.Err()
			}
		}
		err = l.timeoutLocked(ctx)
		l.withdrawLocked(cm)
		l.forgetLocked(cm)
		l.mu.Unlock()
		cm.recycle()
		return 0, 0, err
	}
	first, last, err = cm.first, cm.last, cm.err
	if len(cm.keys) > 0 {
		l.mu.Lock()
		l.forgetLocked(cm)
		l.mu.Unlock()
	}
	cm.recycle()
	return first, last, err
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

// answerLocked finishes a commit that is no longer in line.
func (l *Log) answerLocked(cm *Commit, err error) {
	if err != nil {
		cm.err = fmt.Errorf("not stored: %w", err)
		cm.first, cm.last = 0, 0
		if len(cm.keys) > 0 {
			l.failKeysLocked(cm)
		}
	}
	cm.done <- struct{}{}
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

func (cm *Commit) recycle() {
	*cm = Commit{keys: cm.keys[:0], admit: cm.admit, done: cm.done}
	commits.Put(cm)
}

func (c *Chunk) hasMark(key string) bool {
	for _, m := range c.marks {
		if m.Key == key {
			return true
		}
	}
	return false
}
