package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// Whatever batches the log refuses, stored in fact or not, each line comes once.
func TestFailingLog(t *testing.T) {
	for _, lose := range []bool{false, true} {
		t.Run(fmt.Sprint("stored ", lose), func(t *testing.T) {
			r := newRig(t, "*.log*")
			r.sink.lose = lose
			rng := rand.New(rand.NewPCG(1, 2))
			r.sink.fail = func(agent.Batch) error {
				if rng.IntN(20) == 0 {
					return errDisk
				}
				return nil
			}
			n := 0
			write := func(name string, count int) {
				text, _ := numbered(n, n+count)
				n += count
				r.write(name, text)
			}
			for i := range 20 {
				write(fmt.Sprintf("%d.log", i), 500)
			}
			text, _ := numbered(n, n+500)
			n += 500
			r.write("z.log.gz", gzipOf(text))
			r.start()
			for range 20 {
				write(fmt.Sprintf("%d.log", n%20), 50+n%3)
			}
			// A file that nobody has looked at yet could not be found under a name outside the patterns.
			r.sink.await(t, "1.log is being read", func(s *fakeSink) bool { return slices.Contains(s.files, r.path("1.log")) })
			r.must(os.Rename(r.path("1.log"), r.path("gone")))
			write("1.log", 10)
			r.all(n)
			r.calm()
			r.all(n)
			r.sink.set(func(s *fakeSink) { s.fail = nil })
			write("1.log", 1)
			r.all(n)
			r.logged("the log takes lines again")
		})
	}
}

// At the very first start, too, the end of a file stays where it was.
func TestFailingLogAtFirstStart(t *testing.T) {
	r := newRig(t, "*.log")
	r.conf.StartAt = "end"
	var count atomic.Int32
	r.sink.fail = func(agent.Batch) error {
		if count.Add(1) <= 5 {
			return errDisk
		}
		return nil
	}
	text, _ := numbered(0, 100)
	r.write("a.log", text)
	r.start()
	r.sink.await(t, "the first start", func(s *fakeSink) bool { return s.marks[startedKey] != nil })
	r.write("a.log", "{\"n\":1}\n")
	r.expect(`{"n":1}`)
}

// While the log is full nothing is read, but rotated files are not let go.
func TestFullLog(t *testing.T) {
	r := newRig(t, "app.log")
	blocked := make(chan struct{})
	n := 0
	write := func(count int) {
		text, _ := numbered(n, n+count)
		n += count
		r.write("app.log", text)
	}
	write(1000)
	r.start()
	r.all(n)
	r.sink.set(func(s *fakeSink) { s.blocked = blocked })
	for range 5 {
		write(20_000)
		r.calm()
		r.must(os.Remove(r.path("app.log"))) // only an open descriptor can save it
	}
	write(10)
	close(blocked)
	r.all(n)
	if got := r.metric("suspected_losses_total"); got != "0" {
		t.Errorf("suspected_losses_total = %s, want 0", got)
	}
}

func TestClosedLog(t *testing.T) {
	r := newRig(t, "*.log")
	r.sink.closing = true
	r.write("a.log", "{}\n")
	r.start()
	err := <-r.done
	r.stop()
	r.stop = nil
	if err == nil || !strings.Contains(err.Error(), agent.ErrClosed.Error()) {
		t.Errorf("Run returned %v, want %v", err, agent.ErrClosed)
	}
}

// A file deleted unread, without a descriptor, is a loss that is counted.
func TestSuspectedLoss(t *testing.T) {
	r := newRig(t, "*.log")
	r.time.open = 1
	blocked := make(chan struct{})
	r.sink.blocked = blocked
	for i := range 10 {
		r.write(fmt.Sprintf("%d.log", i), "{}\n")
	}
	r.start()
	r.calm()
	r.must(os.Remove(r.path("7.log")))
	r.must(os.Remove(r.path("8.log")))
	r.calm()
	close(blocked)
	lost := func() (n int) {
		fmt.Sscan(r.metric("suspected_losses_total"), &n)
		return n
	}
	r.await("all files are read or lost", func() bool { return lost()+len(r.sink.got()) >= 10 })
	r.calm()
	if n := lost(); n+len(r.sink.got()) != 10 || n == 0 {
		t.Errorf("%d lines and %d suspected losses, want 10 in all", len(r.sink.got()), n)
	}
}
