package wal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// numbers is a set that is mostly a row from 0.
type numbers struct {
	below int
	above map[int]bool
}

func (s *numbers) add(n int) {
	if n >= s.below {
		s.above[n] = true
	}
}

func bodyNumber(e *agent.Event) int {
	n, _ := strconv.Atoi(strings.Trim(string(e.Body), `{"n:}`))
	return n
}

// An oracle knows what a log's processes said before they died.
type oracle struct {
	dir       string
	acked     map[string]int // highest number by producer
	delivered map[string]*numbers
	troubled  bool // failures are part of the test
	errors    int
	cut       atomic.Int64  // acknowledgements from this time on do not count; 0: all do
	late      int           // those that were heard after the cut and are from before it
	spoke     chan struct{} // closed when a process has said something
	ended     bool          // it said that its life is over
}

func newOracle(dir string) *oracle {
	o := &oracle{dir: dir, acked: map[string]int{}, delivered: map[string]*numbers{}}
	for p := range crashProducers {
		o.acked[strconv.Itoa(p)] = -1
		o.delivered[strconv.Itoa(p)] = &numbers{above: map[int]bool{}}
	}
	return o
}

// life runs a process on the log: this binary, behind prefix. It returns when
// the process has ended, of which end has to take care.
func (o *oracle) life(t *testing.T, what string, prefix, env []string, end func(*exec.Cmd)) {
	t.Helper()
	args := append(slices.Clone(prefix), os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), crashEnv+"="+o.dir)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o.spoke, o.ended = make(chan struct{}), false
	var wg sync.WaitGroup
	wg.Go(func() { o.listen(t, what, out) })
	end(cmd)
	wg.Wait()
	cmd.Wait()
}

func (o *oracle) listen(t *testing.T, what string, out io.Reader) {
	var spoken sync.Once
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		if spoken.Do(func() { close(o.spoke) }); err != nil {
			return // a line that was cut does not count
		}
		kind, rest, _ := strings.Cut(line, " ")
		producer, n, at := "", 0, int64(0)
		switch {
		case line == "end\n":
			o.ended = true
			continue
		case kind == "error" && o.troubled:
			o.errors++
			continue
		case kind == "a" || kind == "d":
			if _, err := fmt.Sscan(rest, &producer, &n, &at); err == nil {
				break
			}
			fallthrough
		default:
			if o.troubled && (strings.HasPrefix(kind, "a") || strings.HasPrefix(kind, "d") || strings.HasPrefix(kind, "e")) {
				continue // a line that was cut when a write failed
			}
			t.Errorf("%s: the process says %q", what, line)
			_, _ = io.Copy(io.Discard, in)
			return
		}
		switch cut := o.cut.Load(); {
		case kind == "d":
			o.delivered[producer].add(n)
		case cut == 0:
			o.acked[producer] = max(o.acked[producer], n)
		case at < cut:
			o.acked[producer] = max(o.acked[producer], n)
			o.late++
		}
	}
}

// total is the number of events that were acknowledged.
func (o *oracle) total() int {
	n := 0
	for _, last := range o.acked {
		n += last + 1
	}
	return n
}

// TestKill kills a process at work, again and again on the same log. What was
// acknowledged is delivered or still there, and no line is there twice.
func TestKill(t *testing.T) {
	t.Parallel()
	o := newOracle(fastDir(t))
	cycles := lives(15, 200, 10_000)
	for cycle := range cycles {
		what := fmt.Sprint("cycle ", cycle)
		o.life(t, what, nil, nil, func(cmd *exec.Cmd) {
			if cycle%4 > 0 { // else perhaps while it starts
				<-o.spoke
			}
			time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			cmd.Process.Kill()
		})
		if t.Failed() {
			return
		}
		o.check(t, what)
		if (cycle+1)%1000 == 0 {
			t.Logf("%d kills so far", cycle+1)
		}
	}
	if o.total() == 0 {
		t.Error("nothing was acknowledged")
	}
	t.Attr("trials", fmt.Sprint(cycles))
	t.Logf("%d kills, %d events acknowledged", cycles, o.total())
}

// lives is how often a process is killed: in the short form, where CI is set,
// and in the long form, which SIEMD_TORTURE=N, with N above 1, makes N.
func lives(short, ci, long int) int {
	if torture {
		if n, err := strconv.Atoi(os.Getenv("SIEMD_TORTURE")); err == nil && n > 1 {
			return n
		}
		return long
	}
	if os.Getenv("CI") != "" && !testing.Short() {
		return ci
	}
	return short
}

// check compares the log with what was said of it.
func (o *oracle) check(t *testing.T, what string) {
	t.Helper()
	dir := o.dir
	r, err := Verify(dir)
	if errors.Is(err, os.ErrNotExist) {
		return // killed before it made its directory
	}
	if err != nil || !r.Clean() {
		t.Fatalf("%s: Verify = %+v, %v", what, r, err)
	}
	there := map[string]int{} // highest number in the log by producer, plus one
	first := map[string]int{}
	_, err = Dump(dir, Range{}, func(e *agent.Event) error {
		n := bodyNumber(e)
		if next, ok := there[e.Input]; !ok {
			first[e.Input] = n
		} else if n != next {
			return fmt.Errorf("producer %s: %d follows %d", e.Input, n, next-1)
		}
		there[e.Input] = n + 1
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for p, last := range o.acked {
		from, ok := first[p]
		if !ok {
			from = last + 1
		}
		for d := o.delivered[p]; d.below < min(from, last+1); d.below++ {
			if !d.above[d.below] {
				t.Fatalf("%s: producer %s: %d of %d is neither delivered nor in the log, which begins at %d", what, p, d.below, last, from)
			}
			delete(d.above, d.below)
		}
		if ok && there[p] <= last {
			t.Fatalf("%s: producer %s: %d is acknowledged, the log ends at %d", what, p, last, there[p])
		}
	}
}
