package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A world is some apps that log, rotators of every kind, a log that fails at
// times, and an agent that is restarted. It knows how many lines were written.
type world struct {
	*rig
	rng  *rand.Rand
	n    int
	apps []*app
	ops  []string
}

type app struct {
	name    string // app0.log
	rotated int    // the highest number among its rotated files
	half    string // the rest of a line whose beginning was written
}

func (w *world) line() string {
	w.n++
	return fmt.Sprintf(`{"n":%d,"text":"%s"}`, w.n-1, strings.Repeat("t", w.rng.IntN(300))) + "\n"
}

// end writes what is left of a line.
func (w *world) end(a *app) {
	if a.half != "" {
		w.write(a.name, a.half)
		a.half = ""
	}
}

// settle waits until every line has come.
func (w *world) settle() {
	for _, a := range w.apps {
		w.end(a)
	}
	w.all(w.n)
}

// The things that can happen, each followed by nothing or anything.
var happenings []happening

type happening struct {
	name   string
	weight int
	do     func(w *world, a *app)
}

func init() { happenings = theHappenings }

var theHappenings = []happening{
	{"lines", 10, func(w *world, a *app) {
		w.end(a)
		var b strings.Builder
		for range w.rng.IntN(100) {
			b.WriteString(w.line())
		}
		w.write(a.name, b.String())
	}},
	{"many lines", 1, func(w *world, a *app) {
		w.end(a)
		var b strings.Builder
		for range 3000 {
			b.WriteString(w.line())
		}
		w.write(a.name, b.String())
	}},
	{"half a line", 4, func(w *world, a *app) {
		w.end(a)
		l := w.line()
		cut := 1 + w.rng.IntN(len(l)-1)
		w.write(a.name, l[:cut])
		a.half = l[cut:]
	}},
	{"rename", 4, func(w *world, a *app) {
		to := a.name + ".1"
		for n := a.rotated; n > 0; n-- {
			os.Rename(w.path(fmt.Sprintf("%s.%d", a.name, n)), w.path(fmt.Sprintf("%s.%d", a.name, n+1)))
			os.Rename(w.path(fmt.Sprintf("%s.%d.gz", a.name, n)), w.path(fmt.Sprintf("%s.%d.gz", a.name, n+1)))
		}
		a.rotated++
		w.must(os.Rename(w.path(a.name), w.path(to)))
		if a.half != "" {
			w.write(to, a.half) // the writer still has it open
			a.half = ""
		}
		w.write(a.name, w.line())
	}},
	{"rename away", 2, func(w *world, a *app) {
		w.settle() // a file that was never seen under its own name is not found
		w.write(a.name, w.line())
		w.must(os.Rename(w.path(a.name), w.path(fmt.Sprintf("%d-%s", w.n, a.name))))
		w.write(a.name, w.line())
	}},
	{"copytruncate", 3, func(w *world, a *app) {
		w.settle() // what is truncated before it was ever seen is in the copy alone
		w.write(a.name, w.line())
		a.rotated++
		w.copyTruncate(a.name, fmt.Sprintf("%s.%d", a.name, a.rotated), w.line())
	}},
	{"compress", 3, func(w *world, a *app) {
		name := w.path(fmt.Sprintf("%s.%d", a.name, 1+w.rng.IntN(max(1, a.rotated))))
		if text, err := os.ReadFile(name); err == nil {
			w.must(os.WriteFile(name+".gz", []byte(gzipOf(string(text))), 0o644))
			w.must(os.Remove(name))
		}
	}},
	{"delete", 1, func(w *world, a *app) {
		w.settle()
		w.must(os.Remove(w.path(a.name)))
		w.write(a.name, w.line())
	}},
	{"a look", 4, func(w *world, a *app) {
		w.settle()
	}},
	{"pause", 4, func(w *world, a *app) { time.Sleep(time.Duration(w.rng.IntN(30)) * time.Millisecond) }},
	{"restart", 3, func(w *world, a *app) {
		w.halt()
		w.start()
	}},
	{"down", 2, func(w *world, a *app) {
		// While the agent is down nothing is lost to it but what is deleted.
		w.halt()
		for range w.rng.IntN(6) {
			h, a := happenings[w.rng.IntN(4)], w.apps[w.rng.IntN(len(w.apps))]
			fmt.Fprintf(&w.log, "--- %s %s %d\n", h.name, a.name, w.n)
			h.do(w, a)
		}
		w.start()
	}},
	{"trouble", 1, func(w *world, a *app) {
		var count atomic.Int32
		w.sink.set(func(s *fakeSink) {
			s.lose = w.rng.IntN(2) == 0
			s.fail = func(agent.Batch) error {
				if count.Add(1)%5 == 1 && count.Load() < 30 {
					return errDisk
				}
				return nil
			}
		})
	}},
}

// TestRandomOperations does things at random and looks whether each line came
// once. SIEMD_TORTURE=1 makes it long; a failure names its seed.
func TestRandomOperations(t *testing.T) {
	seeds, steps := 4, 150
	if os.Getenv("SIEMD_TORTURE") != "" {
		seeds, steps = 40, 300
	}
	total := 0
	for _, h := range happenings {
		total += h.weight
	}
	for i := range seeds {
		seed := uint64(i) + 1
		if os.Getenv("SIEMD_TORTURE") != "" {
			seed += uint64(time.Now().UnixNano())
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w := &world{rig: newRig(t, "app?.log*"), rng: rand.New(rand.NewPCG(seed, 1))}
			for i := range 3 {
				w.apps = append(w.apps, &app{name: fmt.Sprintf("app%c.log", 'a'+i)})
				w.write(w.apps[i].name, w.line())
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(w.ops)
				}
			})
			w.start()
			for range steps {
				at := w.rng.IntN(total)
				for _, h := range happenings {
					if at -= h.weight; at < 0 {
						a := w.apps[w.rng.IntN(len(w.apps))]
						w.ops = append(w.ops, fmt.Sprintf("%s %s %d", h.name, a.name, w.n))
						fmt.Fprintf(&w.log, "-- %s %s %d\n", h.name, a.name, w.n)
						h.do(w, a)
						break
					}
				}
			}
			w.settle()
			w.calm()
			w.all(w.n)
			t.Attr("trials", fmt.Sprint(steps))
		})
	}
}
