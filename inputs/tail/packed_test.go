package tail

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func gzipOf(members ...string) string {
	var b bytes.Buffer
	for _, m := range members {
		z := gzip.NewWriter(&b)
		z.Write([]byte(m))
		z.Close()
	}
	return b.String()
}

func zstdOf(frames ...string) string {
	z, _ := zstd.NewWriter(nil)
	var b []byte
	for _, f := range frames {
		b = z.EncodeAll([]byte(f), b)
	}
	z.Close()
	return string(b)
}

func TestCompressedFiles(t *testing.T) {
	one, lines1 := numbered(0, 20_000)
	two, lines2 := numbered(20_000, 25_000)
	all := append(lines1, lines2...)
	half := len(one) / 2
	for _, c := range []struct{ name, file, text string }{
		{"gzip", "a.log.gz", gzipOf(one + two)},
		{"gzip, members", "a.log.gz", gzipOf(one[:half], one[half:], "", two)},
		{"zstd", "a.log.zst", zstdOf(one + two)},
		{"zstd, frames", "a.log.zst", zstdOf(one[:half], one[half:]+two)},
		{"no last newline", "a.log.gz", gzipOf(one + strings.TrimSuffix(two, "\n"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "a.log*")
			r.write("b", c.text)
			r.must(os.Rename(r.path("b"), r.path(c.file)))
			r.start()
			want := all
			if c.name == "no last newline" {
				want = all[:len(all)-1] // it waits: more may be appended
			}
			r.expect(want...)
			r.halt()
			r.start()
			r.calm()
			r.expect(want...)
			offsets := r.sink.offsets()
			if offsets[1] != int64(len(lines1[0])+1) {
				t.Errorf("the second offset is %d, want one of the plain text", offsets[1])
			}
		})
	}
}

// A compressed file that grows is read on, and one that is cut off or damaged
// is read as far as it goes and reported.
func TestCompressedGrows(t *testing.T) {
	r := newRig(t, "*.gz")
	one, lines1 := numbered(0, 1000)
	two, lines2 := numbered(1000, 1100)
	packed := gzipOf(one)
	r.write("a.gz", packed[:len(packed)/2])
	r.start()
	r.sink.await(t, "the first lines", func(s *fakeSink) bool { return len(s.lines) > 0 })
	r.halt()
	r.write("a.gz", packed[len(packed)/2:])
	r.start()
	r.expect(lines1...)
	r.write("a.gz", gzipOf(two))
	r.expect(append(lines1, lines2...)...)
	r.write("a.gz", "this is no member")
	r.logged("a file cannot be read")
	r.calm()
	r.expect(append(lines1, lines2...)...)
}

// What stands before the damage is read, although one look finds both, and once.
func TestCompressedDamage(t *testing.T) {
	text, lines := numbered(0, 100)
	long, longLines := numbered(0, 50_000)
	flipped := []byte(zstdOf(text, long))
	flipped[len(flipped)-len(flipped)/4] ^= 0x55
	for name, c := range map[string]struct {
		text  string
		least []string
	}{
		"garbage.gz": {gzipOf(text) + "more than a header of garbage", lines},
		"short.gz":   {gzipOf(strings.Join(lines[:3], "\n")+"\n") + "more than a header of garbage", lines[:3]},
		"zeros.gz":   {gzipOf(text) + strings.Repeat("\x00", 512), lines},
		"partial.gz": {gzipOf(text+"no newline") + "more than a header of garbage", lines},
		"long.gz":    {gzipOf(long) + "more than a header of garbage", longLines},
		"frame.zst":  {string(flipped), lines},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "*.gz", "*.zst")
			r.write(name, c.text)
			r.start()
			r.sink.await(t, "the lines before the damage", func(s *fakeSink) bool { return len(s.lines) >= len(c.least) })
			r.logged("a file cannot be read")
			r.calm()
			r.halt()
			r.start()
			r.calm()
			if name != "frame.zst" { // where that breaks off is the decoder's business
				r.expect(c.least...)
			}
		})
	}
}

