package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// copyTruncate rotates name to to, and begins it with text.
func (r *rig) copyTruncate(name, to, text string) {
	r.t.Helper()
	old, err := os.ReadFile(r.path(name))
	r.must(err)
	r.must(os.WriteFile(r.path(to), old, 0o644))
	r.must(os.Truncate(r.path(name), 0))
	r.write(name, text)
}

func TestCopyTruncateWhileDown(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		for times := 1; times <= 3; times++ {
			t.Run(fmt.Sprintf("%s %d", glob, times), func(t *testing.T) {
				r := newRig(t, glob)
				text, want := numbered(0, 100)
				r.write("app.log", text)
				r.start()
				r.expect(want...)
				r.halt()
				for i := range times {
					text, lines := numbered(1000*(i+1), 1000*(i+1)+100-i)
					rest, restLines := numbered(1000*(i+1)+500, 1000*(i+1)+505)
					r.write("app.log", rest)
					r.copyTruncate("app.log", fmt.Sprintf("app.log.%d", i+1), text)
					want = append(append(want, lines...), restLines...)
				}
				r.start()
				r.expect(want...)
				r.calm()
				r.expect(want...)
			})
		}
	}
}

// Lines of one length that end alike for more than a KiB: what stands before the
// position is the same in every generation, and only how a file begins tells them apart.
func TestLinesThatEndAlike(t *testing.T) {
	alike := func(from, to int) (text string, lines []string) {
		for n := from; n < to; n++ {
			line := fmt.Sprintf(`{"n":%06d,"pad":%q}`, n, strings.Repeat("y", 2*window))
			lines = append(lines, line)
			text += line + "\n"
		}
		return text, lines
	}
	r := newRig(t, "app.log")
	text, want := alike(0, 10)
	r.write("app.log", text)
	r.start()
	r.expect(want...)
	r.halt()
	for i := range 3 {
		text, lines := alike(1000*(i+1), 1000*(i+1)+20)
		r.copyTruncate("app.log", fmt.Sprintf("app.log.%d", i+1), text)
		want = append(want, lines...)
	}
	r.start()
	r.expect(want...)
	r.calm()
	r.expect(want...)
}

// Copies that were there before the input was first started are none of its
// business, also when the file is truncated before more is written to it.
func TestCopiesFromBefore(t *testing.T) {
	for _, start := range []string{"beginning", "end"} {
		t.Run(start, func(t *testing.T) {
			r := newRig(t, "app.log")
			r.conf.StartAt = start
			text, want := numbered(0, 10)
			old, _ := numbered(1000, 1010)
			r.write("app.log", text)
			r.nextTick()
			r.write("app.log.1", old)
			time.Sleep(2 * r.time.clock) // a file as young as that may have been made since
			r.start()
			if start == "end" {
				want = nil
				r.sink.await(t, "the first look", func(s *fakeSink) bool { return s.marks[startedKey] != nil })
			}
			r.expect(want...)
			next, more := numbered(100, 110)
			r.copyTruncate("app.log", "app.log.2", next)
			want = append(want, more...)
			r.expect(want...)
			r.calm()
			r.expect(want...)
			r.halt()
			r.start()
			next, more = numbered(150, 160)
			r.write("app.log", next)
			want = append(want, more...)
			r.expect(want...)
			r.must(os.Rename(r.path("app.log"), r.path("app.log.3"))) // somebody changed the way of rotation
			next, more = numbered(200, 210)
			r.write("app.log", next)
			want = append(want, more...)
			r.expect(want...)
			r.calm()
			r.expect(want...)
		})
	}
}

