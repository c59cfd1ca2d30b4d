package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A file that is truncated and has grown beyond its old size, or to it, before
// anybody looks, is told by the text before the position.
func TestTruncatedAndGrown(t *testing.T) {
	for _, down := range []bool{false, true} {
		for _, size := range []int{50, 100, 200} {
			t.Run(fmt.Sprintf("down %v, %d lines", down, size), func(t *testing.T) {
				r := newRig(t, "app.log")
				text, want := numbered(10000, 10100)
				r.write("app.log", text)
				r.start()
				r.expect(want...)
				if down {
					r.halt()
				}
				text, lines := numbered(20000, 20000+size)
				// As one write at the same inode, so that no look falls between.
				f, err := os.OpenFile(r.path("app.log"), os.O_WRONLY, 0)
				r.must(err)
				_, err = f.WriteString(text)
				r.must(err)
				r.must(f.Truncate(int64(len(text))))
				r.must(f.Close())
				if down {
					r.start()
				}
				r.expect(append(want, lines...)...)
				if got := r.metric("truncations_total"); got != "1" {
					t.Errorf("truncations_total = %s, want 1", got)
				}
			})
		}
	}
}

func TestReplacedWhileDown(t *testing.T) {
	r := newRig(t, "app.log")
	text, want := numbered(0, 10)
	r.write("app.log", text)
	r.start()
	r.expect(want...)
	r.halt()
	r.write("new", text) // the same text, another file
	r.must(os.Rename(r.path("new"), r.path("app.log")))
	r.start()
	r.expect(append(want, want...)...)
}

// nextTick waits until new files are born later than the last one.
func (r *rig) nextTick() {
	r.t.Helper()
	birth := func() int64 {
		r.write("a file of this tick", "")
		i, err := stat(statx).path(r.path("a file of this tick"), false)
		r.must(err)
		r.must(os.Remove(r.path("a file of this tick")))
		return i.id.birth
	}
	for now := birth(); birth() == now; {
	}
}

// Several generations, renamed out of the pattern while the agent was down,
// are found beside the file.
func TestRotatedWhileDown(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("app.log.7", "{\"old\":1}\n") // older than all that was read
	r.nextTick()
	text, want := numbered(0, 10)
	r.write("app.log", text)
	r.start()
	r.expect(want...)
	r.halt()
	for i := range 3 {
		rest, lines := numbered(100*i+100, 100*i+105)
		r.write("app.log", rest+fmt.Sprintf(`{"last":%d}`, i)) // without a newline
		for n := i; n > 0; n-- {
			r.must(os.Rename(r.path(fmt.Sprintf("app.log.%d", n)), r.path(fmt.Sprintf("app.log.%d", n+1))))
		}
		r.must(os.Rename(r.path("app.log"), r.path("app.log.1")))
		text, more := numbered(1000*i+1000, 1000*i+1020)
		r.write("app.log", text)
		want = append(append(append(want, lines...), more...), fmt.Sprintf(`{"last":%d}`, i))
	}
	r.start()
	r.expect(want...)
	r.calm()
	r.expect(want...)
}

// An app that goes on writing to a rotated file, after it was quiet for so long
// that the file is finished, is still heard; also after a restart.
func TestWrittenToWhenFinished(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		t.Run(glob, func(t *testing.T) {
			r := newRig(t, glob)
			text, want := numbered(0, 10)
			r.write("app.log", text)
			r.start()
			r.expect(want...)
			for i := range 3 {
				r.must(os.Rename(r.path("app.log"), r.path(fmt.Sprintf("app.log.%d", i+1))))
				r.write("app.log", "")
				if glob == "app.log" {
					r.until("a file is finished", i+1)
				}
				if i == 1 {
					r.halt()
					r.start()
					r.calm()
				}
				text, more := numbered(100*(i+1), 100*(i+1)+5)
				r.write(fmt.Sprintf("app.log.%d", i+1), text)
				want = append(want, more...)
				r.expect(want...)
				text, more = numbered(100*(i+1)+50, 100*(i+1)+55)
				r.write("app.log", text)
				want = append(want, more...)
				r.expect(want...)
			}
			r.calm()
			r.expect(want...)
		})
	}
}

