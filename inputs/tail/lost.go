package tail

import (
	"path/filepath"
	"slices"
	"time"
)

// lose notes that no pattern names f any more.
func (r *run) lose(f *file, now time.Time) {
	if f.found.IsZero() {
		f.found, f.changed = now, now // known from an earlier run
	}
	if r.byPath[f.path] == f {
		delete(r.byPath, f.path)
	}
	delete(r.moving, f)
	if !f.moved && !f.finished {
		r.meters.rotations.Inc()
	}
	f.moved, f.lost, f.was, f.leftAt = false, true, f.path, now
	r.depart(f, now)
	r.log.Debug("a file lost its name", "path", f.path, "id", f.id, "offset", f.offset, "open", f.fd != nil)
	r.draining[f] = true
}

// searchLost finds out where lost files without a descriptor went.
func (r *run) searchLost(now time.Time) {
	for f := range r.draining {
		again := f.missed
		f.missed = false
		if f.leftAt != now && !again {
			continue
		}
		if f.fd != nil {
			continue
		}
		if f.finished {
			r.bury(f)
			continue
		}
		if f.open != "" { // where the link led
			if i, err := r.t.stat.path(f.open, false); err == nil && i.id == f.id {
				r.ensureOpen(f)
				continue
			}
		}
		dir := filepath.Dir(f.path)
		name, ok := r.list(dir).byID[f.id]
		if !ok && f.open != "" {
			dir = filepath.Dir(f.open)
			name, ok = r.list(dir).byID[f.id]
		}
		if !ok && !again {
			// While names change a listing can miss one: look once more.
			f.missed, r.scanWanted = true, true
			continue
		}
		if !ok {
			r.vanish(f)
			continue
		}
		if f.open != "" {
			f.open = filepath.Join(dir, name)
			r.dirty[f.id.shard()] = true
		} else {
			r.rename(f, filepath.Join(dir, name))
		}
		r.ensureOpen(f)
		r.enqueue(f)
	}
}

// bury closes f for good. It stays known for a while: its content may come
// back compressed.
func (r *run) bury(f *file) {
	r.log.Debug("a file is finished", "path", f.path, "id", f.id, "offset", f.offset)
	r.closeFile(f)
	r.leave(f)
	f.gone = time.Now().UnixNano()
	r.dirty[f.id.shard()] = true
}

// forgetOld drops files that are gone for long, and their marks.
func (r *run) forgetOld(now time.Time) {
	var gone []*file
	for _, f := range r.files {
		if f.gone != 0 {
			gone = append(gone, f)
		}
	}
	slices.SortFunc(gone, func(a, b *file) int { return int(min(1, max(-1, a.gone-b.gone))) })
	for i, f := range gone {
		if i >= len(gone)-maxGone && now.Sub(time.Unix(0, f.gone)) < r.t.timing.forget {
			break
		}
		r.forget(f)
	}
}

// maxGone bounds the number of vanished files that stay known.
const maxGone = 10_000

func (r *run) forget(f *file) {
	r.drop(f)
	r.dirty[f.id.shard()] = true
	r.submitMark(nil, f.id.key(), nil)
}
