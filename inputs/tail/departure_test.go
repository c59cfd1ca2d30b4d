package tail

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A slowMotion is an input whose every step the test takes: what happens
// between two looks is known to the system call.
type slowMotion struct {
	*rig
	run  *run
	n    int             // lines written
	seen map[string]bool // lines of files that were there at a look
	did  []string

	meanwhile func()             // what happens before a file is looked at
	births    map[identity]int64 // of files of which they are known better than to the kernel
	writes    map[identity]int64 // their last changes
	jobs      int                // the input is stopped after so many batches; 0: not at all
	stored    int                // after so many batches the log fails once; 0: not at all
}

func newSlowMotion(t *testing.T, quiet time.Duration, links bool, patterns ...string) *slowMotion {
	s := &slowMotion{rig: newRig(t, patterns...), seen: map[string]bool{}, meanwhile: func() {}, births: map[identity]int64{}, writes: map[identity]int64{}}
	s.conf.FollowSymlinks = links
	s.time.quiet, s.time.abandon, s.time.settle, s.time.twin = quiet, time.Hour, 0, time.Hour
	s.begin()
	return s
}

func (s *slowMotion) begin() {
	in, err := New(s.conf, s.env())
	s.must(err)
	in.timing, in.stat = s.time, s.stat
	s.run = newRun(in, s.sink)
	s.run.meters = newMeters(in.env)
	s.run.hints.paths = map[string]bool{}
	s.run.hand.free = make(chan *buffer, 1)
	s.run.hand.free <- &buffer{}
	s.run.load()
}

func (s *slowMotion) stat(dir int, name string, flags int) (info, error) {
	s.meanwhile()
	i, err := statx(dir, name, flags)
	if at, ok := s.writes[i.id]; ok {
		i.mtime = at
	}
	if at, ok := s.births[i.id]; ok {
		i.id.birth = at
	}
	return i, err
}

func (s *slowMotion) end() {
	for _, f := range s.run.files {
		f.close()
	}
	s.run.meters.close()
}

func (s *slowMotion) restart() {
	s.end()
	s.begin()
}

// halfALook scans, and stops when a part of what that found out is stored.
func (s *slowMotion) halfALook() {
	s.run.scan(time.Now())
	s.run.outbox = s.run.outbox[:rand.IntN(len(s.run.outbox)+1)]
	s.deliver()
	s.restart()
}

// look scans, and reads all that there is to be read.
func (s *slowMotion) look() {
	names, err := filepath.Glob(s.path("*"))
	s.must(err)
	for _, name := range names {
		if packingOf(name) != plain {
			continue
		}
		text, err := os.ReadFile(name)
		s.must(err)
		for line := range strings.Lines(string(text)) {
			s.seen[strings.TrimSuffix(line, "\n")] = true
		}
	}
	r := s.run
	for r.scanWanted = true; r.scanWanted; {
		r.scan(time.Now())
		for range 100 {
			r.tick(time.Now())
			if s.turns(); s.run != r {
				return
			}
			if len(r.pending) == 0 {
				break
			}
		}
		if s.deliver(); s.run != r {
			return
		}
	}
}

// turns reads what is waiting to be read.
func (s *slowMotion) turns() {
	r := s.run
	for r.hinted(); len(r.queue) > 0 && s.run == r; r.hinted() {
		s.meanwhile()
		r.turn(<-r.hand.free)
		s.deliver()
	}
}

// deliver stores what there is to be stored, unless the input is stopped before.
func (s *slowMotion) deliver() {
	r := s.run
	for len(r.outbox) > 0 {
		if s.jobs--; s.jobs == 0 {
			s.did = append(s.did, "stop")
			s.restart()
			return
		}
		j := r.outbox[0]
		r.outbox = r.outbox[1:]
		r.inFlight++
		switch s.stored--; {
		case s.stored == 0:
			s.did = append(s.did, "failure")
			j.err = errDisk
		case r.failing != nil:
			j.err = errDropped
		default:
			j.receipt, j.err = s.sink.Emit(context.Background(), j.batch)
			s.must(j.err)
		}
		r.hand.release(j.buffer)
		r.acked(j)
	}
	if r.failing != nil {
		r.rewind(time.Now())
	}
}

func (s *slowMotion) createAs(name string) {
	s.write(name, fmt.Sprintf("{\"n\":%d}\n{\"n\":%d}\n", s.n, s.n+1))
	s.n += 2
}

// check looks once more and wants every line that was there to be seen, once.
func (s *slowMotion) check() {
	s.t.Helper()
	s.look()
	came := map[string]int{}
	for _, l := range s.sink.got() {
		came[l]++
	}
	for l := range s.seen {
		if came[l] != 1 {
			names, _ := filepath.Glob(s.path("*"))
			s.t.Fatalf("the line %s came %d times, after %q; files %q", l, came[l], s.did, names)
		}
	}
}

