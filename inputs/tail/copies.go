package tail

import "path/filepath"

// Where copytruncate is at work a file keeps its name, and what it held lies
// beside it in copies. One that was made since the file was last found to go on
// from what was read may hold what nobody has read: then it is read as a file of
// its own. Of one that was made before, all is known that it can hold. So that
// moment, copiesTo, moves on only when a look at the directory that was not
// disturbed has made every older copy known; until then f is unsought, which is
// in its mark, because a run that comes after this one must go on searching.

// seek looks for copies of f that hold what nobody has read. If it is disturbed
// the next scan looks again.
func (r *run) seek(f *file) {
	f.unsought = true
	r.unsought[f] = true
	r.searchCopies(f)
}

// seekFirst is seek for f, of which the first lines were read. It was seen
// before, or it would not be known; what it held then may have been truncated
// meanwhile, if it was written to meanwhile.
func (r *run) seekFirst(f *file) {
	if !f.own || f.open != "" || f.compressed() || r.t.config.OnDone != "keep" {
		return
	}
	if i, err := r.t.stat.file(f.fd); err == nil && i.mtime < f.copiesTo-int64(r.t.timing.clock) {
		return
	}
	f.unsought = true
	r.unsought[f] = true // for the next scan: there may be ten thousand of them
}

// searchUnsought looks again for what earlier looks may have missed.
func (r *run) searchUnsought() {
	for f := range r.unsought {
		r.searchCopies(f)
	}
}

// searchCopies looks beside f for files outside the patterns that hold what f
// held: a copy, or a compressed copy, that was made before f was truncated, or
// is about to be. There may also be one that holds what nobody has seen: the
// copy of what f held for a moment between two truncations.
func (r *run) searchCopies(f *file) {
	if f.lost || f.gone != 0 {
		delete(r.unsought, f) // departures take care of what is beside it
		return
	}
	l := r.list(filepath.Dir(f.where()))
	if f.id.birth != 0 && !f.onlyTwin && !f.compressed() {
		s := stem(f.where())
		if !r.hasItsName(f) {
			return
		}
		for _, b := range l.byStem[s] {
			r.admitCopy(f, b)
		}
		if l.torn[s] {
			r.scanWanted = true
			return
		}
	}
	delete(r.unsought, f)
	f.unsought = false
}

// hasItsName reports whether f still has its name. If not, what had it since
// then must not be taken for a copy of f, or nobody would ever read it.
func (r *run) hasItsName(f *file) bool {
	i, err := r.t.stat.path(f.where(), false)
	if err == nil && i.id == f.id {
		return true
	}
	r.scanWanted = r.scanWanted || r.lists == nil // a scan that is under way has seen it, or cannot
	return false
}

// admitCopy makes b known, which lies beside f, if it can be a copy of f.
func (r *run) admitCopy(f *file, b besides) {
	dir, name := filepath.Dir(f.where()), filepath.Base(f.where())
	packed := packingOf(b.name) != plain
	rotated := rotatedFrom(name, b.name) || f.open != ""
	birth := b.info.id.birth
	if birth < f.id.birth || !packed && !rotated && stem(name) != name {
		return
	}
	// Files that are made in one tick of the kernel's clock are born
	// together, and up to a tick before they are made: that one may be a
	// generation before f, or have been made after f was last read.
	unseen := birth > f.copiesTo-int64(r.t.timing.clock) || birth == f.id.birth
	if packed {
		unseen = r.since(b.info, f.copiesTo)
	}
	r.bringIn(filepath.Join(dir, b.name), b.info, f.pattern, f.path, !rotated || !unseen)
}

// source is the file that the new file f may be a copy of: the one that has the
// name that f's is made of, and never was f's.
func (r *run) source(f *file) *file {
	if f.wasOwn {
		return nil
	}
	of := r.byPath[filepath.Join(filepath.Dir(f.path), stem(f.path))]
	if of == nil && f.lost {
		of = r.byPath[f.was] // a symbolic link leads to files of other names
	}
	if of == nil || of.id.birth > f.id.birth {
		return nil
	}
	return of
}
