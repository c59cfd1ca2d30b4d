package tail

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// maxDepth bounds ** where directories are nested without end.
const maxDepth = 64

// A pattern is one entry of paths: a directory that the operator named, and
// what may vary below it.
type pattern struct {
	base     string   // absolute; may lead through symbolic links
	rel      string   // the pattern below base
	segments []string // of rel; nil if a brace holds a slash
	literal  bool     // rel is a plain name
}

func newPattern(path string) (pattern, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return pattern{}, err
	}
	var p pattern
	p.base, p.rel = doublestar.SplitPattern(filepath.ToSlash(abs))
	p.literal = !strings.ContainsAny(p.rel, `*?[{\`)
	p.segments = strings.Split(p.rel, "/")
	for _, s := range p.segments {
		if strings.Count(s, "{") != strings.Count(s, "}") {
			p.segments = nil
			break
		}
	}
	return p, nil
}

// matches reports whether the file at path belongs to p.
func (p *pattern) matches(path string) bool {
	rel, ok := below(p.base, path)
	if !ok || hiddenBy(p.rel, rel) {
		return false
	}
	ok, _ = doublestar.Match(p.rel, rel)
	return ok
}

// descend reports whether files below the directory rel ("" is base) can match.
func (p *pattern) descend(rel string) bool {
	if rel == "" {
		return true
	}
	parts := strings.Split(rel, "/")
	if len(parts) > maxDepth {
		return false
	}
	if p.segments == nil {
		return true
	}
	for i, part := range parts {
		if i < len(p.segments) && p.segments[i] == "**" {
			return !strings.HasPrefix(part, ".")
		}
		if i >= len(p.segments)-1 {
			return false
		}
		if ok, _ := doublestar.Match(p.segments[i], part); !ok {
			return false
		}
	}
	return true
}

// below is path relative to base, which is a clean absolute path.
func below(base, path string) (string, bool) {
	if base == "/" {
		return strings.TrimPrefix(path, "/"), strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, base)
	if !ok || !strings.HasPrefix(rest, "/") {
		return "", false
	}
	return rest[1:], true
}

// hiddenBy reports whether rel's name begins with a dot and the pattern's does
// not: as in a shell, * leaves such names alone. Apps use them for unfinished files.
func hiddenBy(pattern, rel string) bool {
	name, last := rel, pattern
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		name = rel[i+1:]
	}
	if i := strings.LastIndexByte(pattern, '/'); i >= 0 {
		last = pattern[i+1:]
	}
	return strings.HasPrefix(name, ".") && !strings.HasPrefix(last, ".")
}

// excluded reports whether exclude, or archive_dir, keeps path out.
func (c *Config) excluded(path string) bool {
	if c.ArchiveDir != "" {
		if _, ok := below(c.ArchiveDir, path); ok {
			return true
		}
	}
	for _, p := range c.Exclude {
		against := path
		if !strings.Contains(p, "/") {
			against = filepath.Base(path)
		} else if !filepath.IsAbs(p) {
			p = "**/" + strings.TrimPrefix(p, "./")
		}
		if ok, _ := doublestar.Match(p, against); ok {
			return true
		}
	}
	return false
}

// A found is a file that a pattern names.
type found struct {
	path    string
	pattern *pattern
	info    info
	link    bool // path is a symbolic link; info is of what it points to
}

// A look is one pass over all directories.
type look struct {
	found  []found
	dirs   []string        // all that were read, and bases that do not exist yet: worth watching
	failed map[string]bool // directories that exist but cannot be read
}

// walk looks at every directory that the patterns reach: one readdir, and one
// stat for each name that matches. It makes room for so many files.
func (t *Tail) walk(files int) *look {
	w := walker{t: t, look: &look{found: make([]found, 0, files+files/8), failed: map[string]bool{}}, read: map[string]bool{}}
	if len(t.patterns) > 1 {
		w.paths = make(map[string]bool, files)
	}
	for i := range t.patterns {
		w.dir(&t.patterns[i], "")
	}
	return w.look
}

type walker struct {
	*look
	t     *Tail
	paths map[string]bool // found already by an earlier pattern; nil if there is one alone
	read  map[string]bool
}

func (w *walker) dir(p *pattern, rel string) {
	path := filepath.Join(p.base, rel)
	if !w.read[path] {
		w.read[path] = true
		w.dirs = append(w.dirs, path)
	}
	d, err := os.Open(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.failed[path] = true
		}
		return
	}
	defer d.Close()
	if p.literal {
		w.file(p, d, p.rel, path)
		return
	}
	var subdirs []string
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			name := e.Name()
			sub := name
			if rel != "" {
				sub = rel + "/" + name
			}
			if e.IsDir() || e.Type()&fs.ModeSymlink != 0 && w.t.config.FollowSymlinks && w.isDir(d, name) {
				if p.descend(sub) {
					subdirs = append(subdirs, sub)
				}
				continue
			}
			if hiddenBy(p.rel, sub) {
				continue
			}
			if ok, _ := doublestar.Match(p.rel, sub); ok {
				w.file(p, d, name, path)
			}
		}
		if err != nil {
			if err != io.EOF {
				w.failed[path] = true
			}
			break
		}
	}
	for _, sub := range subdirs {
		w.dir(p, sub)
	}
}

func (w *walker) isDir(d *os.File, name string) bool {
	i, err := w.t.stat.at(int(d.Fd()), name, true)
	return err == nil && i.dir()
}

func (w *walker) file(p *pattern, d *os.File, name, dir string) {
	path := dir + "/" + name
	if dir == "/" {
		path = dir + name
	}
	if w.paths[path] || w.t.config.excluded(path) {
		return
	}
	f := found{path: path, pattern: p}
	var err error
	f.info, err = w.t.stat.at(int(d.Fd()), name, false)
	if err == nil && f.info.symlink() && w.t.config.FollowSymlinks {
		f.link = true
		f.info, err = w.t.stat.at(int(d.Fd()), name, true)
	}
	if err != nil || f.info.dir() {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.failed[dir] = true // not to be taken for gone
		}
		return
	}
	if w.paths != nil {
		w.paths[path] = true
	}
	w.found = append(w.found, f)
}
