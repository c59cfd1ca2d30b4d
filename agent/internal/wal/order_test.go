package wal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestOrderOnDisk: before an append is answered its segment has been fsynced
// since the last write, and its directory since the segment was made. A power
// cut takes what is not.
func TestOrderOnDisk(t *testing.T) {
	dir := fastDir(t)
	var mu sync.Mutex
	unsynced, named := map[string]bool{}, map[string]bool{}
	d := &disk{fault: func(op, path string) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op == "syncdir" && path == filepath.Join(dir, "wal"):
			entries, err := os.ReadDir(path)
			if err != nil {
				return err
			}
			for _, e := range entries {
				named[filepath.Join(path, e.Name())] = true
			}
		case strings.HasSuffix(path, ".tmp"), filepath.Dir(path) != filepath.Join(dir, "wal"):
		case op == "write":
			unsynced[path] = true
		case op == "sync":
			delete(unsynced, path)
		}
		return nil
	}}
	l := open(t, Options{Dir: dir, SegmentSize: 4 << 10, Compression: "none", disk: d})
	segments := 0
	for i := range 200 {
		put(t, l, i, 1)
		mu.Lock()
		// A full segment is fsynced by tidwall's log itself, when it begins the next.
		for path := range unsynced {
			if l.segmentAt(path) {
				t.Errorf("append %d was answered before %s was fsynced", i, filepath.Base(path))
			}
		}
		for _, path := range l.filled() {
			if !named[path] {
				t.Errorf("append %d was answered before the name of %s was durable", i, filepath.Base(path))
			}
		}
		clear(unsynced)
		mu.Unlock()
		segments = l.Stats().Segments
	}
	if segments < 3 {
		t.Errorf("%d segments: no new one was seen", segments)
	}
}

// segmentAt reports whether path is the segment that is written to.
func (l *Log) segmentAt(path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segs[len(l.segs)-1].path == path
}

// filled are the segments in which readers may see something.
func (l *Log) filled() (paths []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		if s.size > 0 {
			paths = append(paths, s.path)
		}
	}
	return paths
}
