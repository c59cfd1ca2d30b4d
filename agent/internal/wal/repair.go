package wal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// A plan is what a log's directory holds and what must be done before it can
// be opened. Making it touches nothing.
type plan struct {
	segs   []*segment // that hold blocks, in order; the last may be empty
	strays []string   // files that are none of ours, or hold no block
	last   position   // after the last block that was found
	scraps []scrap    // to be set aside
	tail   *segment   // the last of segs
	cutTo  int64      // size that the tail is to be cut to, or -1
	seal   bool       // go on in a new segment: the tail has good blocks behind damage
	torn   bool       // the last scrap is the end of the tail, perhaps an unfinished write
	doubt  uint64     // marks of blocks above this number are not to be trusted; 0: all are
}

// A scrap is bytes of a segment that are no block.
type scrap struct {
	seg      *segment
	from, to int64
}

// survey reads a directory as far as opening it needs: the head of each
// segment, and from the end backward all bytes until there is a good block.
// Blocks up to number known are known to have been fsynced.
func survey(dir string, known uint64) (*plan, error) {
	segs, strays, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	p := &plan{strays: strays, cutTo: -1, last: position{0, 1}}
	high := uint64(maxNumber)
	found := false
	for i := len(segs) - 1; i >= 0; i-- {
		s := segs[i]
		blocks := 0
		if found {
			blocks, err = surveyHead(s, high)
		} else {
			blocks, err = p.surveyWhole(s, high, known, i == len(segs)-1)
			found = blocks > 0
		}
		switch {
		case err != nil:
			return nil, err
		case blocks == 0 && i < len(segs)-1:
			p.strays = append(p.strays, filepath.Base(s.path))
			continue
		}
		if blocks > 0 {
			high = s.index // a name alone bounds nothing
		}
		p.segs = append(p.segs, s)
	}
	slices.Reverse(p.segs)
	return p, nil
}

// surveyHead finds the first block of a finished segment.
func surveyHead(s *segment, high uint64) (blocks int, err error) {
	f, err := openFile(s.path)
	if err != nil {
		return 0, err
	}
	defer f.release()
	sc := scanner{f: f, limit: s.size, low: s.index, high: high}
	ok, err := sc.next()
	if !ok || err != nil {
		return 0, err
	}
	s.first, s.time, s.done = sc.h.first, sc.h.time, true
	return 1, nil
}

// surveyWhole checks every byte of a segment.
func (p *plan) surveyWhole(s *segment, high, known uint64, tail bool) (blocks int, err error) {
	f, err := openFile(s.path)
	if err != nil {
		return 0, err
	}
	defer f.release()
	s.done = !tail
	if tail {
		p.tail = s
		p.last.block = s.index - 1
	}
	sc := scanner{f: f, limit: s.size, low: s.index, high: high}
	if tail {
		if sc.limit, p.doubt, err = unwritten(sc, known); err != nil {
			return 0, err
		}
	}
	end := int64(0)
	for {
		ok, err := sc.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if end < sc.begin {
			p.scraps = append(p.scraps, scrap{s, end, sc.begin})
			p.seal = p.seal || tail
		}
		if err := sc.payload(); err != nil {
			if !isDamage(err) {
				return 0, err
			}
			// Its header is good and its numbers are taken: it stays in its place.
			p.scraps = append(p.scraps, scrap{s, sc.begin, sc.off})
		}
		// Tidwall's log numbers by counting.
		p.seal = p.seal || tail && sc.h.number != s.index+uint64(blocks)
		if blocks++; blocks == 1 {
			s.first, s.time = sc.h.first, sc.h.time
		}
		p.last = position{max(p.last.block, sc.h.number), max(p.last.seq, sc.h.next())}
		end = sc.off
	}
	if end < s.size {
		p.scraps = append(p.scraps, scrap{s, end, s.size})
		p.torn = tail
		// Blocks behind what was never written must not come back when the
		// segment is no longer the last one.
		if tail && (!p.seal || sc.limit < s.size) {
			p.cutTo = end
		}
	}
	return blocks, nil
}

