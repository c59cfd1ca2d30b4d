package wal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

const crashEnv = "SIEMD_WAL_CRASH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		crashChild(dir)
		return
	}
	if dir := os.Getenv(memoryEnv); dir != "" {
		memoryChild(dir)
		return
	}
	os.Exit(m.Run())
}

const crashProducers = 5

// crashChild writes and reads a log until it is killed. On stdout it says what
// was acknowledged ("a producer number") and delivered ("d producer number").
// A producer goes on behind its mark, as an input does that reads a file.
func crashChild(dir string) {
	say := func(kind, producer string, n int) { fmt.Fprintf(os.Stdout, "%s %s %d\n", kind, producer, n) }
	l, err := Open(Options{Dir: dir, SegmentSize: 16 << 10, MaxSize: 1 << 30})
	if err != nil {
		fmt.Fprintln(os.Stdout, "open:", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for p := range crashProducers {
		wg.Go(func() {
			name := strconv.Itoa(p)
			next := 0
			if pos, ok := l.Mark(name); ok {
				next, _ = strconv.Atoi(string(pos))
			}
			for {
				c := l.NewChunk()
				size := 1 + rand.IntN(20)
				for i := range size {
					c.Add(&agent.Event{Input: name, ID: []byte("x"), Body: fmt.Appendf(nil, `{"n":%d}`, next+i)})
				}
				next += size
				c.Mark(agent.Mark{Key: name, Pos: []byte(strconv.Itoa(next))})
				cm, err := l.Append(context.Background(), c)
				if err == nil {
					_, _, err = cm.Wait(context.Background())
				}
				if err != nil {
					say("error", err.Error(), 0)
					return
				}
				say("a", name, next-1)
			}
		})
	}
	c := l.Cursor("c", true)
	r := l.Reader(c)
	var events []agent.Event
	for {
		b, err := r.Next(context.Background())
		if err != nil || b.Lost() {
			say("error", fmt.Sprint("read ", err), 0)
			return
		}
		if events, err = b.Events(events[:0]); err != nil {
			say("error", err.Error(), 0)
			return
		}
		for i := range events {
			if events[i].Seq >= c.Seq() {
				say("d", events[i].Input, bodyNumber(&events[i]))
			}
		}
		c.Advance(b.Last()+1, Counts{Sent: b.Last() + 1 - max(b.First(), c.Seq())})
		b.Release()
		if rand.IntN(20) == 0 {
			l.saveState()
			l.truncate()
		}
	}
}

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

// TestKill kills a process at work, again and again on the same log. What was
// acknowledged is delivered or still there, and no line is there twice.
func TestKill(t *testing.T) {
	cycles := 15
	if testing.Short() {
		cycles = 3
	}
	if torture {
		cycles = 10_000
		if n, err := strconv.Atoi(os.Getenv("SIEMD_TORTURE")); err == nil && n > 1 {
			cycles = n
		}
	}
	dir := fastDir(t)
	acked := map[string]int{}
	delivered := map[string]*numbers{}
	for p := range crashProducers {
		acked[strconv.Itoa(p)] = -1
		delivered[strconv.Itoa(p)] = &numbers{above: map[int]bool{}}
	}
	for cycle := range cycles {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for in := bufio.NewReader(out); ; {
				line, err := in.ReadString('\n')
				if err != nil {
					return // a line that was cut does not count
				}
				kind, producer, n := "", "", 0
				if c, err := fmt.Sscan(line, &kind, &producer, &n); err != nil || c != 3 || kind == "error" {
					t.Errorf("cycle %d: the process says %q", cycle, line)
					_, _ = io.Copy(io.Discard, in)
					return
				}
				switch kind {
				case "a":
					acked[producer] = max(acked[producer], n)
				case "d":
					delivered[producer].add(n)
				}
			}
		})
		time.Sleep(time.Duration(5+rand.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		wg.Wait()
		cmd.Wait()
		if t.Failed() {
			return
		}
		checkCrash(t, cycle, dir, acked, delivered)
	}
	total := 0
	for _, n := range acked {
		total += n + 1
	}
	if total == 0 {
		t.Error("nothing was acknowledged")
	}
	t.Logf("%d kills, %d events acknowledged", cycles, total)
}

func checkCrash(t *testing.T, cycle int, dir string, acked map[string]int, delivered map[string]*numbers) {
	t.Helper()
	r, err := Verify(dir)
	if errors.Is(err, os.ErrNotExist) {
		return // killed before it made its directory
	}
	if err != nil || !r.Clean() {
		t.Fatalf("cycle %d: Verify = %+v, %v", cycle, r, err)
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
		t.Fatalf("cycle %d: %v", cycle, err)
	}
	for p, last := range acked {
		from, ok := first[p]
		if !ok {
			from = last + 1
		}
		for d := delivered[p]; d.below < min(from, last+1); d.below++ {
			if !d.above[d.below] {
				t.Fatalf("cycle %d: producer %s: %d of %d is neither delivered nor in the log, which begins at %d", cycle, p, d.below, last, from)
			}
			delete(d.above, d.below)
		}
		if ok && there[p] <= last {
			t.Fatalf("cycle %d: producer %s: %d is acknowledged, the log ends at %d", cycle, p, last, there[p])
		}
	}
}