// A file that was read, wholly or not, is not read again when it is compressed.
func TestCompressedLater(t *testing.T) {
	for _, kind := range []string{".gz", ".zst"} {
		for _, unread := range []bool{false, true} {
			r := newRig(t, "app.log*")
			one, want := numbered(0, 1000)
			two, more := numbered(1000, 1010)
			r.write("app.log", one)
			r.start()
			r.expect(want...)
			if unread {
				r.halt()
				r.write("app.log", two)
				one, want = one+two, append(want, more...)
			}
			pack := gzipOf
			if kind == ".zst" {
				pack = zstdOf
			}
			r.write("app.log.1"+kind, pack(one))
			r.must(os.Remove(r.path("app.log")))
			r.write("app.log", "{\"new\":1}\n")
			if unread {
				r.start()
			}
			want = append(want, `{"new":1}`)
			r.expect(want...)
			r.calm()
			r.expect(want...)
			if got := r.metric("suspected_losses_total"); got != "0" && got != "" {
				t.Errorf("suspected_losses_total = %s, want 0", got)
			}
		}
	}
}

// What was read of a file is not read again from a compressed copy beside it.
func TestCompressedCopyKept(t *testing.T) {
	r := newRig(t, "app.log*")
	one, want := numbered(0, 1000)
	r.write("app.log", one)
	r.start()
	r.expect(want...)
	r.write("app.log.1.gz", gzipOf(one))
	r.calm()
	r.calm()
	r.expect(want...)
}

// A file that is rotated and compressed while there is much of it still to read,
// and the log takes nothing for a while, is not read again when it is compressed.
func TestCompressedBeforeItIsRead(t *testing.T) {
	r := newRig(t, "app.log*")
	r.time.twin = 20 * time.Millisecond
	text, want := numbered(0, 50_000)
	r.write("app.log", text)
	blocked := make(chan struct{})
	r.sink.blocked = blocked
	r.start()
	r.until("a file is read from its beginning", 1)
	r.must(os.Rename(r.path("app.log"), r.path("app.log.1")))
	r.write("app.log.1.gz", gzipOf(text))
	r.must(os.Remove(r.path("app.log.1")))
	r.write("app.log", "{\"new\":1}\n")
	time.Sleep(20 * r.time.twin) // longer than anybody waits for a decision
	r.sink.set(func(s *fakeSink) { s.blocked = nil })
	close(blocked)
	want = append(want, `{"new":1}`)
	r.expect(want...)
	r.calm()
	r.expect(want...)
}

// Logs that are rotated and compressed more than once while the agent is down
// are read, also where no pattern names what they were compressed to. What was
// compressed before the first start is not.
func TestCompressedWhileDown(t *testing.T) {
	for _, style := range []string{"rename", "copytruncate"} {
		t.Run(style, func(t *testing.T) {
			r := newRig(t, "app.log")
			old, _ := numbered(5000, 5100)
			text, want := numbered(0, 100)
			r.write("app.log", text)
			r.nextTick()
			r.write("app.log.8.gz", gzipOf(old))
			r.write("app.log.9", old)
			time.Sleep(2 * r.time.clock)
			r.start()
			r.expect(want...)
			r.halt()
			rotate := func(n int) {
				name := fmt.Sprintf("app.log.%d", n)
				if style == "rename" {
					r.must(os.Rename(r.path("app.log"), r.path(name)))
					r.write("app.log", "")
				} else {
					r.copyTruncate("app.log", name, "")
				}
				text, err := os.ReadFile(r.path(name))
				r.must(err)
				i, err := os.Stat(r.path(name))
				r.must(err)
				r.write(name+".gz", gzipOf(string(text)))
				r.must(os.Chtimes(r.path(name+".gz"), i.ModTime(), i.ModTime())) // as gzip does
				r.must(os.Remove(r.path(name)))
			}
			for n := range 3 {
				text, more := numbered(1000*n+1000, 1000*n+1100)
				r.write("app.log", text)
				want = append(want, more...)
				rotate(n)
			}
			// One from before, compressed only now.
			i, err := os.Stat(r.path("app.log.9"))
			r.must(err)
			r.write("app.log.9.gz", gzipOf(old))
			r.must(os.Chtimes(r.path("app.log.9.gz"), i.ModTime(), i.ModTime()))
			r.must(os.Remove(r.path("app.log.9")))
			r.write("app.log", "{\"new\":1}\n")
			want = append(want, `{"new":1}`)
			r.start()
			r.expect(want...)
			r.calm()
			r.expect(want...)
		})
	}
}