// open repairs the directory and opens the log in it.
func (l *Log) open() error {
	st, lost, err := l.loadState()
	if err != nil {
		return err
	}
	p, err := survey(l.dir, st.Block)
	if err != nil {
		return err
	}
	// Nothing was touched above this line.
	l.sweepTemps()
	for _, name := range p.strays {
		if err := l.setAside(name); err != nil {
			return err
		}
	}
	for i, c := range p.scraps {
		// The end of the tail is an unfinished write, unless the state knows better.
		unfinished := p.torn && i == len(p.scraps)-1 && st.Block <= p.last.block
		l.quarantine(c.seg, c.from, c.to, unfinished)
	}
	l.segs = p.segs
	l.durable = p.last
	if err := l.mendTail(p, st); err != nil {
		return err
	}
	l.adopt(st, lost)
	if err := l.recoverMarks(st, p.doubt); err != nil {
		return err
	}
	for _, s := range l.segs {
		s.named.Store(true)
	}
	if err := l.openTail(); err != nil {
		return err
	}
	if err := l.disk.syncDir(l.opts.Dir); err != nil {
		return err
	}
	// A full disk is no reason not to deliver. What is not saved now is saved
	// when there is room; until then nothing is removed from the log.
	if err := l.saveState(); err != nil && !noSpace(err) {
		return err
	}
	return nil
}

// mendTail cuts what is no block off the end of the last segment, makes the
// rest durable, and decides whether it can be appended to.
func (l *Log) mendTail(p *plan, st *state) error {
	s := p.tail
	if s == nil {
		return nil
	}
	if p.cutTo >= 0 {
		if err := l.disk.truncate(s.path, p.cutTo); err != nil {
			return err
		}
		s.size, s.written = p.cutTo, p.cutTo
	}
	if err := l.settle(s.path); err != nil {
		return err
	}
	s.done = p.seal || s.size >= int64(l.opts.SegmentSize) || st.Block > p.last.block
	if s.size > 0 {
		return nil
	}
	s.first = max(p.last.seq, st.NextSeq)
	if s.done {
		l.segs = l.segs[:len(l.segs)-1]
		return l.disk.remove(s.path)
	}
	return nil
}

// sweepTemps removes files that were never finished.
func (l *Log) sweepTemps() {
	for _, pattern := range []string{filepath.Join(l.opts.Dir, "state.json*.tmp"), filepath.Join(l.dir, "*.tmp")} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			os.Remove(name)
		}
	}
}

// tailLocked is the segment to append to: the last one, or a new one behind it.
func (l *Log) tailLocked() *segment {
	if n := len(l.segs); n > 0 && !l.segs[n-1].done {
		return l.segs[n-1]
	}
	index := l.durable.block + 1
	s := &segment{index: index, first: l.durable.seq, path: segmentPath(l.dir, index), planned: true}
	l.segs = append(l.segs, s)
	return s
}

// openTail makes tidwall's log append to the last segment, or to a new one
// behind it if that is done. Directory and file are durable when it returns.
func (l *Log) openTail() error {
	l.mu.Lock()
	tail := l.tailLocked()
	l.mu.Unlock()
	if tail.planned {
		f, err := l.disk.open(tail.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		f.Close()
		tail.planned = false
	}
	if err := l.disk.syncDir(l.dir); err != nil {
		return err
	}
	tail.named.Store(true)
	tw, err := l.openTidwall()
	if err != nil {
		return err
	}
	if last, err := tw.LastIndex(); err != nil || last != l.durable.block {
		tw.Close()
		return errors.Join(errors.New("the log's own index does not fit its blocks"), err)
	}
	if tail.f, err = l.disk.open(tail.path, os.O_RDWR); err != nil {
		tw.Close()
		return err
	}
	l.tw = tw
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextBlock, l.nextSeq, l.stale = l.durable.block+1, l.durable.seq, 0
	l.countBytesLocked()
	return nil
}
