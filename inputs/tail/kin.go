package tail

import (
	"path/filepath"
	"slices"
	"strings"
)

// Families finds the files that a new one may be a twin of, without a look at
// all ten thousand.
type families struct {
	byStem  map[string]*family
	byInode map[inode][]*file
}

// A family has one stem, by its present name or the one before.
type family struct {
	all    []*file
	copied []*file // had the stem as their name, or were truncated: copies are made of them
}

// An inode is an identity but for the device's number, which a boot can change.
type inode struct {
	ino   uint64
	birth int64
}

func (fs *families) add(f *file) {
	f.own = stem(f.path) == filepath.Base(f.path)
	f.wasOwn = f.wasOwn || f.own
	for _, s := range f.stems() {
		fam := fs.byStem[s]
		if fam == nil {
			fam = &family{}
			fs.byStem[s] = fam
		}
		fam.all = append(fam.all, f)
		if f.wasOwn || len(f.past) > 0 {
			fam.copied = append(fam.copied, f)
		}
	}
	if f.id.birth != 0 {
		i := inode{f.id.ino, f.id.birth}
		fs.byInode[i] = append(fs.byInode[i], f)
	}
}

// remember notes that f was truncated.
func (fs *families) remember(f *file) {
	for _, s := range f.stems() {
		if fam := fs.byStem[s]; fam != nil && !slices.Contains(fam.copied, f) {
			fam.copied = append(fam.copied, f)
		}
	}
}

// remove takes f out; its paths must be those with which it was added.
func (fs *families) remove(f *file) {
	for _, s := range f.stems() {
		if fam := fs.byStem[s]; fam != nil {
			fam.all, fam.copied = without(fam.all, f), without(fam.copied, f)
			if len(fam.all) == 0 {
				delete(fs.byStem, s)
			}
		}
	}
	i := inode{f.id.ino, f.id.birth}
	if rest := without(fs.byInode[i], f); len(rest) > 0 {
		fs.byInode[i] = rest
	} else {
		delete(fs.byInode, i)
	}
}

func without(list []*file, f *file) []*file {
	if at := slices.Index(list, f); at >= 0 {
		last := len(list) - 1
		list[at], list[last] = list[last], nil
		list = list[:last]
	}
	return list
}

// of lists the files that f may be a twin of, f itself among them; the list is the caller's.
func (fs *families) of(f *file) []*file {
	same := fs.byInode[inode{f.id.ino, f.id.birth}]
	fam := fs.byStem[stem(f.path)]
	if fam == nil {
		return slices.Clone(same)
	}
	list := fam.copied
	if f.compressed() {
		list = fam.all
	}
	return slices.Concat(same, list)
}

// stems are those of f's name and of the one before: copies that were made of it
// by that name may not be told from other files yet when it gets another.
func (f *file) stems() []string {
	s := stem(f.path)
	if f.former == "" || f.former == s {
		return []string{s}
	}
	return []string{s, f.former}
}

// stem is the name that rotated names are made of: app.log for app.log.1,
// app.log.2.gz, app.log-20260131, app-2026-01-31.log and app.log.old.
func stem(path string) string {
	name := filepath.Base(path)
	for _, ext := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, ext)
	}
	name = cutNumbers(name)
	if ext := filepath.Ext(name); ext != "" && ext != name {
		name = cutNumbers(strings.TrimSuffix(name, ext)) + ext
	}
	return name
}

// cutNumbers takes numbers and dates with their separators off the end of name.
func cutNumbers(name string) string {
	for {
		short := name
		for _, word := range []string{".old", ".bak", ".copy"} {
			short = strings.TrimSuffix(short, word)
		}
		if digits := strings.TrimRight(short, "0123456789T"); len(digits) < len(short) {
			if sep := strings.TrimRight(digits, "._:-"); len(sep) < len(digits) {
				short = sep
			}
		}
		if short == name || short == "" {
			return name
		}
		name = short
	}
}
