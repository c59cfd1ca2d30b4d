package tail

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// drain looks at a file that lost its name: its writer may still write to it,
// for as long as it likes. It is finished when it is read to the end, was quiet
// for a while and either another file has its name or nobody can find it.
func (r *run) drain(f *file, now time.Time) {
	if f.missed || f.fd == nil && r.ensureOpen(f) != nil {
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
	of := f.path
	if left {
		of = f.was
	}
	if f.open != "" { // the generations lie where the link led
		of = f.open
	}
	if f.id.birth == 0 || f.onlyTwin {
		return
	}
	dir, name := filepath.Dir(of), filepath.Base(of)
	var until int64 = 1<<63 - 1
	if s := r.byPath[f.was]; left && s != nil {
		until = s.id.birth
	}
	siblings := r.list(dir).byStem[stem(name)]
	if i, err := statPath(of, false); !left && len(siblings) > 0 && (err != nil || i.id != f.id) {
		// f has left its name meanwhile: what had it since then must not be
		// taken for a copy of f, or nobody would ever read it.
		r.scanWanted = true
		return
	}
	for _, beside := range siblings {
		path, i := filepath.Join(dir, beside.name), beside.info
		// Two files that are made in one tick of the clock are born together.
		if i.id == f.id || i.id.birth < f.id.birth || r.t.safe(path, i) != nil {
			continue
		}
		packed := packingOf(path) != plain
		rotated := strings.HasPrefix(beside.name, name+".") || strings.HasPrefix(beside.name, name+"-") || f.open != ""
		if !packed && !rotated && stem(name) != name {
			continue // of f's elder siblings' making, if anybody's
		}
		if left && !packed && (i.id.birth > until || i.id.birth == until && f.open != "") {
			continue // the next one to have the name, perhaps: not to be taken for a stranger
		}
		unseen := left || i.id.birth > f.intactAt
		onlyTwin := packed || !rotated || !unseen
		if f.compressed() || r.t.matches(path) {
			continue // the next scan takes care of it
		}
		if known := r.files[i.id]; known != nil {
			// An older generation of f has brought it in, and could not know better.
			known.onlyTwin = known.onlyTwin && onlyTwin
			continue
		}
		s := r.admit(found{path: path, pattern: f.pattern, info: i})
		if r.byPath[path] == s {
			delete(r.byPath, path)
		}
		s.lost, s.onlyTwin, s.was, s.leftAt = true, onlyTwin, f.path, time.Now()
		r.draining[s] = true
	}
}

// A listing is a directory: all of it, not only what patterns name.
type listing struct {
	byID   map[identity]string
	byStem map[string][]besides // only those that are not known, or not known to be ours
}

type besides struct {
	name string
	info info
}

// list reads dir, once in a scan however many files need it.
func (r *run) list(dir string) *listing {
	if l := r.lists[dir]; l != nil {
		return l
	}
	l := &listing{byID: map[identity]string{}, byStem: map[string][]besides{}}
	if r.lists != nil {
		r.lists[dir] = l
	}
	d, err := os.Open(dir)
	if err != nil {
		return l
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if i, err := statAt(int(d.Fd()), name, false); err == nil && i.regular() {
			l.byID[i.id] = name
			if f := r.files[i.id]; (f == nil || f.onlyTwin) && !r.strangers[i.id] {
				s := stem(name)
				l.byStem[s] = append(l.byStem[s], besides{name, i})
			}
		}
	}
	return l
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
