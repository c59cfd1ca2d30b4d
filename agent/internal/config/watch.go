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
	w.follow(notifier)
	last := w.look()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	if cfg, _ := Load(w.Path, Options{}); cfg == nil || cfg.Hash != seen {
		changed()
		timer.Reset(watchAgain)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			timer.Reset(settle)
			continue
		case err := <-failures:
			w.Log.Debug("watching config files", "err", err) // an overflow: the poll finds what was missed
			timer.Reset(settle)
			continue
		case <-timer.C:
		case <-tick.C:
		}
		w.follow(notifier) // before looking, so that nothing comes between
		now := w.look()
		if now.differs(last) {
			changed()
			timer.Reset(watchAgain) // by then values may come from other files
		}
		last = now
	}
}

// files are those of the config, and those that values come from. What is not there counts too.
func (w *Watch) files() (own, sources []string) {
	more, _ := filepath.Glob(filepath.Join(filepath.Dir(w.Path), "conf.d", "*.yaml"))
	own = append([]string{w.Path}, more...)
	if w.Sources != nil {
		sources = w.Sources()
	}
	return own, sources
}

// follow watches the directories of all files, and of what they are links to.
func (w *Watch) follow(notifier *fsnotify.Watcher) {
	if notifier == nil {
		return
	}
	want := map[string]bool{filepath.Join(filepath.Dir(w.Path), "conf.d"): true}
	own, sources := w.files()
	for _, f := range slices.Concat(own, sources) {
		want[filepath.Dir(f)] = true
		if real, err := filepath.EvalSymlinks(f); err == nil {
			want[filepath.Dir(real)] = true
		}
	}
	have := map[string]bool{}
	for _, dir := range notifier.WatchList() {
		have[dir] = true
		if !want[dir] {
			_ = notifier.Remove(dir) // it may be gone already
		}
	}
	for dir := range want {
		if have[dir] {
			continue
		}
		if err := notifier.Add(dir); err != nil && !os.IsNotExist(err) {
			w.Log.Debug("a directory of config files is not watched", "dir", dir, "err", err)
		}
	}
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

// digest stands for a file's content, or for why there is none.
func digest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprint("none ", os.IsNotExist(err))
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, io.LimitReader(f, maxFile+1))
	return fmt.Sprintf("%x %v", h.Sum(nil), err)
}
