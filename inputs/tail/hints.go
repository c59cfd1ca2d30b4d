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
		// Everything that is waiting now goes into one look. Then a pause, in
		// which the kernel merges repeated writes to a file into one notification.
		some, names := h.drain(rest)
		if !some {
			n, ok := h.await(ctx)
			if !ok {
				return
			}
			_, more := h.drain(time.Now())
			names = n || more
		}
		select {
		case h.ready <- struct{}{}:
		default:
		}
		rest = time.Now()
		if names {
			named = rest
			continue
		}
		if rest.Sub(named) < restlessFor {
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

// await waits for a notification, and notes it. names says that a name came,
// went or changed; ok is false when there will be no more.
func (h *hints) await(ctx context.Context) (names, ok bool) {
	select {
	case <-ctx.Done():
	case ev, open := <-h.watcher.Events:
		if open {
			return h.note(ev, time.Now()), true
		}
	case err, open := <-h.watcher.Errors:
		if open {
			h.failed(err, time.Now())
			return false, true
		}
	}
	return false, false
}

// drain notes what there is until there is none for a moment, which no timer
// could make as short. It reports whether there was some, and whether a name
// came, went or changed.
func (h *hints) drain(since time.Time) (some, names bool) {
	began := time.Now()
	for last, now := began, began; now.Sub(last) < lull && now.Sub(began) < burst; now = time.Now() {
		select {
		case ev, open := <-h.watcher.Events:
			if !open {
				return some, names
			}
			names = h.note(ev, since) || names
			some, last = true, time.Now()
		case err, open := <-h.watcher.Errors:
			if !open {
				return some, names
			}
			h.failed(err, since)
			some, last = true, time.Now()
		default:
			runtime.Gosched()
		}
	}
	return some, names
}

// note keeps the name of what changed, not before since, and reports whether
// the name itself came, went or changed.
func (h *hints) note(ev fsnotify.Event, since time.Time) (names bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paths[ev.Name] = true
	h.since = earlier(h.since, since)
	return ev.Op&^fsnotify.Write != 0
}

// failed notes what is missing after an error: everything, if there were too many notifications.
func (h *hints) failed(err error, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = h.missed || errors.Is(err, fsnotify.ErrEventOverflow)
	h.since = earlier(h.since, since)
}

// earlier is the earlier of both; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
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
