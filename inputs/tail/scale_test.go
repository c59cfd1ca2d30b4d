package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// descriptors counts the process's open files below dir.
func descriptors(dir string) (n int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// Many files, ten thousand with SIEMD_TORTURE=1, are read with a bounded number of descriptors, cost
// nothing while they are idle, and are followed.
func TestManyFiles(t *testing.T) {
	count := 2000
	if os.Getenv("SIEMD_TORTURE") != "" {
		count = 10_000
	}
	r := newRig(t, "**/*.log")
	r.time.scan, r.time.open = time.Hour, 100
	for i := range count {
		r.write(fmt.Sprintf("%d/dev-%d.log", i%100, i), fmt.Sprintf("{\"n\":%d,\"text\":\"of its own\"}\n", i))
	}
	began := time.Now()
	r.start()
	r.all(count)
	t.Logf("first read after %v", time.Since(began))
	if n := descriptors(r.dir); n > r.time.open {
		t.Errorf("%d descriptors are open, want at most %d", n, r.time.open)
	}
	// What is left to do behind the last line comes to an end.
	least := time.Hour
	for try := 0; try < 20 && least > 100*time.Millisecond; try++ {
		before := cpuTime()
		time.Sleep(500 * time.Millisecond)
		least = min(least, cpuTime()-before)
	}
	if least > 100*time.Millisecond {
		t.Errorf("%v of CPU are used in 500ms of idleness", least)
	}
	for i := range 100 {
		r.write(fmt.Sprintf("%d/dev-%d.log", i%100, i*7), fmt.Sprintf("{\"n\":%d}\n", count+i))
	}
	r.all(count + 100)
	r.halt()
	began = time.Now()
	r.start()
	r.write("0/new.log", fmt.Sprintf("{\"n\":%d}\n", count+100))
	r.all(count + 101)
	t.Logf("after a restart, all looked at after %v", time.Since(began))
}

// A small file gets its turn while a huge one is read.
func TestFairShare(t *testing.T) {
	r := newRig(t, "*.log")
	text, _ := numbered(0, 200_000) // some 50 blocks
	r.write("a-huge.log", text)
	r.write("b.log", "{\"small\":1}\n")
	r.start()
	r.sink.await(t, "all lines", func(s *fakeSink) bool { return len(s.lines) == 200_001 })
	for i, l := range r.sink.got() {
		if l == `{"small":1}` {
			if i > 20_000 {
				t.Errorf("the small file's line is number %d", i)
			}
			return
		}
	}
}

// Without inotify everything is found by looking, and that is said once.
func TestNoInotify(t *testing.T) {
	r := newRig(t, "*.log")
	r.time.noNotify = true
	r.write("app.log", "{\"n\":0}\n")
	r.start()
	for i := 1; i < 6; i++ {
		r.all(i)
		r.must(os.Rename(r.path("app.log"), r.path("old")))
		r.write("old", fmt.Sprintf("{\"n\":%d}\n", i))
		r.write("app.log", "")
	}
	r.all(6)
}

func TestFiles(t *testing.T) {
	r := newRig(t, "*.log")
	if got := r.tail; got != nil {
		t.Fatal("not started yet")
	}
	r.write("a.log", "{\"n\":1}\n{\"n\"")
	r.write("b.log", "")
	r.start()
	r.expect(`{"n":1}`)
	want := []agent.FileStatus{
		{Path: r.path("a.log"), Offset: 8, Size: 12, Lag: 4, State: "idle"},
		{Path: r.path("b.log"), State: "idle"},
	}
	deadline := deadline()
	for {
		got := r.tail.Files()
		if len(got) == 2 && got[0] == want[0] && got[1] == want[1] && r.metric("lag_bytes") == "4" && r.metric("files") == "2" {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("Files() = %+v, lag %s, files %s", got, r.metric("lag_bytes"), r.metric("files"))
		case <-time.After(time.Millisecond):
		}
	}
	r.halt()
	if got := r.tail.Files(); got != nil {
		t.Errorf("Files() = %v after the end", got)
	}
	if got := r.metric("lag_bytes"); got != "" {
		t.Errorf("the gauge of an ended run says %s", got)
	}
}
