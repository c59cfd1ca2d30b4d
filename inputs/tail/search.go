package tail

import (
	"errors"
	"time"
)

// A match is what a file held that its twin holds now.
type match struct {
	of   *file
	text print
	gen  int
	past bool // of has been truncated since
}

// A search compares a new file with those that it may be a twin of.
type search struct {
	r        *run
	f        *file
	now      time.Time
	prefixes *[window + 1]uint64 // of f
	length   int                 // how many of them there are
	best     match               // the one of which most was read
	repeated bool                // f says only what another file says
	wait     bool                // something must be known first
	patient  bool                // and will be, however long it takes
}

func (s *search) compare(other *file) {
	f, alive := s.f, other.gone == 0
	if other.id.ino == f.id.ino && other.id.birth == f.id.birth && f.id.birth != 0 {
		// The same file, but its filesystem got another number at boot.
		switch {
		case other.missed:
			s.wait = true // the next look tells whether it is gone
		case !alive && other.marked:
			s.offer(match{of: other, text: other.print, gen: other.gen})
		}
		return
	}
	if f.id.birth < other.id.birth {
		return
	}
	if alive && other.offset == 0 && other.size > 0 && !other.atEnd && (other.own || f.compressed()) {
		// It will be read at once, and then can be compared; but of two that are
		// born together only one waits.
		s.wait = s.wait || f.id.birth > other.id.birth || f.id.ino > other.id.ino
		s.patient = s.patient || f.compressed() && other.trouble == ""
		return
	}
	if alive && !other.marked && f.compressed() && other.looked.Before(f.found) {
		s.r.enqueue(other) // it may have been empty when it was last looked at
		s.wait = true
	}
	if !other.marked {
		return
	}
	for _, g := range other.past {
		if f.compressed() || f.id.birth <= g.at { // a copy is made before; it may be compressed much later
			s.offer(match{of: other, text: g.print, gen: g.gen, past: true})
		}
	}
	if !s.begins(&other.print) {
		return
	}
	switch {
	case alive && other.looked.Before(later(f.found, other.leftAt)):
		// It may have been truncated, and then renamed: that is seen when it is read again.
		s.r.enqueue(other)
		s.wait = true
	case alive && (f.compressed() || other.own && !other.moved && !other.lost):
		// Who keeps its own name is truncated after the copy is made, and who is
		// compressed is deleted after. Wait to see whether that happens.
		switch s.r.follows(f, &other.print) {
		case yes, shorter:
			grows, unread := s.now.Sub(later(f.changed, f.found)) < s.r.t.timing.twin, f.compressed() && !other.atEnd
			if grows || unread {
				s.wait = true
				s.patient = s.patient || unread && other.trouble == "" || grows && other.headLen == window
				return
			}
		case notYet:
		case no:
			return
		}
		if f.compressed() {
			s.offer(match{of: other, text: other.print, gen: other.gen})
		}
	case !alive && (f.compressed() || !f.own && other.headLen == window):
		// A plain copy is left where a file was truncated, and then deleted, or renamed
		// and compressed, before a look could see that. Short texts may be those of two files.
		s.offer(match{of: other, text: other.print, gen: other.gen})
	}
}

// repeats notes whether f, which lies beside the patterns, is a copy that
// somebody made of a file that still says all that f says.
func (s *search) repeats(of *file) {
	f := s.f
	switch {
	case of.gone != 0 || !of.marked || of.id.birth >= f.id.birth || of.size < f.size:
		return
	case of.headLen <= s.length && !s.begins(&of.print):
		return
	case f.size < window && (of.gen > 0 || of.lost || of.moved):
		return // too little to tell it from what of held before, or from the next to have its name
	case s.r.ensureOpen(of) != nil:
		return
	}
	mine, err := f.printUpTo(f.size)
	if theirs, other := of.printUpTo(f.size); err != nil || other != nil || mine != theirs {
		return
	}
	if min(of.offset, of.acked) >= f.size || of.atEnd && of.inflight == 0 {
		s.repeated = true
	} else {
		s.wait = true // it may still be truncated before it is read
		s.patient = s.patient || of.trouble == ""
	}
}

func (s *search) begins(p *print) bool {
	return p.headLen > 0 && p.headLen <= s.length && p.head == s.prefixes[p.headLen]
}

// offer takes m for the best match if it is one, and better.
func (s *search) offer(m match) {
	if !s.begins(&m.text) || s.best.of != nil && m.text.offset <= s.best.text.offset {
		return
	}
	if s.now.Sub(s.f.changed) < s.r.t.timing.settle {
		s.wait = true // the copy may not be complete
		return
	}
	switch s.r.follows(s.f, &m.text) {
	case yes, shorter:
		s.best = m
	case notYet:
		s.wait = s.wait || !s.r.stuck(s.f, s.now)
	}
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
