package tail

import (
	"slices"
	"time"
)

// A suspicion is that lines of a file were lost, unless a copy of it, or what
// it was compressed to, turns up in time.
type suspicion struct {
	until time.Time
	why   string
}

func (r *run) suspect(f *file, why string, patience time.Duration) {
	r.suspects[f] = suspicion{time.Now().Add(patience), why}
}

// absolve ends the suspicion against files of which nothing was read and that
// the compressed file f, which is read as a whole, can have been made of.
func (r *run) absolve(f *file) {
	for other := range r.suspects {
		if other.offset == 0 && other.gone != 0 && other.id.birth < f.id.birth && stem(other.path) == stem(f.path) {
			delete(r.suspects, other)
			return
		}
	}
}

// settleSuspicions is for the end of a run: what may still turn out to be a
// copy is looked at by the next one.
func (r *run) settleSuspicions() {
	for f, s := range r.suspects {
		hope := func(other *file) bool { return other.gone == 0 && !other.marked && other.id.birth > f.id.birth }
		if fam := r.kin.byStem[stem(f.path)]; fam == nil || !slices.ContainsFunc(fam.all, hope) {
			r.suspectLoss(f, s.why)
		}
	}
}

// vanish gives up a file that is nowhere to be found.
func (r *run) vanish(f *file) {
	if f.size > f.offset && !f.compressed() {
		r.suspect(f, "the file was deleted before all of it was read", 2*r.t.timing.twin)
	}
	r.bury(f)
}

// suspectLoss counts what is not known to be a loss, but looks like one.
func (r *run) suspectLoss(f *file, why string) {
	r.meters.losses.Inc()
	r.log.Warn("lines may be lost", "path", f.path, "offset", f.offset, "why", why)
}
