package wal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
)

// What the processes that tests start again from this binary are told.
const (
	crashEnv    = "SIEMD_WAL_CRASH_CHILD" // the data directory
	lifeEnv     = "SIEMD_WAL_CRASH_LIFE"  // kills itself so long after its first word
	fileSizeEnv = "SIEMD_WAL_FILE_SIZE"   // no file may become larger, in bytes
)

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

// monotonic is a time in nanoseconds that all processes agree on.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// limits makes the process what the environment says. spoke must be called with each word.
func limits() (spoke func()) {
	spoke = func() {}
	if d, err := time.ParseDuration(os.Getenv(lifeEnv)); err == nil {
		end := time.AfterFunc(time.Minute, func() {
			os.Stdout.WriteString("end\n")
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		})
		spoke = sync.OnceFunc(func() { end.Reset(d) })
	}
	if n, err := strconv.ParseUint(os.Getenv(fileSizeEnv), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			fmt.Println("error setrlimit", err)
		}
	}
	return spoke
}

// crashChild writes and reads a log until it is killed. On stdout it says what
// was acknowledged ("a producer number time"), delivered ("d producer number
// time"), what failed ("error ...") and that its life is over ("end"). A producer
// goes on behind its mark, as an input does that reads a file, also after a failure. In some lives chunks are small
// and segments too, in others several blocks wait for one fsync.
func crashChild(dir string) {
	spoke := limits()
	say := func(kind, producer string, n int) {
		line := fmt.Appendf(nil, "%s %s %d %d\n", kind, producer, n, monotonic())
		for range 1000 { // what was delivered must be heard of, also where writes fail
			if _, err := os.Stdout.Write(line); err == nil {
				spoke()
				return
			}
		}
	}
	size, most, pad := 16<<10, 20, 0
	if rand.IntN(3) == 0 {
		size, most, pad = 1<<20, 1500, 400
	}
	padding := make([]byte, 64<<10)
	for i := range padding {
		padding[i] = byte('A' + rand.IntN(58))
	}
	l, err := Open(Options{Dir: dir, SegmentSize: size, MaxSize: 1 << 30, fullWait: time.Millisecond})
	if err != nil {
		say("error", fmt.Sprintf("open: %q", err), 0)
		os.Exit(1)
	}
	c := l.Cursor("c", true)
	for p := range crashProducers {
		go crashProduce(l, c, strconv.Itoa(p), most, func() []byte {
			at := rand.IntN(len(padding) - pad)
			return padding[at : at+pad]
		}, say)
	}
	r := l.Reader(c)
	var events []agent.Event
	for {
		b, err := r.Next(context.Background())
		if err != nil {
			say("error", fmt.Sprintf("read: %q", err), 0)
			time.Sleep(time.Millisecond)
			continue
		}
		if b.Lost() {
			say("lost", fmt.Sprintf("%d-%d", b.First(), b.Last()), 0)
		} else if events, err = b.Events(events[:0]); err != nil {
			say("error", fmt.Sprintf("events: %q", err), 0)
			events = events[:0]
		}
		for i := range events {
			if events[i].Seq >= c.Seq() {
				say("d", events[i].Input, bodyNumber(&events[i]))
			}
		}
		c.Advance(b.Last()+1, Counts{Sent: b.Last() + 1 - max(b.First(), c.Seq())})
		b.Release()
		if rand.IntN(20) == 0 {
			l.saveState() // it may fail: it is tried again
			l.truncate()
		}
	}
}

// crashBacklog is how many events may wait for the reader: all that is in the
// log is read again after each kill.
const crashBacklog = 20_000

func crashProduce(l *Log, c *Cursor, name string, most int, pad func() []byte, say func(kind, producer string, n int)) {
	for {
		next := 0
		if pos, ok := l.Mark(name); ok {
			next, _ = strconv.Atoi(string(pos))
		}
		for {
			for l.Head() > c.Seq()+crashBacklog {
				time.Sleep(time.Millisecond)
			}
			chunk := l.NewChunk()
			size := 1 + rand.IntN(most)
			for i := range size {
				chunk.Add(&agent.Event{Input: name, ID: pad(), Body: fmt.Appendf(nil, `{"n":%d}`, next+i)})
			}
			next += size
			chunk.Mark(agent.Mark{Key: name, Pos: []byte(strconv.Itoa(next))})
			cm, err := l.Append(context.Background(), chunk)
			if err == nil {
				_, _, err = cm.Wait(context.Background())
			}
			if err != nil {
				say("error", fmt.Sprintf("append: %q", err), 0)
				time.Sleep(time.Millisecond)
				break
			}
			say("a", name, next-1)
		}
	}
}
