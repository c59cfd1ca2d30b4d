package tail

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A writer is an app that logs numbered lines to app.log, as fast as it can,
// one system call each, and rotates.
type writer struct {
	r    *rig
	f    *os.File
	n    int
	rng  *rand.Rand
	gen  int
	next time.Time
}

func (w *writer) name() string { return w.r.path("app.log") }

func (w *writer) reopen(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	w.r.must(err)
	w.f = f
}

func (w *writer) lines(n int) {
	for range n {
		_, err := fmt.Fprintf(w.f, "{\"n\":%d,\"text\":\"%0*d\"}\n", w.n, w.rng.IntN(200), 7)
		w.r.must(err)
		w.n++
		if w.n%20 == 0 { // 20,000 lines a second
			if ahead := time.Until(w.next); ahead > 0 {
				time.Sleep(ahead)
			}
			w.next = time.Now().Add(time.Millisecond)
		}
	}
}

// rotations are the ways in which logs are rotated. Each leaves w.f open for writing.
var rotations = []struct {
	name     string
	patterns []string
	links    bool // the log is a symbolic link
	restarts bool // the agent may be down while it happens
	rotate   func(w *writer)
}{
	{"rename", []string{"app.log"}, false, true, func(w *writer) {
		w.r.must(os.Rename(w.name(), fmt.Sprintf("%s.%d", w.name(), w.gen)))
		old := w.f
		w.lines(5) // into the renamed file
		w.reopen(w.name())
		w.lines(3)
		fmt.Fprintf(old, "{\"n\":%d}\n", w.n) // another thread still has it
		w.n++
		old.Close()
	}},
	{"rename within the glob", []string{"app.log*"}, false, true, func(w *writer) {
		for i := 3; i > 0; i-- {
			os.Rename(fmt.Sprintf("%s.%d", w.name(), i), fmt.Sprintf("%s.%d", w.name(), i+1))
		}
		w.r.must(os.Rename(w.name(), w.name()+".1"))
		w.lines(5)
		w.f.Close()
		w.reopen(w.name())
	}},
	{"delete and create", []string{"app.log"}, false, false, func(w *writer) {
		w.r.must(os.Remove(w.name()))
		w.lines(5)
		w.f.Close()
		w.reopen(w.name())
	}},
	{"copytruncate", []string{"app.log"}, false, true, func(w *writer) {
		w.copyTo(fmt.Sprintf("%s.%d", w.name(), w.gen))
		w.r.must(os.Truncate(w.name(), 0))
	}},
	{"copytruncate within the glob", []string{"app.log*"}, false, true, func(w *writer) {
		w.copyTo(fmt.Sprintf("%s.%d", w.name(), w.gen))
		w.r.must(os.Truncate(w.name(), 0))
	}},
	{"rename and compress", []string{"app.log*"}, false, true, func(w *writer) {
		rotated := fmt.Sprintf("%s.%d", w.name(), w.gen)
		w.r.must(os.Rename(w.name(), rotated))
		w.lines(2)
		w.f.Close()
		w.reopen(w.name())
		w.compress(rotated)
	}},
	{"symlink switched", []string{"app.log"}, true, true, func(w *writer) {
		w.f.Close()
		target := fmt.Sprintf("gen-%d.log", w.gen)
		w.reopen(w.r.path(target))
		w.r.must(os.Symlink(target, w.r.path("next")))
		w.r.must(os.Rename(w.r.path("next"), w.name()))
	}},
}

func (w *writer) copyTo(path string) {
	in, err := os.Open(w.name())
	w.r.must(err)
	defer in.Close()
	out, err := os.Create(path)
	w.r.must(err)
	_, err = io.Copy(out, in)
	w.r.must(err)
	w.r.must(out.Close())
}

func (w *writer) compress(path string) {
	in, err := os.Open(path)
	w.r.must(err)
	defer in.Close()
	out, err := os.Create(path + ".gz")
	w.r.must(err)
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	w.r.must(err)
	w.r.must(z.Close())
	w.r.must(out.Close())
	w.r.must(os.Remove(path))
}

// Whatever the style of rotation, each line comes once, also with restarts.
func TestRotationStorm(t *testing.T) {
	rounds := 10
	if os.Getenv("SIEMD_TORTURE") != "" {
		rounds = 200
	}
	for _, style := range rotations {
		t.Run(style.name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := newRig(t, style.patterns...)
			r.conf.FollowSymlinks = style.links
			w := &writer{r: r, rng: rand.New(rand.NewPCG(seed, 0))}
			if style.links {
				w.reopen(r.path("gen-0.log"))
				r.must(os.Symlink("gen-0.log", w.name()))
			} else {
				w.reopen(w.name())
			}
			r.start()
			for w.gen = 1; w.gen <= rounds; w.gen++ {
				w.lines(100 + w.rng.IntN(400))
				restart := w.rng.IntN(4) == 0
				if restart && !style.restarts {
					r.all(w.n)
				}
				if restart {
					r.halt()
				}
				w.lines(1 + w.rng.IntN(50)) // at least one, by which all can tell that the file is open again
				if restart && !style.restarts {
					r.start()
					r.all(w.n)
				}
				style.rotate(w)
				if restart && style.restarts {
					w.lines(w.rng.IntN(50))
					r.start()
				}
				if w.rng.IntN(3) == 0 {
					r.all(w.n)
				}
			}
			w.lines(10)
			w.f.Close()
			r.all(w.n)
			time.Sleep(10 * r.time.quiet)
			r.all(w.n)
			t.Attr("trials", fmt.Sprint(rounds))
		})
	}
}

// all waits until n lines have come, and checks that each is there once.
func (r *rig) all(n int) {
	r.t.Helper()
	r.sink.await(r.t, fmt.Sprintf("%d lines", n), func(s *fakeSink) bool { return len(s.lines) >= n })
	seen := make([]int, n)
	for _, l := range r.sink.got() {
		i := number(l)
		if i < 0 || i >= n {
			r.t.Fatalf("odd line %q", l)
		}
		seen[i]++
	}
	lost, twice := 0, 0
	first := -1
	for i, times := range seen {
		if times == 0 {
			lost++
		}
		if times > 1 {
			twice++
		}
		if times != 1 && first < 0 {
			first = i
		}
	}
	if lost+twice > 0 {
		files, _ := filepath.Glob(r.path("*"))
		r.t.Fatalf("of %d lines %d are lost and %d repeated, the first is %d; files %q", n, lost, twice, first, files)
	}
}

// number is n of the line {"n":n...}, or -1.
func number(line string) int {
	digits, ok := strings.CutPrefix(line, `{"n":`)
	if end := strings.IndexAny(digits, ",}"); ok && end > 0 {
		if n, err := strconv.Atoi(digits[:end]); err == nil {
			return n
		}
	}
	return -1
}
