package tail

import (
	"errors"
	"path/filepath"
	"time"
)

// scan looks at everything: new files, renamed ones, changed ones, vanished ones.
func (r *run) scan(now time.Time) {
	r.scanWanted, r.looking = false, now
	r.scans++
	look := r.t.walk(len(r.files))
	r.hints.watch(look.dirs)
	refused := map[string]bool{}
	var fresh []found
	for _, fo := range look.found {
		if fo.info.fifo() && fo.pattern.literal {
			r.pipes.serve(fo)
			continue
		}
		var refusal *refusalError
		if err := r.t.safe(fo.path, fo.info); errors.As(err, &refusal) {
			refused[fo.path] = true
			r.refuse(fo.path, refusal.reason)
			continue
		}
		if f := r.files[fo.info.id]; f == nil {
			fresh = append(fresh, fo)
		} else if f.scan != r.scans { // else this is a second name
			f.scan = r.scans
			r.place(f, fo)
		}
	}
	for path := range r.refusals {
		if !refused[path] {
			delete(r.refusals, path)
		}
	}
	// Names change hands: first those that left, then those that came.
	for _, f := range r.files {
		if f.gone == 0 && !f.lost && f.scan != r.scans && !underAny(look.failed, f.path) {
			r.lose(f, now)
		}
	}
	for _, fo := range fresh {
		if r.files[fo.info.id] == nil { // else this is a second name
			r.admit(fo).scan = r.scans
		}
	}
	r.lists = map[string]*listing{}
	r.searchDepartures(now)
	r.searchLost(now)
	r.searchUnsought()
	r.lists = nil
	r.forgetOld(now)
	r.flushCatalog()
	if r.first {
		r.first = false
		r.submitMark(nil, startedKey, []byte{1})
	}
	r.started = true
	r.meters.stale = true
	r.scanned = time.Now()
	r.scanTook = r.scanned.Sub(now)
	r.looks.Add(1)
}

func underAny(dirs map[string]bool, path string) bool {
	if len(dirs) == 0 {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if dirs[dir] {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// refuse says once that path is not read.
func (r *run) refuse(path, reason string) {
	if !r.refusals[path] {
		r.refusals[path] = true
		r.log.Warn("a file is not safe to read and is left alone", "path", path, "reason", reason)
		r.t.env.Counter("files_refused_total", "reason", reason).Inc()
	}
}

// place notes that the known file f is at fo.path.
func (r *run) place(f *file, fo found) {
	if f.gone != 0 { // it came back
		f.gone, f.finished = 0, false
		r.dirty[f.id.shard()] = true
		f.size, f.mtime = 0, 0
	}
	if f.lost {
		delete(r.draining, f)
		f.lost, f.onlyTwin = false, false
		if f.unsought {
			r.unsought[f] = true
		}
	}
	if f.path != fo.path {
		if f.wasOwn {
			r.depart(f, time.Now())
		}
		if !f.moved && !f.finished {
			r.meters.rotations.Inc()
			f.moved = true
			r.moving[f] = true
		}
		r.rename(f, fo.path)
	}
	open := ""
	if fo.link {
		open = r.target(fo)
	}
	if open != f.open {
		f.open = open
		r.dirty[f.id.shard()] = true
	}
	if f.own && f.followed { // it has its name again
		f.followed = false
		r.dirty[f.id.shard()] = true
	}
	if f.own {
		f.namedAt = r.looking.UnixNano()
	}
	f.pattern = fo.pattern
	r.byPath[f.path] = f
	r.observe(f, fo.info)
}

// admit makes a file known that was never seen.
func (r *run) admit(fo found) *file {
	f := &file{id: fo.info.id, path: fo.path, pattern: fo.pattern, pack: packingOf(fo.path), known: r.looking.UnixNano()}
	r.log.Debug("a new file", "path", f.path, "id", f.id, "size", fo.info.size)
	r.restore(f) // the catalog may have been lost
	r.add(f)
	r.dirty[f.id.shard()] = true
	if fo.link {
		f.open = r.target(fo)
	}
	r.byPath[f.path] = f
	if r.first && r.t.config.StartAt == "end" && !f.marked {
		r.skipToEnd(f)
	}
	r.observe(f, fo.info)
	if f.found.IsZero() { // empty, from 1970
		f.found, f.changed = time.Now(), time.Now()
	}
	return f
}

// target is where the symbolic link fo leads, or led when it was looked at:
// it can have been switched since then.
func (r *run) target(fo found) string {
	path, err := filepath.EvalSymlinks(fo.path)
	if err != nil {
		return ""
	}
	if i, err := r.t.stat.path(path, false); err == nil && i.id == fo.info.id {
		return path
	}
	if name, ok := r.t.readListing(filepath.Dir(path)).byID[fo.info.id]; ok {
		return filepath.Join(filepath.Dir(path), name)
	}
	return path
}
