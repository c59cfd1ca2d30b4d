package tail

import (
	"errors"
	"io"
	"time"
)

// A twin is a new file that holds what another one held: the copy that
// copytruncate leaves, or a rotated file after compression. What was read of
// the other is not read again, and what was not is read from the twin.
//
// Two files that merely say the same are no twins: a file is taken for one
// only if its name is made of the other's (see stem), it was born later, its
// text is the other's up to where that was read, and the other has lost that
// text: it was truncated, or, for a compressed twin, is gone.

// decide finds out whether f, of which nothing was read, is a twin. It reports
// whether f can be read now. If not, f is pending, or has nothing to read, or is no more.
func (r *run) decide(f *file, now time.Time) bool {
	var head [window]byte
	n, err := f.readAt(head[:], 0)
	if err != nil && err != io.EOF && !errors.Is(err, errUnfinished) {
		r.trouble(f, err)
		return false
	}
	if n == 0 {
		f.atEnd = err == io.EOF
		if err != nil && err != io.EOF {
			r.trouble(f, err)
		}
		if f.final && f.onlyTwin {
			r.drop(f)
		}
		return f.final && f.gone == 0
	}
	prefixes := prefixHashes(head[:n])
	begins := func(p *print) bool { return p.headLen > 0 && p.headLen <= n && p.head == prefixes[p.headLen] }
	wait := false
	for _, other := range r.byStem[stem(f.path)] {
		if other == f || other.compressed() || other.onlyTwin {
			continue
		}
		if other.own && other.gone == 0 && other.offset == 0 && other.size > 0 &&
			f.id.birth > other.id.birth && now.Sub(f.found) < 6*r.t.timing.twin {
			wait = true // it will be read at once, and then can be compared
			continue
		}
		if !other.marked {
			continue
		}
		if other.id.ino == f.id.ino && other.id.birth == f.id.birth && f.id.birth != 0 && other.id.dev != f.id.dev {
			// The same file, but its filesystem got another number at boot.
			if other.gone != 0 && begins(&other.print) && r.follows(f, &other.print) == yes {
				r.adopt(f, other, &other.print, other.gen)
				return true
			}
			continue
		}
		if f.id.birth < other.id.birth {
			continue
		}
		for i := range other.past {
			past := &other.past[i]
			if !begins(&past.print) || f.id.birth > past.at {
				continue
			}
			if now.Sub(f.changed) < r.t.timing.settle {
				wait = true // the copy may not be complete
				continue
			}
			switch r.follows(f, &past.print) {
			case yes, shorter:
				delete(r.suspects, other)
				r.adopt(f, other, &past.print, past.gen)
				return f.marked
			case notYet:
				wait = !r.stuck(f, now)
			}
		}
		if !begins(&other.print) {
			continue
		}
		if !f.compressed() && (other.gone != 0 || other.moved || other.lost || !other.own) {
			continue // only a file that keeps its own name is truncated after it was copied
		}
		v := r.follows(f, &other.print)
		if v == notYet {
			wait = !r.stuck(f, now)
		}
		if v == no || v == notYet {
			continue
		}
		if other.gone == 0 && (now.Sub(later(f.changed, f.found)) < r.t.timing.twin && now.Sub(f.found) < 6*r.t.timing.twin || f.compressed() && !other.atEnd) {
			wait = true // to see whether the other loses its text
			continue
		}
		if f.compressed() {
			r.adopt(f, other, &other.print, other.gen)
			return f.marked
		}
	}
	switch {
	case wait:
		r.pending[f] = true
		return false
	case f.onlyTwin:
		r.drop(f) // it is nobody's, so it is none of our business
		r.dirty[f.id.shard()] = true
		if len(r.strangers) >= maxGone {
			clear(r.strangers)
		}
		r.strangers[f.id] = true
		return false
	}
	f.marked = true
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stuck reports whether the unfinished file f will hardly be finished: then
// it is read as far as it goes.
func (r *run) stuck(f *file, now time.Time) bool {
	return now.Sub(f.changed) >= 12*r.t.timing.twin
}

// prefixHashes are the hashes of all prefixes of text, by length.
func prefixHashes(text []byte) *[window + 1]uint64 {
	var hashes [window + 1]uint64
	hashes[0] = fnvBasis
	for i := range text {
		hashes[i+1] = growHead(hashes[i], text[i:i+1])
	}
	return &hashes
}

type answer int

const (
	no answer = iota
	yes
	shorter
	notYet // the compressed file is not complete
)

// follows says whether f's text up to p's offset is what p was made of; or
// whether f ends before, so that only its head could be compared.
func (r *run) follows(f *file, p *print) answer {
	ok, short, err := f.intact(p)
	switch {
	case errors.Is(err, errUnfinished):
		return notYet
	case err != nil:
		return no
	case short:
		return shorter
	case ok:
		return yes
	}
	return no
}

// adopt makes f continue what other was at p.
func (r *run) adopt(f, other *file, p *print, gen int) {
	upTo := *p
	if r.follows(f, p) == shorter {
		// The other was read beyond what f holds: all of f was read.
		end := f.size
		if f.compressed() {
			var err error
			if end, err = f.stream.length(); err != nil {
				r.trouble(f, err)
				return
			}
		}
		var err error
		if upTo, err = f.printUpTo(end); err != nil {
			r.trouble(f, err)
			return
		}
	}
	f.state = state{print: upTo, origin: other.origin, gen: gen, seq: other.seq, seqSure: other.seqSure}
	f.ackedSeq, f.acked, f.marked, f.onlyTwin = other.ackedSeq, upTo.offset, true, false
	r.log.Info("a file holds what was read before under another name", "path", f.path, "before", other.path, "offset", f.offset)
	r.dirty[f.id.shard()] = true
	r.flushCatalog()
	r.saveState(f)
}

// length is the length of the plain text.
func (s *stream) length() (int64, error) {
	buf := make([]byte, blockSize)
	for off := s.base; ; {
		n, err := s.readAt(buf, off)
		off += int64(n)
		if err == io.EOF {
			return off, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
