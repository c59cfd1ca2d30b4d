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
// after the file that left was last seen to have it. All of them are known as soon as another file has
// the name and a look at the directory was not disturbed by renames: whatever
// has the name after that one is the next departure's concern. So no
// generation depends on a look at the right moment.
type departure struct {
	name    string    // the name that a pattern knows
	beside  string    // what the names of generations are made of: name, or where the symbolic link led
	link    bool      // name is a symbolic link
	after   int64     // when the file that left had the name for sure, Unix nanoseconds; of several, the first
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
	after := max(f.id.birth, max(f.known, f.namedAt)-int64(r.t.timing.clock))
	if f.open != "" {
		after = f.id.birth // what a link leads to may be made long before it does
	}
	d := r.departures[name]
	if d == nil {
		d = &departure{name: name, beside: name, after: after, pattern: f.pattern, since: now}
		r.departures[name] = d
	}
	if f.open != "" {
		d.beside, d.link = f.open, true
	}
	d.after = min(d.after, after)
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
		r.bringIn(path, s.info, d.pattern, d.name, !rotated || packed && !r.since(s.info, d.after))
	}
	return found
}

// since reports whether a compressed file holds what was written after then:
// it has the time of what it was made of, as gzip, zstd and logrotate have it.
func (r *run) since(i info, then int64) bool { return i.mtime > then-int64(r.t.timing.clock) }

// rotatedFrom reports whether name is made of the name of.
func rotatedFrom(of, name string) bool {
	return strings.HasPrefix(name, of+".") || strings.HasPrefix(name, of+"-")
}

// bringIn makes the file at path known, which lies beside the patterns and is
// perhaps what had the name was before. One that is onlyTwin is read only if it
// turns out to continue a file of ours.
func (r *run) bringIn(path string, i info, p *pattern, was string, onlyTwin bool) {
	if s, ok := r.strangers[i.id]; ok && s.mtime == i.mtime && (onlyTwin || s.repeats) || r.t.matches(path) || r.t.safe(path, i) != nil {
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
