package wal

import (
	"context"
	"fmt"
	"sync"

	"github.com/adrian207/siemd/agent"
)

// A Commit is a chunk on its way to the disk. Wait must be called once.
type Commit struct {
	log         *Log
	chunk       *Chunk          // while in line, else nil; guarded by Log.mu
	admitted    bool            // guarded by Log.mu
	patience    context.Context // Append's, which counts for as long as the log is full
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

// Append puts c in line, behind those of earlier calls, and takes it over. If the
// log is idle it stays there until Wait or the next Append. It
// blocks while the line or the log is full: until ctx ends, or with agent.ErrFull
// until its deadline. The end of ctx also ends a Wait, with agent.ErrFull, if the
// log turns out to be full only when c is in line. After an error nothing of c is
// stored. Further errors are agent.ErrClosed and agent.ErrBatchTooLarge.
func (l *Log) Append(ctx context.Context, c *Chunk) (*Commit, error) {
	if c.size > maxRaw || int64(c.size) > l.opts.MaxSize/2 {
		c.recycle()
		return nil, agent.ErrBatchTooLarge
	}
	cm := commits.Get().(*Commit)
	cm.log, cm.chunk, cm.keys, cm.patience = l, c, cm.keys[:0], ctx
	c.commit = cm
	l.mu.Lock()
	if l.line.bytes >= l.opts.block && l.codec == codecS2 && c.packable() {
		// The committer has fallen behind by a block: what it would do is done here, in
		// the cache of the processor that has filled the chunk. A single producer, which
		// has its events to check, is better off to go on.
		keep := l.readers > 0
		l.mu.Unlock()
		c.pack(keep)
		l.mu.Lock()
	}
	idle := l.line.head == nil && l.full.err == nil && l.idleLocked()
	if err := l.enlistLocked(cm, c); err != nil {
		l.mu.Unlock()
		cm.recycle()
		c.recycle()
		return nil, err
	}
	l.admitLocked()
	admitted := cm.admitted
	l.mu.Unlock()
	if !idle || !admitted {
		wake(l.wakeCommitter)
	} // else it is left to Wait
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

// LargestEvent is the size in bytes of the largest event that the log takes
// whatever else is in a chunk with it: a quarter of its largest size.
func (l *Log) LargestEvent() int { return int(min(maxRaw, l.opts.MaxSize) / 4) }

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

// Wait returns once the chunk is durable, or has failed. If nobody else is at the log, the
// caller writes and fsyncs the chunk itself, and no ctx ends that. With events in it,
// first and last are their sequence numbers, without gaps. If ctx ends before
// the chunk left the line, it is taken back and nothing of it is stored; if
// later, the error is ctx's and it may have been stored.
func (cm *Commit) Wait(ctx context.Context) (first, last uint64, err error) {
	l := cm.log
	l.lead(ctx, cm)
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

func (cm *Commit) recycle() {
	*cm = Commit{keys: cm.keys[:0], admit: cm.admit, done: cm.done}
	commits.Put(cm)
}
