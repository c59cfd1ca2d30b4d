package wal

import (
	"context"
	"errors"
	"os"
	"sort"

	"github.com/adrian207/siemd/agent"
)

// A Reader walks the durable blocks from a cursor on. It is used by one
// goroutine, and shares nothing with other readers or the writer but a short lock.
type Reader struct {
	log    *Log
	pos    uint64 // sequence number of the next event wanted
	closed bool

	// Where that is, if it is known.
	seg   *segment
	file  *file // of seg; nil until it is needed
	scan  scanner
	found bool // scan has found a block that has not been given out
	tries int  // reads that failed here
}

// maxTries is how often a place that the disk cannot read is tried before what
// is left of its segment counts as damaged. As long as the disk cannot be
// written either, it is the disk that is away, and nothing is given up.
const maxTries = 5

// Reader starts at c.Seq. It does not move the cursor.
func (l *Log) Reader(c *Cursor) *Reader {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers++
	return &Reader{log: l, pos: c.seq}
}

// Seq is the sequence number after the last event that the reader gave out.
func (r *Reader) Seq() uint64 { return r.pos }

// Close ends the reader. Blocks that it gave out stay valid.
func (r *Reader) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.leave()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.log.readers--; r.log.readers == 0 {
		r.log.warm.drop()
	}
}

// Next waits for the next durable block that holds events at or after the
// position. The caller releases it. The error is ctx's, agent.ErrClosed, or the
// disk's, and then trying again may help. Damage is no error: see Block.Lost.
func (r *Reader) Next(ctx context.Context) (*Block, error) {
	for {
		b, ok, err := r.TryNext()
		if ok || err != nil {
			return b, err
		}
		l := r.log
		l.mu.Lock()
		if l.durable.seq > r.pos {
			l.mu.Unlock()
			continue
		}
		if l.closing {
			l.mu.Unlock()
			return nil, agent.ErrClosed
		}
		if l.published == nil {
			l.published = make(chan struct{})
		}
		published := l.published
		l.mu.Unlock()
		select {
		case <-published:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryNext is Next without the wait: ok is false if there is nothing yet.
func (r *Reader) TryNext() (b *Block, ok bool, err error) {
	if r.closed {
		return nil, false, agent.ErrClosed
	}
	for {
		b, more, err := r.step()
		if b != nil {
			r.pos = b.Last() + 1
			return b, true, nil
		}
		if err != nil || !more {
			return nil, false, err
		}
	}
}

// step comes nearer to the next block. more: call again.
func (r *Reader) step() (b *Block, more bool, err error) {
	l := r.log
	l.mu.Lock()
	if r.pos >= l.durable.seq {
		l.mu.Unlock()
		return nil, false, nil
	}
	if b := l.warm.find(r.pos); b != nil {
		l.mu.Unlock()
		r.follow(b)
		return b, true, nil
	}
	if r.seg != nil && l.replacedLocked(r.seg) {
		r.leave()
	}
	if r.seg == nil {
		if first := l.segs[0].first; r.pos < first {
			l.mu.Unlock()
			return r.hole(first), true, nil // dropped to make room, or never there
		}
		r.seg = l.segmentOfLocked(r.pos)
		r.scan = scanner{low: r.seg.index, buf: r.scan.buf, window: r.scan.window}
	}
	seg, end := r.seg, l.durable.seq
	limit, next := seg.size, l.segmentAfterLocked(seg)
	l.mu.Unlock()

	r.scan.limit, r.scan.high = limit, maxNumber
	if next != nil {
		r.scan.high = next.index
	}
	switch ok, err := r.advance(); {
	case err != nil:
		return nil, false, err
	case ok:
		return r.take(), true, nil
	case next != nil:
		r.leave()
		r.seg = next
		r.scan.low, r.scan.off = next.index, 0
		return nil, true, nil
	}
	// At the end of what was durable a moment ago, and short of its events.
	return r.hole(end), true, nil
}

// segmentOfLocked is the segment that holds seq, or what is before it.
func (l *Log) segmentOfLocked(seq uint64) *segment {
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].first > seq })
	return l.segs[max(i-1, 0)]
}

// replacedLocked reports whether s was given up when the log was reopened: it
// held nothing durable, and another begins at or before its place.
func (l *Log) replacedLocked(s *segment) bool {
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].index >= s.index })
	if i < len(l.segs) && l.segs[i] == s {
		return false
	}
	return i > 0 || l.segs[0].index == s.index // else it was removed, with all its blocks
}

func (l *Log) segmentAfterLocked(s *segment) *segment {
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].index > s.index })
	if i == len(l.segs) {
		return nil
	}
	return l.segs[i]
}

// advance finds the next block in the segment, and sets aside what is none.
func (r *Reader) advance() (bool, error) {
	if r.found {
		return true, nil
	}
	if r.file == nil {
		f, err := openFile(r.seg.path)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		r.file = f
	}
	r.scan.f = r.file
	off := r.scan.off
	var ok bool
	err := r.log.disk.do("read", r.seg.path, func() (err error) {
		ok, err = r.scan.next()
		return err
	})
	if err != nil {
		if r.tries++; r.tries < maxTries || errors.Is(err, ErrNewer) || !r.log.diskWorks() {
			return false, err
		}
		ok = false
	}
	r.tries = 0
	end := r.scan.begin
	if !ok {
		end, r.scan.off = r.scan.limit, r.scan.limit
	}
	if off < end {
		r.log.quarantine(r.seg, off, end, false)
	}
	r.found = ok
	return ok, nil
}

// take makes a Block of the block that was found, or of the hole before it.
// Nil: it is behind the position, or empty.
func (r *Reader) take() *Block {
	h := &r.scan.h
	if h.first > r.pos && h.count > 0 {
		return r.hole(h.first)
	}
	r.found = false
	if h.next() <= r.pos {
		return nil
	}
	b := newBlock(r.log, h)
	b.seg, b.begin, b.end = r.seg, r.scan.begin, r.scan.off
	b.file, b.at = r.file, r.scan.at
	r.file.retain()
	return b
}

// hole stands for the events from the position to before to, which are not there. If they were
// removed, that is in order: they made room, and count as expired, or the
// reader is one whose cursor holds nothing back. The rest is lost to damage.
func (r *Reader) hole(to uint64) *Block {
	l := r.log
	l.mu.Lock()
	from := max(r.pos, l.dropped)
	l.mu.Unlock()
	if from < to {
		l.eventsLost(from, to-1)
	}
	return lostBlock(r.pos, to-1)
}

// follow takes the place behind b, which came from memory.
func (r *Reader) follow(b *Block) {
	if r.seg != b.seg {
		r.leave()
		r.seg = b.seg
	}
	r.scan.off, r.scan.low, r.found = b.end, b.header.number+1, false
}

func (r *Reader) leave() {
	if r.file != nil {
		r.file.release()
	}
	r.file, r.seg, r.found, r.tries = nil, nil, false, 0
}
