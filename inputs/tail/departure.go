package tail

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A departure is a name that a file of ours has left, for as long as it is not
// known which files have had that name since. Those that came and went between
// two looks lie beside it, under names that are made of the name, and were born
// after the file that left. All of them are known as soon as another file has
// the name and a look at the directory was not disturbed by renames: whatever
// has the name after that one is the next departure's concern. So no
// generation depends on a look at the right moment.
type departure struct {
	name    string    // the name that a pattern knows
	beside  string    // what the names of generations are made of: name, or where the symbolic link led
	link    bool      // name is a symbolic link
	after   int64     // birth of the file that left; of several, the first
	pattern *pattern  // that file's
	since   time.Time // when it was noticed
	left    []*file   // the files that left
}

// depart notes that f leaves the name that it has, or had when it was last seen.
func (r *run) depart(f *file, now time.Time) {
	if f.followed || f.onlyTwin || f.compressed() || f.id.birth == 0 {
		return
	}
	name := f.path
	if own := filepath.Join(filepath.Dir(name), stem(name)); f.wasOwn && f.open == "" && r.t.matches(own) {
		name = own // path may be one that it was rotated to
	}
	d := r.departures[name]
	if d == nil {
		d = &departure{name: name, beside: name, after: f.id.birth, pattern: f.pattern, since: now}
		r.departures[name] = d
	}
	if f.open != "" {
		d.beside, d.link = f.open, true
	}
	d.after = min(d.after, f.id.birth)
	if !slices.Contains(d.left, f) {
		d.left = append(d.left, f)
	}
}

// searchDepartures looks for the files that came and went unseen.
func (r *run) searchDepartures(now time.Time) {
	for name, d := range r.departures {
		holder := r.byPath[name]
		switch age := now.Sub(d.since); {
		case holder == nil && age >= max(r.t.timing.forget, r.t.timing.abandon):
			delete(r.departures, name)
			continue
		case holder == nil && age >= r.t.timing.abandon:
			continue // until there is one
		}
		l := r.list(filepath.Dir(d.beside))
		found := r.admitGenerations(d, holder, l)
		switch {
		case l.torn[stem(d.beside)]:
			r.scanWanted = true
		case holder != nil || !found: // without generations nobody rotates here
			r.settle(d)
		}
	}
}

// settle ends a departure: what followed the files that left is known. They
// are marked as followed when the catalog that lists their followers is on
// disk, not before: after a crash between the two nobody would look again.
func (r *run) settle(d *departure) {
	delete(r.departures, d.name)
	r.settled = append(r.settled, d.left...)
	for _, f := range d.left {
		r.dirty[f.id.shard()] = true
	}
}

// follow marks settled files as followed.
func (r *run) follow(settled []*file) {
	for _, f := range settled {
		if f.own && r.byPath[f.path] == f {
			continue // it has such a name again
		}
		f.followed = true
		r.dirty[f.id.shard()] = true
	}
}

// admitGenerations makes those files known that had d's name before holder,
// which has it now, and what may be a copy of them. It reports whether there
// are generations of any age.
func (r *run) admitGenerations(d *departure, holder *file, l *listing) (found bool) {
	until := int64(math.MaxInt64)
	if holder != nil {
		until = holder.id.birth
	}
	dir, name := filepath.Dir(d.beside), filepath.Base(d.beside)
	for _, s := range l.byStem[stem(name)] {
		packed := packingOf(s.name) != plain
		rotated := rotatedFrom(name, s.name) || d.link
		found = found || rotated
		path, birth := filepath.Join(dir, s.name), s.info.id.birth
		switch {
		case birth < d.after || !packed && !rotated && stem(name) != name:
			continue // of its elder siblings' making, if anybody's
		case !packed && birth > until:
			continue // the next one to have the name, perhaps
		}
		r.bringIn(path, s.info, d.pattern, d.name, packed || !rotated)
	}
	return found
}

// rotatedFrom reports whether name is made of the name of.
func rotatedFrom(of, name string) bool {
	return strings.HasPrefix(name, of+".") || strings.HasPrefix(name, of+"-")
}

// admitCopies looks beside f for files outside the patterns that hold what f
// held: a copy, or a compressed copy, that was made before f was truncated, or
// is about to be. There may also be one that holds what nobody has seen: the
// copy of what f held for a moment between two truncations.
func (r *run) admitCopies(f *file) {
	of := f.path
	if f.open != "" {
		of = f.open
	}
	if f.id.birth == 0 || f.onlyTwin || f.compressed() {
		return
	}
	dir, name := filepath.Dir(of), filepath.Base(of)
	siblings := readListing(dir).byStem[stem(name)]
	if i, err := statPath(of, false); err != nil || i.id != f.id {
		// f has left its name meanwhile: what had it since then must not be
		// taken for a copy of f, or nobody would ever read it.
		r.scanWanted = true
		return
	}
	for _, s := range siblings {
		packed := packingOf(s.name) != plain
		rotated := rotatedFrom(name, s.name) || f.open != ""
		birth := s.info.id.birth
		if birth < f.id.birth || !packed && !rotated && stem(name) != name {
			continue
		}
		// Files that are made in one tick of the kernel's clock are born
		// together, and up to a tick before they are made: that one may be a
		// generation before f, or have been made after f was last read.
		unseen := birth > f.intactAt-clockTick || birth == f.id.birth
		r.bringIn(filepath.Join(dir, s.name), s.info, f.pattern, f.path, packed || !rotated || !unseen)
	}
}

// clockTick is the longest time by which the filesystem's clock is behind, in nanoseconds.
const clockTick = 10_000_000

// bringIn makes the file at path known, which lies beside the patterns and is
// perhaps what had the name was before. One that is onlyTwin is read only if it
// turns out to continue a file of ours.
func (r *run) bringIn(path string, i info, p *pattern, was string, onlyTwin bool) {
	if mtime, ok := r.strangers[i.id]; ok && mtime == i.mtime || r.t.matches(path) || r.t.safe(path, i) != nil {
		return // of those that patterns name the scan takes care
	}
	if known := r.files[i.id]; known != nil {
		if known.rewritten(i) {
			r.reopen(known, path)
			return
		}
		// An older generation has brought it in, and could not know better.
		known.onlyTwin = known.onlyTwin && onlyTwin
		return
	}
	s := r.admit(found{path: path, pattern: p, info: i})
	if r.byPath[path] == s {
		delete(r.byPath, path)
	}
	s.lost, s.followed, s.onlyTwin, s.was, s.leftAt = true, true, onlyTwin, was, time.Now()
	r.draining[s] = true
}
