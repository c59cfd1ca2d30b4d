package tail

import (
	"path/filepath"
	"strings"
	"time"
)

// drain looks at a file that lost its name: its writer may still write to it,
// for as long as it likes. It is finished when it is read to the end, was quiet
// for a while and either another file has its name or nobody can find it.
func (r *run) drain(f *file, now time.Time) {
	if f.fd == nil && r.ensureOpen(f) != nil {
		return // what to do about it was done there
	}
	i, err := statFile(f.fd)
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
	i, err := statPath(f.was, r.t.config.FollowSymlinks)
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

// admitSiblings looks beside f, which left its name or perhaps was truncated,
// for files outside the patterns that hold what f held: a copy or a compressed
// copy. There may also be one that holds what nobody has seen: a file that had
// f's name after it and was renamed before any scan saw it, or the copy of what
// f held for a moment between two truncations. The birth time tells those from
// older ones.
func (r *run) admitSiblings(f *file, left bool) {
	dir := filepath.Dir(f.was)
	if !left {
		dir = filepath.Dir(f.path)
	}
	name := filepath.Base(f.path)
	if left {
		name = filepath.Base(f.was)
	}
	if f.id.birth == 0 || f.onlyTwin {
		return
	}
	var until int64 = 1<<63 - 1
	if s := r.byPath[f.was]; left && s != nil {
		until = s.id.birth
	}
	eachIn(dir, func(sibling string, i info) {
		path := filepath.Join(dir, sibling)
		if r.files[i.id] != nil || r.strangers[i.id] || r.t.safe(path, i) != nil || i.id.birth <= f.id.birth || stem(sibling) != stem(name) {
			return
		}
		packed := packingOf(path) != plain
		rotated := strings.HasPrefix(sibling, name+".") || strings.HasPrefix(sibling, name+"-")
		unseen := left && i.id.birth < until || !left && i.id.birth > f.intactAt
		onlyTwin := packed || !rotated || !unseen
		if f.compressed() || r.t.matches(path) {
			return // the next scan takes care of it
		}
		s := r.admit(found{path: path, pattern: f.pattern, info: i})
		if r.byPath[path] == s {
			delete(r.byPath, path)
		}
		s.lost, s.onlyTwin, s.was, s.leftAt = true, onlyTwin, filepath.Join(dir, name), time.Now()
		r.draining[s] = true
	})
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