// A script that copies over the last copy keeps the same file for all copies.
func TestCopyTruncateOverTheLastCopy(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, down %v", glob, down), func(t *testing.T) {
				r := newRig(t, glob)
				text, want := numbered(0, 100)
				r.write("app.log", text)
				r.start()
				r.expect(want...)
				for i := range 3 {
					if down {
						r.halt()
					}
					rest, restLines := numbered(1000*(i+1)+500, 1000*(i+1)+505+50*i)
					text, lines := numbered(1000*(i+1), 1000*(i+1)+100-i)
					r.write("app.log", rest)
					r.copyTruncate("app.log", "app.log.1", text)
					want = append(append(want, lines...), restLines...)
					if down {
						r.start()
					}
					r.expect(want...)
					r.calm()
					r.expect(want...)
				}
			})
		}
	}
}

// A copy that somebody makes of a log, beside it and outside the patterns, says
// nothing that the log does not say: also when the log is rotated afterwards,
// and when the copy was made while the agent was down.
func TestCopyForSafekeeping(t *testing.T) {
	for _, size := range []int{5, 100} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d lines, down %v", size, down), func(t *testing.T) {
				r := newRig(t, "app.log")
				text, want := numbered(0, size)
				r.write("app.log", text)
				r.nextTick()
				r.start()
				r.expect(want...)
				if down {
					r.halt()
				}
				r.must(os.WriteFile(r.path("app.log.bak"), []byte(text), 0o644))
				if down {
					r.start()
				}
				r.calm()
				r.expect(want...)
				if size < 100 {
					return // too little to tell it from a generation by
				}
				text, more := numbered(size, 2*size)
				want = append(want, more...)
				r.write("app.log", text)
				r.expect(want...)
				r.must(os.Rename(r.path("app.log"), r.path("app.log.1")))
				last, more := numbered(2*size, 3*size)
				r.write("app.log", last)
				want = append(want, more...)
				r.expect(want...)
				r.calm()
				r.expect(want...)
			})
		}
	}
}

// A file may be renamed to what is not made of its name before its last copy is told from others.
func TestCopyOfWhatWasRenamedAway(t *testing.T) {
	for _, glob := range []string{"*.log*", "app.log*"} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %v", glob, down), func(t *testing.T) {
				s := newSlowMotion(t, time.Hour, false, glob)
				defer func() { s.end() }()
				s.createAs("app.log")
				s.look()
				s.time.settle = time.Hour // the copy stays undecided
				s.restart()
				s.createAs("app.log")
				s.copyTruncate("app.log", "app.log.1", "")
				s.createAs("app.log")
				s.look()
				s.move("app.log", "kept.log")
				s.look()
				s.createAs("app.log")
				s.look()
				s.time.settle = 0
				if down {
					s.restart()
					s.look()
					s.restart()
				} else {
					s.run.t.timing.settle = 0
				}
				s.check()
				s.createAs("app.log")
				s.check()
			})
		}
	}
}

// A copy stays when the file that it was made of was truncated, renamed,
// compressed and removed between two looks.
func TestCopyOfWhatIsGone(t *testing.T) {
	for _, glob := range []string{"app.log", "app.log*"} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, down %v", glob, down), func(t *testing.T) {
				s := newSlowMotion(t, 0, false, glob)
				defer func() { s.end() }()
				text, want := numbered(1000, 1100)
				s.write("app.log", text)
				s.look()
				s.createAs("app.log")
				s.copyTruncate("app.log", "app.log.2", "")
				s.createAs("app.log")
				s.move("app.log", "app.log.1")
				s.createAs("app.log")
				old, err := os.ReadFile(s.path("app.log.1"))
				s.must(err)
				s.write("app.log.1.gz", gzipOf(string(old)))
				s.must(os.Remove(s.path("app.log.1")))
				if down {
					s.restart()
				}
				for range 3 { // the file is given up, and then its copy is told from others
					s.look()
				}
				came := map[string]int{}
				for _, l := range s.sink.got() {
					came[l]++
				}
				for n := range s.n {
					want = append(want, fmt.Sprintf(`{"n":%d}`, n))
				}
				for _, l := range want {
					if came[l] != 1 {
						t.Errorf("%s came %d times", l, came[l])
					}
				}
			})
		}
	}
}
