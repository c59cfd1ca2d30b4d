package tail

import (
	"path/filepath"
	"time"
)

// drain looks at a file that lost its name: its writer may still write to it,
// for as long as it likes. It is finished when it is read to the end, was quiet
// for a while and either another file has its name or nobody can find it.
func (r *run) drain(f *file, now time.Time) {
	if f.missed || f.fd == nil && r.ensureOpen(f) != nil {
		return // what to do about it was done there
	}
	i, err := r.t.stat.file(f.fd)
	if err != nil {
		r.trouble(f, err)
		return
	}
	r.observe(f, i)
	if f.trouble != "" && now.Sub(f.leftAt) >= r.t.timing.abandon {
		r.suspectLoss(f, "a file that was rotated away cannot be read: "+f.trouble)
		r.bury(f)
		return
	}
	if !r.drained(f, now) {
		return
	}
	if f.finished {
		r.bury(f)
		return
	}
	if i.links > 0 && !r.succeeded(f) && now.Sub(f.leftAt) < r.t.timing.abandon {
		return
	}
	f.final = true
	r.enqueue(f)
}

// reopen goes on with f, which was finished and lies at path now. Somebody has
// written to it: who had it open all the time, or who makes the next copy over
// it, which reading it will tell.
func (r *run) reopen(f *file, path string) {
	f.gone, f.finished = 0, false
	r.rename(f, path)
	f.lost, f.was = true, filepath.Join(filepath.Dir(path), stem(path))
	r.draining[f] = true
	if f.offset == 0 { // it was empty: nothing is known of it
		f.marked, f.found, f.changed = false, time.Now(), time.Now()
	}
	if r.ensureOpen(f) == nil {
		r.log.Debug("a file that was finished is written to", "path", f.path, "id", f.id, "offset", f.offset)
		r.enqueue(f)
	}
}

// rewritten reports whether f, which is finished, has changed since.
func (f *file) rewritten(i info) bool {
	return f.gone != 0 && !f.compressed() && i.size > 0 && (i.size != f.offset || i.mtime > f.at)
}

// drained reports whether f is read and was quiet long enough.
func (r *run) drained(f *file, now time.Time) bool {
	return f.atEnd && !f.queued && f.inflight == 0 && r.failing == nil &&
		now.Sub(f.changed) >= r.t.timing.quiet && now.Sub(f.leftAt) >= r.t.timing.quiet
}

// succeeded reports whether another file has f's old name.
func (r *run) succeeded(f *file) bool {
	if s := r.byPath[f.was]; s != nil && s != f {
		return true
	}
	i, err := r.t.stat.path(f.was, r.t.config.FollowSymlinks)
	return err == nil && i.id != f.id
}

// finishMoved is drain for a file that was renamed to something that a pattern names.
func (r *run) finishMoved(f *file, now time.Time) {
	if f.finished {
		f.moved = false
		delete(r.moving, f)
		return
	}
	if r.drained(f, now) && r.succeeded(f) {
		f.final = true
		r.enqueue(f)
	}
}

// settleFinished is called when all of a finished file is on disk.
func (r *run) settleFinished(f *file) {
	f.moved = false
	delete(r.moving, f)
	if f.lost {
		r.bury(f)
		r.scanWanted = true // which writes the catalog
	}
}

// matches reports whether the patterns name path.
func (t *Tail) matches(path string) bool {
	for i := range t.patterns {
		if t.patterns[i].matches(path) {
			return !t.config.excluded(path)
		}
	}
	return false
}
