package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// While older generations are still drained, others come and go unseen.
func TestRotatedTwiceWhileOthersDrain(t *testing.T) {
	r := newRig(t, "app.log")
	r.time.quiet = time.Hour
	n := 0
	lines := func(name string) {
		text, _ := numbered(n, n+5)
		n += 5
		r.write(name, text)
	}
	lines("app.log")
	r.start()
	for i := 1; i <= 8; i++ {
		r.all(n)
		r.must(os.Rename(r.path("app.log"), r.path(fmt.Sprintf("app.log.%d", i))))
		lines("app.log")
	}
	r.all(n)
	r.halt()
	for i := 9; i <= 12; i++ {
		lines("app.log")
		r.must(os.Rename(r.path("app.log"), r.path(fmt.Sprintf("app.log.%d", i))))
	}
	lines("app.log")
	r.start()
	r.all(n)
	r.calm()
	r.all(n)
}

// A file that was truncated, and of which nothing was read since, is truncated again while nobody looks.
func TestTruncatedTwiceWithoutALookBetween(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("app.log", "{\"n\":0}\n")
	r.start()
	r.all(1)
	r.must(os.Truncate(r.path("app.log"), 0))
	r.sink.await(t, "the truncation is noticed", func(*fakeSink) bool { return r.metric("truncations_total") == "1" })
	r.halt()
	r.write("app.log", "{\"n\":1}\n")
	r.copyTruncate("app.log", "app.log.1", "{\"n\":2}\n")
	r.start()
	r.all(3)
	r.calm()
	r.all(3)
}

// The next generation, there before the link leads to it, is not taken for a stranger.
func TestLinkSwitchedTwiceBetweenLooks(t *testing.T) {
	r := newRig(t, "app.log")
	r.conf.FollowSymlinks = true
	r.time.noNotify, r.time.poll = true, 100*time.Millisecond
	lead := func(to string) {
		r.must(os.Symlink(to, r.path("next")))
		r.must(os.Rename(r.path("next"), r.path("app.log")))
	}
	r.write("gen-0", "{\"n\":0}\n")
	lead("gen-0")
	r.start()
	r.all(1)
	r.write("gen-1", "{\"n\":1}\n")
	r.nextTick() // of two that are born together the second is read at once
	r.write("gen-2", "{\"n\":2}\n")
	lead("gen-1")
	r.all(2)
	time.Sleep(5 * r.time.poll) // several looks at gen-2, which is nobody's yet
	lead("gen-2")
	r.write("gen-3", "{\"n\":3}\n")
	lead("gen-3")
	r.all(4)
}

// Where a link led when it was looked at is found after it was switched.
func TestTargetOfASwitchedLink(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("old", "{}\n")
	r.write("new", "{}\n")
	r.must(os.Symlink("new", r.path("app.log")))
	i, err := stat(statx).path(r.path("old"), false)
	r.must(err)
	in, err := New(r.conf, r.env())
	r.must(err)
	if got := newRun(in, r.sink).target(found{path: r.path("app.log"), info: i, link: true}); got != r.path("old") {
		t.Errorf("target = %s, want %s", got, r.path("old"))
	}
}

// A copy that has only begun is neither read as a new file nor passed over.
func TestCopyInTheMaking(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		t.Run(glob, func(t *testing.T) {
			r := newRig(t, glob)
			r.time.settle = 250 * time.Millisecond
			text, want := numbered(0, 50)
			r.write("app.log", text)
			r.start()
			r.expect(want...)
			unread, more := numbered(50, 60)
			r.write("app.log.1", text[:500])
			time.Sleep(10 * r.time.tick) // several looks at what there is of it
			r.write("app.log.1", text[500:]+unread)
			last, end := numbered(60, 70)
			f, err := os.OpenFile(r.path("app.log"), os.O_WRONLY|os.O_TRUNC, 0)
			r.must(err)
			_, err = f.WriteString(last)
			r.must(err)
			r.must(f.Close())
			want = append(append(want, more...), end...)
			r.expect(want...)
			r.calm()
			r.expect(want...)
		})
	}
}

// No lines of a file are stored before the file is listed: else nobody could
// tell after a crash what was read under a name that is gone.
func TestListedBeforeRead(t *testing.T) {
	r := newRig(t, "*.log")
	listed := ""
	r.sink.fail = func(b agent.Batch) error {
		switch {
		case strings.HasPrefix(b.Mark.Key, "catalog:"):
			listed += string(b.Mark.Pos)
		case len(b.Lines) > 0 && !strings.Contains(listed, b.File):
			t.Errorf("%s is read and not listed", b.File)
		}
		return nil
	}
	r.start()
	for i := range 200 {
		r.write(fmt.Sprintf("%d.log", i), fmt.Sprintf("{\"n\":%d}\n", i))
	}
	r.all(200)
}
