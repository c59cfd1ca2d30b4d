package tail

import (
	"path/filepath"
	"time"
)

// hinted looks at the files whose names were in notifications.
func (r *run) hinted() {
	paths, since, missed := r.hints.take()
	r.scanWanted, r.looking = r.scanWanted || missed, time.Now()
	for path := range paths {
		f := r.byPath[path]
		if f == nil && !r.interesting(path) {
			r.changedBeside(path)
			continue
		}
		i, err := r.t.stat.path(path, r.t.config.FollowSymlinks)
		if f != nil && err == nil && i.id == f.id {
			if f.atEnd && !since.IsZero() {
				f.since = since.UnixNano()
			}
			r.observe(f, i)
			continue
		}
		r.scanWanted = true
		if err == nil && i.regular() && r.started && r.files[i.id] == nil {
			r.arrive(path, i)
		}
	}
}

// changedBeside looks at a file that changed and that no pattern names.
func (r *run) changedBeside(path string) {
	i, err := r.t.stat.path(path, false)
	if _, stranger := r.strangers[i.id]; err != nil || !i.regular() || stranger {
		return
	}
	if f := r.files[i.id]; f != nil {
		if f.rewritten(i) {
			r.reopen(f, path)
		}
		return
	}
	// Perhaps the copy of a file that is about to be truncated.
	if of := r.byPath[filepath.Join(filepath.Dir(path), stem(path))]; of != nil && of.path != path {
		if r.hasItsName(of) {
			r.admitCopy(of, besides{filepath.Base(path), i})
		}
	}
}

// arrive opens a new file before the scan that will find out what has become
// of the one that had its name: it may be deleted until then.
func (r *run) arrive(path string, i info) {
	if r.t.safe(path, i) != nil || r.t.config.excluded(path) {
		return
	}
	for n := range r.t.patterns {
		if p := &r.t.patterns[n]; p.matches(path) {
			own, err := r.t.stat.path(path, false)
			r.admit(found{path: path, pattern: p, info: i, link: err == nil && own.symlink()})
			return
		}
	}
}

// interesting reports whether a name that is not known can concern this input.
func (r *run) interesting(path string) bool {
	for i := range r.t.patterns {
		p := &r.t.patterns[i]
		if p.matches(path) {
			return !r.t.config.excluded(path)
		}
		if _, ok := below(path, p.base); ok || path == p.base {
			return true // base, or a directory on the way to it, has come or gone
		}
		if rel, ok := below(p.base, path); ok && p.descend(rel) {
			if i, err := r.t.stat.path(path, r.t.config.FollowSymlinks); err == nil && i.dir() {
				return true
			}
		}
	}
	return false
}
