package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	watchSettle = 300 * time.Millisecond // after the last change: editors write in several steps
	watchLimit  = 2 * time.Second        // after the first change: a directory may never be quiet
	watchAgain  = time.Second            // after an edit
	watchPoll   = 30 * time.Second       // for what notifications miss, on network filesystems for instance
)

// A Watch looks for edits of config files and of the files that values come from.
type Watch struct {
	Path    string          // of the main file
	Sources func() []string // files that the running config takes values from
	Log     *slog.Logger
	Settle  time.Duration // 0: 300 ms
	Poll    time.Duration // 0: 30 s

	wanted []string // files that the config on disk takes values from; it may have been refused for the want of one
}

// Run calls changed after each edit, when nothing has changed for a moment,
// until ctx ends. It watches directories, since editors and orchestrators
// replace files, and compares contents, so that what only touches a file is no edit.
// seen is the Hash of the config that runs: what was edited since it was loaded counts.
func (w *Watch) Run(ctx context.Context, seen string, changed func()) {
	settle, poll := w.Settle, w.Poll
	if settle == 0 {
		settle = watchSettle
	}
	if poll == 0 {
		poll = watchPoll
	}
	var events chan fsnotify.Event
	var failures chan error
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		w.Log.Warn("edits of the config are noticed late", "every", poll, "err", err)
	} else {
		defer notifier.Close()
		events, failures = notifier.Events, notifier.Errors
	}
	disk := load(w.Path, Options{})
	w.wanted = disk.cfg.Sources
	followed := map[string]os.FileInfo{}
	w.follow(notifier, followed)
	last := w.look()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	if disk = load(w.Path, Options{}); disk.errors > 0 || disk.cfg.Hash != seen {
		changed()
		timer.Reset(watchAgain)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var first time.Time // of the changes that were not looked at yet; zero: there are none
	extend := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		timer.Reset(max(0, min(settle, first.Add(watchLimit).Sub(now))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			extend()
			continue
		case err := <-failures:
			w.Log.Debug("watching config files", "err", err) // an overflow: the poll finds what was missed
			extend()
			continue
		case <-timer.C:
		case <-tick.C:
		}
		first = time.Time{}
		w.follow(notifier, followed) // before looking, so that nothing comes between
		now := w.look()
		if now.differs(last) {
			w.wanted = load(w.Path, Options{}).cfg.Sources
			w.follow(notifier, followed)
			now = w.look()
			changed()
			timer.Reset(watchAgain) // by then values may come from other files
		}
		last = now
	}
}

// files are those of the config, and those that values come from. What is not there counts too.
func (w *Watch) files() (own, sources []string) {
	more, _ := Further(w.Path)
	own = append([]string{w.Path}, more...)
	if w.Sources != nil {
		sources = w.Sources()
	}
	return own, slices.Concat(sources, w.wanted)
}

// follow watches the directories of all files, and of every link on the way to
// them. followed is what stands behind the watches that there are.
func (w *Watch) follow(notifier *fsnotify.Watcher, followed map[string]os.FileInfo) {
	if notifier == nil {
		return
	}
	want := map[string]bool{}
	own, sources := w.files()
	// Something may appear in conf.d, which need not be there yet.
	for _, f := range slices.Concat(own, sources, []string{filepath.Join(confDir(w.Path), "x")}) {
		steps(f, want)
	}
	for _, dir := range notifier.WatchList() {
		info, err := os.Stat(dir)
		if want[dir] && err == nil && followed[dir] != nil && os.SameFile(info, followed[dir]) {
			delete(want, dir)
			continue
		}
		// Not wanted any more, or another directory has its name now.
		_ = notifier.Remove(dir) // it may be gone already
		delete(followed, dir)
	}
	for dir := range want {
		info, err := os.Stat(dir)
		if err == nil {
			err = notifier.Add(dir)
		}
		if err == nil {
			followed[dir] = info
		} else if !os.IsNotExist(err) {
			w.Log.Debug("a directory of config files is not watched", "dir", dir, "err", err)
		}
	}
}

// maxLinks is how many links are followed on the way to one file.
const maxLinks = 40

// steps adds the directories in which a change can make another file of path:
// its own, and those of all links on the way, as an orchestrator swaps them.
func steps(path string, dirs map[string]bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	links := 0
	var walk func(path string) string // gives the path without links
	walk = func(path string) string {
		dir, name := filepath.Split(path)
		if name == "" {
			return path // the root
		}
		dir = walk(filepath.Clean(dir))
		path = filepath.Join(dir, name)
		target, err := os.Readlink(path)
		if err != nil || links >= maxLinks {
			return path
		}
		links++
		dirs[dir] = true
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		return walk(target)
	}
	dirs[filepath.Dir(walk(path))] = true
}

// sight is what the files held when they were looked at.
type sight struct{ own, sources map[string]string }

func (w *Watch) look() sight {
	own, sources := w.files()
	s := sight{map[string]string{}, map[string]string{}}
	for _, f := range own {
		s.own[f] = digest(f)
	}
	for _, f := range sources {
		s.sources[f] = digest(f)
	}
	return s
}

// differs reports whether there was an edit since before. A file that values
// come from and did not come from then is none: the reload that brought it has read it.
func (s sight) differs(before sight) bool {
	if !maps.Equal(s.own, before.own) {
		return true
	}
	for f, d := range s.sources {
		if old, ok := before.sources[f]; ok && old != d {
			return true
		}
	}
	return false
}

// digest stands for a file's content, or for why there is none. Of what is no
// regular file it is the kind: a pipe would be waited for.
func digest(path string) string {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return info.Mode().Type().String()
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprint("none ", os.IsNotExist(err))
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, io.LimitReader(f, maxFile+1))
	return fmt.Sprintf("%x %v", h.Sum(nil), err)
}
