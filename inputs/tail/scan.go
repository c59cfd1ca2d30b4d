package tail

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
)

// scan looks at everything: new files, renamed ones, changed ones, vanished ones.
func (r *run) scan(now time.Time) {
	r.scanWanted, r.looking = false, now
	look := r.t.walk()
	r.hints.watch(look.dirs)
	present := make(map[identity]bool, len(look.found))
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
		if present[fo.info.id] {
			continue // a second name
		}
		present[fo.info.id] = true
		if f := r.files[fo.info.id]; f != nil {
			r.place(f, fo)
		} else {
			fresh = append(fresh, fo)
		}
	}
	for path := range r.refusals {
		if !refused[path] {
			delete(r.refusals, path)
		}
	}
	// Names change hands: first those that left, then those that came.
	for _, f := range r.files {
		if f.gone == 0 && !f.lost && !present[f.id] && !underAny(look.failed, f.path) {
			r.lose(f, now)
		}
	}
	for _, fo := range fresh {
		r.admit(fo)
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

// flushCatalog writes the shards that changed. It comes before the first
// batch of a new file, so that no file has a mark without being listed.
func (r *run) flushCatalog() {
	if len(r.dirty) == 0 {
		return
	}
	lists := make(map[int][]entry, len(r.dirty))
	for _, f := range r.files {
		if n := f.id.shard(); r.dirty[n] {
			lists[n] = append(lists[n], entry{id: f.id, path: f.path, open: f.open, gone: f.gone, twin: f.onlyTwin, own: f.wasOwn, followed: f.followed, known: f.known})
		}
	}
	var last *job
	for n := range r.dirty {
		var pos []byte
		if len(lists[n]) > 0 {
			pos = appendCatalog(nil, lists[n])
		}
		last = r.submitMark(nil, shardKey(n), pos)
	}
	clear(r.dirty)
	last.settled, r.settled = r.settled, nil
}

// submitMark hands over a mark without lines.
func (r *run) submitMark(f *file, key string, pos []byte) *job {
	j := &job{file: f, batch: agent.Batch{Mark: &agent.Mark{Key: key, Pos: pos}}}
	if f != nil {
		j.offset = f.offset
		j.batch.File = f.path
		f.inflight++
	}
	r.outbox = append(r.outbox, j)
	return j
}
