package tail

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Hints are notifications from the directories. They only say where to look
// first: nothing depends on their coming, or on what they say.
type hints struct {
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil: none to be had
	watched map[string]bool
	wait    sync.WaitGroup
	ready   chan struct{} // something is there to take

	mu      sync.Mutex
	paths   map[string]bool // guarded by mu: names that changed
	missed  bool            // guarded by mu: the queue overflowed, look everywhere
	since   time.Time       // guarded by mu: none of them did before
	partial bool            // some directory could not be watched; used by the run's goroutine alone
}

// start opens inotify if it can; a warning says that it cannot.
func (h *hints) start(ctx context.Context, pace time.Duration, off bool) {
	h.ready = make(chan struct{}, 1)
	h.paths, h.watched = map[string]bool{}, map[string]bool{}
	if off {
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		h.log.Warn("no file notifications, looking at all files once a second instead", "err", err)
		return
	}
	h.watcher = w
	h.wait.Go(func() { h.listen(ctx, pace) })
}

// complete reports whether every directory is watched.
func (h *hints) complete() bool { return h.watcher != nil && !h.partial }

const (
	burst = time.Millisecond      // notifications are collected no longer than this
	lull  = 20 * time.Microsecond // and no longer than there are some

	// Where a name came or went so lately, more may: looks are restless times as frequent.
	restlessFor = 10 * time.Second
	restless    = 20
)

func (h *hints) listen(ctx context.Context, pace time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	var named time.Time // when a name last came or went
	rest := time.Now()  // when the last pause began
	for {
		names := false // a name came, went or changed
		ready := time.Now()
		var path string
		overflow := false
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-h.watcher.Events:
			if !ok {
				return
			}
			path, names = ev.Name, ev.Op&^fsnotify.Write != 0
		case err, ok := <-h.watcher.Errors:
			if !ok {
				return
			}
			overflow = errors.Is(err, fsnotify.ErrEventOverflow)
		}
		if now := time.Now(); now.Sub(ready) > lull {
			rest = now // nothing was there when the pause ended
		}
		h.note(path, rest, overflow)
		// Everything that is waiting now goes into one look. Then a pause, in
		// which the kernel merges repeated writes to a file into one notification.
		names = h.drain(rest) || names
		select {
		case h.ready <- struct{}{}:
		default:
		}
		rest = time.Now()
		if names {
			named = time.Now()
			continue
		}
		if time.Since(named) < restlessFor {
			timer.Reset(pace / restless)
		} else {
			timer.Reset(pace)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// drain notes what there is until there is none for a moment, which no timer
// could make as short. It reports whether a name came, went or changed.
func (h *hints) drain(since time.Time) (names bool) {
	began := time.Now()
	for last, now := began, began; now.Sub(last) < lull && now.Sub(began) < burst; now = time.Now() {
		select {
		case ev, ok := <-h.watcher.Events:
			if !ok {
				return names
			}
			h.note(ev.Name, since, false)
			names = names || ev.Op&^fsnotify.Write != 0
			last = time.Now()
		default:
			runtime.Gosched()
		}
	}
	return names
}

// note keeps a name that changed, not before since.
func (h *hints) note(path string, since time.Time, missed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if path != "" {
		h.paths[path] = true
	}
	if h.since.IsZero() {
		h.since = since
	}
	h.missed = h.missed || missed
}

// take gives the names that changed since the last call, none of them before since.
func (h *hints) take() (paths map[string]bool, since time.Time, missed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths, since, missed = h.paths, h.since, h.missed
	h.paths, h.since, h.missed = map[string]bool{}, time.Time{}, false
	return paths, since, missed
}

// watch makes dirs the watched directories. Of one that does not exist the
// nearest parent is watched, so that its coming is noticed.
func (h *hints) watch(dirs []string) {
	if h.watcher == nil {
		return
	}
	wanted := make(map[string]bool, len(dirs))
	partial := false
	for _, dir := range dirs {
		for {
			if wanted[dir] {
				break
			}
			// Adding again is cheap, and needed: a directory that was replaced
			// keeps its name and loses its watch.
			err := h.watcher.Add(dir)
			if err == nil {
				wanted[dir] = true
				break
			}
			if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
				if !h.partial && !partial {
					h.log.Warn("cannot watch a directory, looking at all files once a second instead", "dir", dir, "err", err)
				}
				partial = true
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	h.partial = partial
	for dir := range h.watched {
		if !wanted[dir] {
			h.watcher.Remove(dir)
		}
	}
	h.watched = wanted
}

// close ends the listener, whose context must have ended.
func (h *hints) close() {
	if h.watcher != nil {
		h.watcher.Close()
	}
	h.wait.Wait()
}
