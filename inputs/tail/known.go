package tail

import "time"

// load takes over what earlier runs have left in the log.
func (r *run) load() {
	_, ok := r.sink.Resume(startedKey)
	r.first = !ok
	for n := range shards {
		pos, ok := r.sink.Resume(shardKey(n))
		if !ok {
			continue
		}
		entries, err := parseCatalog(pos)
		if err != nil {
			r.log.Error("cannot read the list of known files, files that were rotated meanwhile may be read twice", "err", err)
		}
		for _, e := range entries {
			f := &file{id: e.id, path: e.path, open: e.open, gone: e.gone, onlyTwin: e.twin, wasOwn: e.own, followed: e.followed, known: e.known, former: e.former, pack: packingOf(e.path), pattern: r.patternOf(e.path)}
			r.restore(f)
			r.add(f)
			if f.wasOwn && (!f.own || f.gone != 0) {
				r.depart(f, time.Now())
			}
		}
	}
}

// patternOf is a pattern whose base is above path: what a file is opened with.
func (r *run) patternOf(path string) *pattern {
	for i := range r.t.patterns {
		if _, ok := below(r.t.patterns[i].base, path); ok {
			return &r.t.patterns[i]
		}
	}
	return &r.t.patterns[0]
}

// add makes f known.
func (r *run) add(f *file) {
	r.files[f.id] = f
	r.kin.add(f)
}

// drop forgets f here; its mark is another matter.
func (r *run) drop(f *file) {
	r.closeFile(f)
	delete(r.files, f.id)
	r.kin.remove(f)
	r.leave(f)
	f.gone = max(f.gone, 1)
}

// leave takes f out of all sets of living files.
func (r *run) leave(f *file) {
	if r.byPath[f.path] == f {
		delete(r.byPath, f.path)
	}
	delete(r.draining, f)
	delete(r.pending, f)
	delete(r.moving, f)
	delete(r.unsought, f)
	f.moved, f.lost = false, false
}

// restore sets f to what its mark says.
func (r *run) restore(f *file) {
	r.closeStream(f)
	f.state, f.marked = f.beginning(), false
	if f.begin != nil {
		f.state, f.marked = *f.begin, true
	}
	if pos, ok := r.sink.Resume(f.id.key()); ok {
		if s, err := parseState(pos); err != nil {
			r.log.Error("cannot read the position in a file, reading it from its beginning", "path", f.path, "err", err)
		} else if !s.finished || s.offset > 0 { // one that was empty may become a copy yet
			f.state, f.marked = s, true
		}
	}
	f.acked, f.markedSeq, f.ackedSeq = f.offset, f.seq, f.seq
	f.doubt = f.offset > 0 && !f.seqSure
	f.looked, f.copiesTo = time.Time{}, max(f.known, f.at)
	if f.unsought {
		r.unsought[f] = true
	} else {
		delete(r.unsought, f)
	}
	f.seen, f.final, f.atEnd = 0, false, false
}

// rename gives f another path.
func (r *run) rename(f *file, path string) {
	if r.byPath[f.path] == f {
		delete(r.byPath, f.path)
	}
	r.log.Debug("a file was renamed", "path", f.path, "to", path, "id", f.id)
	r.kin.remove(f)
	if s := stem(f.path); s != stem(path) {
		f.former = s
	}
	f.was, f.path, f.leftAt = f.path, path, time.Now()
	r.kin.add(f)
	r.dirty[f.id.shard()] = true
}