// until waits until msg was logged so often.
func (r *rig) until(msg string, times int) {
	r.t.Helper()
	deadline := deadline()
	for strings.Count(r.log.String(), fmt.Sprintf("msg=%q", msg)) < times {
		select {
		case <-deadline:
			r.t.Fatalf("%q was not logged %d times", msg, times)
		case <-time.After(r.time.tick):
		}
	}
}

// The last line of a file without a newline waits until the file is finished.
func TestLastLine(t *testing.T) {
	for _, style := range []string{"renamed", "renamed within the glob", "deleted"} {
		t.Run(style, func(t *testing.T) {
			glob := "app.log"
			if style == "renamed within the glob" {
				glob = "app.*"
			}
			r := newRig(t, glob)
			r.write("app.log", "{\"n\":1}\n{\"n\":2}")
			r.start()
			r.expect(`{"n":1}`)
			r.calm()
			r.expect(`{"n":1}`)
			if style == "deleted" {
				r.must(os.Remove(r.path("app.log")))
			} else {
				r.must(os.Rename(r.path("app.log"), r.path("app.1")))
				r.calm()
				r.expect(`{"n":1}`) // there is no successor yet
				r.write("app.log", "{\"n\":3}\n")
				r.expect(`{"n":1}`, `{"n":3}`, `{"n":2}`)
				if got := r.metric("rotations_total"); got != "1" {
					t.Errorf("rotations_total = %s, want 1", got)
				}
				return
			}
			r.expect(`{"n":1}`, `{"n":2}`)
		})
	}
}

// Two files that say the same are two files.
func TestSameText(t *testing.T) {
	r := newRig(t, "*.jsonl")
	text, lines := numbered(0, 100)
	var want []string
	for _, name := range []string{"a.jsonl", "b.jsonl", "a-1.jsonl", "a-2.jsonl"} {
		r.write(name, text)
		want = append(want, lines...)
	}
	r.start()
	r.expect(want...)
	r.write("c.jsonl", text)
	r.write("a-3.jsonl", text)
	want = append(append(want, lines...), lines...)
	r.expect(want...)
	r.must(os.Remove(r.path("b.jsonl"))) // and one of the same name
	r.calm()
	r.write("b.jsonl", text)
	r.expect(append(want, lines...)...)
}

// The same line of the same file has the same origin and offset in any run and
// with any log.
func TestStableIDs(t *testing.T) {
	r := newRig(t, "*.log")
	text, _ := numbered(0, 1000)
	r.write("app.log", text)
	ids := func() []string {
		r.start()
		r.sink.await(t, "all lines", func(s *fakeSink) bool { return len(s.lines) == 1000 })
		r.halt()
		return r.sink.ids
	}
	first := ids()
	r.sink = newSink()
	second := ids()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("line %d: %s, then %s", i, first[i], second[i])
		}
	}
	text, _ = numbered(0, 10)
	r.copyTruncate("app.log", "app.1", text)
	r.start()
	r.sink.await(t, "the lines of the next generation", func(s *fakeSink) bool { return len(s.lines) == 1010 })
	if r.sink.ids[0] == r.sink.ids[1000] {
		t.Errorf("after truncation the id is %s again", r.sink.ids[0])
	}
}

// A boot can change the number of a filesystem. Its files are the same.
func TestDeviceNumberChanges(t *testing.T) {
	r := newRig(t, "app.log")
	text, want := numbered(0, 100)
	r.write("app.log", text)
	r.start()
	r.expect(want...)
	r.halt()
	marks := r.sink.snapshot()
	i, err := stat(statx).path(r.path("app.log"), false)
	r.must(err)
	was := i.id
	was.dev++
	r.sink.marks = map[string][]byte{
		startedKey:            {1},
		was.key():             marks[i.id.key()],
		shardKey(was.shard()): appendCatalog(nil, []entry{{id: was, path: r.path("app.log"), own: true}}),
	}
	text, more := numbered(100, 110)
	r.write("app.log", text)
	r.start()
	r.expect(append(want, more...)...)
	r.calm()
	r.expect(append(want, more...)...)
}
