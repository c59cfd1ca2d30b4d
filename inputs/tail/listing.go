package tail

import (
	"os"
	"slices"
)

// A listing is a directory: all of its plain files, not only what patterns name.
type listing struct {
	byID   map[identity]string
	byStem map[string][]besides
	torn   map[string]bool // stems whose names changed while it was made
}

// A besides is a file in a listing.
type besides struct {
	name string
	info info // zero if name was gone when it was looked at
}

// list reads dir; once in a scan, however many files need it. While names change
// hands, reading a directory can miss a file, and a name that was read can be
// another file's by the time it is looked at: so it is read twice. Names that
// are the same both times have kept still.
func (r *run) list(dir string) *listing {
	if l := r.lists[dir]; l != nil {
		return l
	}
	first, l := r.t.readListing(dir), r.t.readListing(dir)
	l.join(first)
	if r.lists != nil {
		r.lists[dir] = l
	}
	return l
}

func (t *Tail) readListing(dir string) *listing {
	l := &listing{byID: map[identity]string{}, byStem: map[string][]besides{}, torn: map[string]bool{}}
	d, err := os.Open(dir)
	if err != nil {
		return l
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		i, err := t.stat.at(int(d.Fd()), name, false)
		s := stem(name)
		switch {
		case err != nil:
			l.torn[s] = true
		case i.regular():
			l.byID[i.id] = name
			l.byStem[s] = append(l.byStem[s], besides{name, i})
		}
	}
	return l
}

// join adds to l what first, which was made before, has beyond it.
func (l *listing) join(first *listing) {
	for s := range first.torn {
		l.torn[s] = true
	}
	for s, before := range first.byStem {
		same := func(a, b besides) bool { return a.name == b.name && a.info.id == b.info.id }
		if !slices.EqualFunc(before, l.byStem[s], same) {
			l.torn[s] = true
			for _, b := range before {
				if _, ok := l.byID[b.info.id]; !ok {
					l.byID[b.info.id] = b.name
					l.byStem[s] = append(l.byStem[s], b)
				}
			}
		}
	}
	for s := range l.byStem {
		if len(first.byStem[s]) == 0 {
			l.torn[s] = true
		}
	}
}
