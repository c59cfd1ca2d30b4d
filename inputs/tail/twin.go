package tail

import (
	"errors"
	"io"
	"slices"
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
	if n == 0 && err != nil && err != io.EOF && !errors.Is(err, errUnfinished) { // else there is text before the damage
		r.trouble(f, err)
		return false
	}
	if n == 0 {
		f.atEnd = err == io.EOF
		f.looked = now
		if err != nil && err != io.EOF {
			r.trouble(f, err)
		}
		if f.final && f.onlyTwin {
			r.drop(f)
		}
		return f.final && f.gone == 0
	}
	s := search{r: r, f: f, now: now, prefixes: prefixHashes(head[:n]), length: n}
	kin := slices.DeleteFunc(r.kin.of(f), func(other *file) bool { return other == f })
	if n < window && len(kin) > 0 && now.Sub(f.changed) < r.t.timing.settle && now.Sub(f.found) < r.t.timing.twin {
		r.pending[f] = true // a copy that is being made says too little yet
		return false
	}
	beside := !f.compressed() && !r.t.matches(f.path)
	if of := r.source(f); of != nil && of.looked.Before(f.found) && of.trouble == "" && now.Sub(f.found) < 12*r.t.timing.twin {
		r.enqueue(of)
		r.pending[f] = true // what it holds now is not known yet
		return false
	}
	for _, other := range kin {
		if !other.compressed() && !other.onlyTwin {
			s.compare(other)
			if beside {
				s.repeats(other)
			}
		}
	}
	switch {
	case s.wait && (s.patient || now.Sub(f.found) < 12*r.t.timing.twin):
		r.pending[f] = true
		return false
	case s.best.of != nil:
		delete(r.suspects, s.best.of)
		r.adopt(f, s.best)
		return f.marked
	case f.onlyTwin || s.repeated:
		r.disown(f, s.repeated)
		return false
	}
	if f.compressed() {
		r.absolve(f)
	}
	f.marked = true
	r.log.Debug("a file is read from its beginning", "path", f.path, "id", f.id)
	return true
}

// A stranger is a file beside the patterns that is none of ours.
type stranger struct {
	mtime   int64 // of its last change when that was found out
	repeats bool  // for it says what a file of ours says; else for it continues none
}

// disown forgets f, which lies beside the patterns and is nobody's.
func (r *run) disown(f *file, repeats bool) {
	r.forget(f)
	if len(r.strangers) >= maxGone {
		clear(r.strangers)
	}
	r.strangers[f.id] = stranger{f.mtime, repeats}
}

// adopt makes f continue m.
func (r *run) adopt(f *file, m match) {
	upTo, other := m.text, m.of
	if r.follows(f, &m.text) == shorter {
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
	f.state = state{print: upTo, origin: other.origin, gen: m.gen, seq: other.seq, seqSure: other.seqSure}
	f.ackedSeq, f.acked, f.marked, f.onlyTwin = other.ackedSeq, upTo.offset, true, false
	r.log.Info("a file holds what was read before under another name", "path", f.path, "id", f.id, "before", other.path, "before_id", other.id, "offset", f.offset)
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