// A succession is a way in which files follow each other under a name.
type succession struct {
	name     string
	patterns []string
	turn     []func(s *slowMotion, turn int) // one rotation, by system calls
	rounds   int
	links    bool
}

var successions = []succession{
	{"rename", []string{"app.log"}, []func(*slowMotion, int){
		func(s *slowMotion, turn int) { s.move("app.log", fmt.Sprintf("app.log.%d", turn)) },
		func(s *slowMotion, turn int) { s.createAs("app.log") },
	}, 4, false},
	{"shift", []string{"app.log"}, shift, 3, false},
	{"shift, the first of them read too", []string{"app.log", "app.log.1"}, shift, 3, false},
	{"shift within the glob", []string{"app.log*"}, shift, 3, false},
	{"copy and truncate", []string{"app.log"}, copyTruncate, 4, false},
	{"copy and truncate within the glob", []string{"app.log*"}, copyTruncate, 4, false},
	{"symbolic link", []string{"app.log"}, []func(*slowMotion, int){
		func(s *slowMotion, turn int) { s.createAs(fmt.Sprintf("gen-%d.log", turn)) },
		func(s *slowMotion, turn int) { s.link(fmt.Sprintf("gen-%d.log", turn)) },
	}, 5, true},
}

var copyTruncate = []func(s *slowMotion, turn int){
	func(s *slowMotion, turn int) { s.createAs("app.log") }, // more lines
	func(s *slowMotion, turn int) { s.copyTruncate("app.log", fmt.Sprintf("app.log.%d", turn), "") },
}

var shift = []func(s *slowMotion, turn int){
	func(s *slowMotion, turn int) { s.move("app.log.2", "app.log.3") }, // and the oldest is gone
	func(s *slowMotion, turn int) { s.move("app.log.1", "app.log.2") },
	func(s *slowMotion, turn int) { s.move("app.log", "app.log.1") },
	func(s *slowMotion, turn int) { s.createAs("app.log") },
}

// link makes app.log lead to name.
func (s *slowMotion) link(name string) {
	s.must(os.Symlink(name, s.path("next")))
	s.move("next", "app.log")
}

func (s *slowMotion) move(from, to string) {
	if err := os.Rename(s.path(from), s.path(to)); err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
}

// Whenever it looks, and wherever it is stopped and started, the input reads
// every file that a look could see, also those that came and went between two.
func TestSuccessions(t *testing.T) {
	for _, style := range successions {
		for _, quiet := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s, quiet after %v", style.name, quiet), func(t *testing.T) {
				t.Parallel()
				steps := style.rounds * len(style.turn)
				all, trials := 1<<steps, 1<<steps
				if os.Getenv("SIEMD_TORTURE") == "" {
					trials = min(trials, 150)
				}
				t.Attr("trials", strconv.Itoa(trials))
				for i := range trials {
					if trials < all {
						i = rand.IntN(all)
					}
					style.trial(t, quiet, i)
				}
			})
		}
	}
}

// trial looks after the steps whose bits in looks are set.
func (style succession) trial(t *testing.T, quiet time.Duration, looks int) {
	s := newSlowMotion(t, quiet, style.links, style.patterns...)
	defer func() { s.end() }()
	if style.links {
		s.createAs("gen-0.log")
		s.link("gen-0.log")
	} else {
		s.createAs("app.log")
	}
	s.look()
	for n := range style.rounds * len(style.turn) {
		step := n % len(style.turn)
		style.turn[step](s, n/len(style.turn)+1)
		s.did = append(s.did, fmt.Sprintf("step %d", step))
		if looks>>n&1 == 0 {
			continue
		}
		switch rand.IntN(6) {
		case 0:
			s.did = append(s.did, "restart")
			s.restart()
		case 1:
			s.did = append(s.did, "half a look")
			s.halfALook()
		}
		s.did = append(s.did, "look")
		s.look()
	}
	s.createAs("app.log") // the app goes on
	s.check()
}

// Files that are born in one tick of the clock do not wait for each other to be
// read first.
func TestBornTogether(t *testing.T) {
	s := newSlowMotion(t, time.Hour, true, "app.log")
	defer func() { s.end() }()
	s.createAs("gen-0.log")
	s.link("gen-0.log")
	s.look()
	birth := func(name string) int64 {
		i, err := stat(statx).path(s.path(name), false)
		s.must(err)
		return i.id.birth
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		s.createAs("gen-1.log")
		s.createAs("gen-2.log")
		if birth("gen-1.log") == birth("gen-2.log") {
			break
		}
		if time.Now().After(deadline) {
			t.Skip("the filesystem's clock is too fine")
		}
		s.must(os.Remove(s.path("gen-1.log")))
		s.must(os.Remove(s.path("gen-2.log")))
	}
	for _, name := range []string{"gen-1.log", "gen-2.log"} {
		s.link(name)
		s.run.scan(time.Now()) // and nothing is read
	}
	s.check()
}
