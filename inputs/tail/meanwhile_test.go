package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// An unsteady world goes on while the input looks at it: between any two of
// its looks at a file another step of the rotation can be taken. When files are
// made and written to is known to the nanosecond.
type unsteady struct {
	*slowMotion
	rng    *rand.Rand
	script []step
	odds   int // a step is taken at one of so many chances; 0: at none
}

// A step is what an app or a rotator does with one system call.
type step struct {
	name  string
	of    string // the file
	moves bool   // it only gets a name
	do    func(u *unsteady)
}

func newUnsteady(t *testing.T, seed uint64, links bool, patterns ...string) *unsteady {
	quiet := time.Duration(seed&1) * time.Hour
	u := &unsteady{slowMotion: newSlowMotion(t, quiet, links, patterns...), rng: rand.New(rand.NewPCG(seed, 0))}
	u.meanwhile, u.time.clock = u.chance, 0
	u.restart()
	return u
}

func (u *unsteady) take(steps ...step) {
	for _, s := range steps {
		u.did = append(u.did, s.name)
		s.do(u)
		i, err := stat(statx).path(u.path(s.of), false)
		if err != nil || s.moves {
			continue
		}
		now := time.Now().UnixNano()
		if u.births[i.id] == 0 {
			u.births[i.id] = now
		}
		u.writes[i.id] = now
	}
}

// chance takes steps, or none, and sends a notification of them now or never.
func (u *unsteady) chance() {
	for len(u.script) > 0 && u.odds > 0 && u.rng.IntN(u.odds) == 0 {
		u.next()
	}
}

func (u *unsteady) next() {
	s := u.script[0]
	u.script = u.script[1:]
	u.take(s)
	if u.rng.IntN(2) == 0 {
		u.notify(s.of)
	}
}

func (u *unsteady) notify(name string) {
	u.run.hints.note(fsnotify.Event{Name: u.path(name)}, time.Now())
}

func lines(name string) step {
	return step{name: "lines in " + name, of: name, do: func(u *unsteady) { u.createAs(name) }}
}

func empty(name string) step {
	return step{name: "create " + name, of: name, do: func(u *unsteady) { u.must(os.WriteFile(u.path(name), nil, 0o644)) }}
}

func moved(from, to string) step {
	return step{name: "move " + from + " to " + to, of: to, moves: true, do: func(u *unsteady) { u.move(from, to) }}
}

func linked(to string) step {
	return step{name: "link to " + to, of: "app.log", moves: true, do: func(u *unsteady) { u.link(to) }}
}

func copied(to string) step {
	return step{name: "copy to " + to, of: to, do: func(u *unsteady) {
		text, err := os.ReadFile(u.path("app.log"))
		u.must(err)
		u.must(os.WriteFile(u.path(to), text, 0o644))
	}}
}

var truncated = step{name: "truncate", of: "app.log", do: func(u *unsteady) { u.must(os.Truncate(u.path("app.log"), 0)) }}

// compressed are the steps by which name becomes name.gz, which has its time.
func compressed(name string) []step {
	return []step{
		{name: "compress " + name, of: name + ".gz", do: func(u *unsteady) {
			text, err := os.ReadFile(u.path(name))
			u.must(err)
			u.write(name+".gz", gzipOf(string(text)))
		}},
		{name: "its time", of: name + ".gz", moves: true, do: func(u *unsteady) {
			of, err := stat(statx).path(u.path(name), false)
			u.must(err)
			i, err := stat(statx).path(u.path(name+".gz"), false)
			u.must(err)
			u.writes[i.id] = u.writes[of.id]
		}},
		{name: "remove " + name, of: name, do: func(u *unsteady) { u.must(os.Remove(u.path(name))) }},
	}
}

// shifted are the steps by which app.log.1 becomes free.
func shifted(turn int) (steps []step) {
	for n := turn - 1; n > 0; n-- {
		steps = append(steps, moved(fmt.Sprintf("app.log.%d", n), fmt.Sprintf("app.log.%d", n+1)))
	}
	return steps
}

func copyTruncateSteps(turn int) []step {
	to := fmt.Sprintf("app.log.%d", turn)
	return []step{lines("app.log"), empty(to), copied(to), truncated}
}

func copyTruncateShiftSteps(turn int) []step {
	return slices.Concat([]step{lines("app.log")}, shifted(turn), []step{empty("app.log.1"), copied("app.log.1"), truncated})
}

func shiftSteps(turn int) []step {
	return append(shifted(turn), moved("app.log", "app.log.1"), lines("app.log"))
}

func compressSteps(turn int) []step {
	name := fmt.Sprintf("app.log.%d", turn)
	return append([]step{moved("app.log", name), lines("app.log")}, compressed(name)...)
}

func copyCompressSteps(turn int) []step {
	return append(copyTruncateSteps(turn), compressed(fmt.Sprintf("app.log.%d", turn))...)
}

// packedSettle is long beside the steps of a rotation, as the second of the product is beside those of logrotate.
const packedSettle = 50 * time.Millisecond

