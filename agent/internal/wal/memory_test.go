package wal

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

const memoryEnv = "SIEMD_WAL_MEMORY_CHILD"

// memoryChild writes a backlog of raw bytes while four readers lag behind it,
// as fast as it can, and prints the largest resident size in KiB.
func memoryChild(dir string) {
	debug.SetGCPercent(50) // as the agent does
	raw, _ := strconv.ParseInt(os.Getenv("SIEMD_WAL_MEMORY_SIZE"), 10, 64)
	l, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	events := benchEvents(250)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		c := l.Cursor(fmt.Sprint(i), true)
		wg.Go(func() {
			r := l.Reader(c)
			var dst []agent.Event
			for {
				b, err := r.Next(context.Background())
				if err != nil {
					return
				}
				dst, _ = b.Events(dst[:0])
				// Only the last one gets anywhere, and the first not at all.
				time.Sleep(time.Duration(3-i) * time.Millisecond)
				if i > 0 {
					c.Advance(b.Last()+1, Counts{Sent: b.Last() + 1 - c.Seq()})
				}
				b.Release()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	var producers sync.WaitGroup
	for range 20 {
		producers.Go(func() {
			for n := int64(0); n < raw/20; {
				c := l.NewChunk()
				for i := range events {
					c.Add(&events[i])
				}
				n += int64(c.Size())
				cm, err := l.Append(context.Background(), c)
				if err == nil {
					_, _, err = cm.Wait(context.Background())
				}
				if err != nil {
					fmt.Println("append:", err)
					os.Exit(1)
				}
			}
		})
	}
	producers.Wait()
	close(done)
	f, _ := os.Open("/proc/self/status")
	for in := bufio.NewScanner(f); in.Scan(); {
		if name, value, _ := strings.Cut(in.Text(), ":"); name == "VmHWM" {
			fmt.Println("rss", strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	os.Exit(0)
}

// TestMemory: with default settings the log stays below 64 MiB resident under
// full load with a backlog and four readers. The long form has a backlog of 4 GiB.
func TestMemory(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("measures memory, which the race detector multiplies")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("SKIPPED: there is no /proc")
	}
	size := int64(256 << 20)
	if torture {
		size = 4 << 30
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memoryEnv+"="+t.TempDir(), fmt.Sprintf("SIEMD_WAL_MEMORY_SIZE=%d", size))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rss, err := strconv.Atoi(string(bytes.TrimSpace(bytes.TrimPrefix(out, []byte("rss")))))
	if err != nil {
		t.Fatalf("%s", out)
	}
	t.Logf("%d MiB resident at most, %d MiB of events written", rss>>10, size>>20)
	if rss > 64<<10 {
		t.Errorf("%d MiB resident, want at most 64", rss>>10)
	}
}