var unsteadyStyles = []struct {
	name   string
	paths  string
	links  bool
	settle time.Duration // see timing
	turn   func(turn int) []step
}{
	{"rename", "app.log", false, 0, func(turn int) []step {
		return []step{moved("app.log", fmt.Sprintf("app.log.%d", turn)), lines("app.log")}
	}},
	{"shift", "app.log", false, 0, shiftSteps},
	{"shift within the glob", "app.log*", false, 0, shiftSteps},
	{"copytruncate", "app.log", false, 0, copyTruncateSteps},
	{"copytruncate within the glob", "app.log*", false, 0, copyTruncateSteps},
	{"copytruncate and shift", "app.log", false, 0, copyTruncateShiftSteps},
	{"copytruncate and shift within the glob", "app.log*", false, 0, copyTruncateShiftSteps},
	{"compress within the glob", "app.log*", false, packedSettle, compressSteps},
	{"copytruncate and compress", "app.log", false, packedSettle, copyCompressSteps},
	{"copytruncate and compress within the glob", "app.log*", false, packedSettle, copyCompressSteps},
	{"symbolic link", "app.log", true, 0, func(turn int) []step {
		name := fmt.Sprintf("gen-%d.log", turn)
		return []step{lines(name), linked(name)}
	}},
}

// Whatever happens while the input looks, and wherever in a look it is stopped
// or the log fails, each line comes once. SIEMD_TORTURE=1 makes it long.
func TestUnsteady(t *testing.T) {
	trials := 30
	if os.Getenv("SIEMD_TORTURE") != "" {
		trials = 3000
	}
	for _, style := range unsteadyStyles {
		t.Run(style.name, func(t *testing.T) {
			t.Parallel()
			for range trials {
				seed := rand.Uint64()
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					u := newUnsteady(t, seed, style.links, style.paths)
					defer func() { u.end() }()
					u.time.settle = style.settle
					u.restart()
					u.trial(style.turn)
				})
			}
		})
	}
}

func (u *unsteady) trial(turn func(turn int) []step) {
	if u.conf.FollowSymlinks {
		u.take(lines("gen-0.log"), linked("gen-0.log"))
	} else {
		u.take(empty("app.log"))
		if u.rng.IntN(2) == 0 {
			u.take(lines("app.log"))
		}
	}
	u.look()
	for n := range 4 {
		u.script = append(u.script, turn(n+1)...)
	}
	for len(u.script) > 0 {
		if u.rng.IntN(2) == 0 {
			u.next()
			continue
		}
		u.odds, u.jobs, u.stored = 1<<u.rng.IntN(6), u.perhaps(), u.perhaps()
		u.did = append(u.did, "look")
		u.look()
		u.did = append(u.did, "end")
	}
	u.odds, u.jobs, u.stored = 0, 0, 0
	u.take(lines("app.log")) // the app goes on
	u.checkAll()
}

// perhaps is, perhaps, a small number.
func (u *unsteady) perhaps() int { return max(0, u.rng.IntN(12)-5) }

// checkAll wants every line that was ever written.
func (u *unsteady) checkAll() {
	u.t.Helper()
	u.look() // the first copies of a new file are found by the next
	time.Sleep(u.time.settle)
	for n := range u.n {
		u.seen[fmt.Sprintf(`{"n":%d}`, n)] = true
	}
	u.check()
}

// Of a copy that came and went unseen all is read, wherever the input is
// stopped between the lines that came after it and the copy's own.
func TestStoppedBeforeACopyIsRead(t *testing.T) {
	for jobs := range 12 {
		u := newUnsteady(t, 1, false, "app.log")
		u.take(lines("app.log"))
		u.look()
		u.take(copied("app.log.1"), truncated)
		u.look()
		u.take(lines("app.log"), copied("app.log.2"), truncated, lines("app.log"))
		u.jobs = jobs
		u.look()
		u.jobs = 0
		u.checkAll()
		u.end()
	}
}

// What a copy says is not read twice if it was made of what nobody has looked at yet.
func TestCopyOfWhatIsStillUnread(t *testing.T) {
	u := newUnsteady(t, 1, false, "app.log")
	defer func() { u.end() }()
	u.take(lines("app.log"))
	u.look()
	u.take(truncated)
	u.look()
	u.take(lines("app.log"), copied("app.log.1"))
	u.notify("app.log.1") // and not app.log
	u.turns()
	u.look()
	u.take(truncated)
	u.checkAll()
}

// A file that was empty when it was found is copied and truncated before the
// next look, also if the input was not running then.
func TestFirstCopies(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		u := newUnsteady(t, 1, false, "app.log")
		u.take(empty("app.log"))
		u.look()
		if stopped {
			u.restart()
		}
		u.take(lines("app.log"), copied("app.log.1"), truncated, lines("app.log"))
		u.look()
		u.restart()
		u.checkAll()
		u.end()
	}
}

// A file that left its name, was finished and is written to again does not
// stand for those that had the name after it.
func TestReopenedBeforeItsFollowers(t *testing.T) {
	u := newUnsteady(t, 0, false, "app.log")
	defer func() { u.end() }()
	u.take(lines("app.log"))
	u.look()
	u.take(moved("app.log", "app.log.1"))
	u.run.scan(time.Now())
	u.take(lines("app.log")) // that is all it waited for, but no scan has seen it
	for u.run.tick(time.Now()); len(u.run.queue) > 0; u.run.tick(time.Now()) {
		u.turns()
	}
	u.take(moved("app.log", "app.log.2"), lines("app.log.1"))
	u.notify("app.log.1")
	u.look()
	u.take(lines("app.log"), moved("app.log", "app.log.3"), lines("app.log"))
	u.restart()
	u.checkAll()
}
