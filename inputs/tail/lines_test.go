package tail

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 3<<10)
	for _, c := range []struct {
		name, text string
		lines      []string
		ids        []int64
		refused    []int64 // offsets
	}{
		{"CRLF", "a\r\nb\r\n", []string{"a\r", "b\r"}, []int64{0, 3}, nil},
		{"empty lines", "\n\r\na\n\n", []string{"a"}, []int64{3}, nil},
		{"NUL", "a\x00b\n", []string{"a\x00b"}, []int64{0}, nil},
		{"bad UTF-8", "\xff\xfe\n", []string{"\xff\xfe"}, []int64{0}, nil},
		{"byte order mark", "\xef\xbb\xbfa\n\xef\xbb\xbfb\n", []string{"a", "\xef\xbb\xbfb"}, []int64{3, 5}, nil},
		{"only a byte order mark", "\xef\xbb\xbf\na\n", []string{"a"}, []int64{4}, nil},
		{"too long", "a\n" + long + "\nb\n", []string{"a", "b"}, []int64{0, 3075}, []int64{2}},
		{"as long as can be", long[:1<<10] + "\nb\n", []string{long[:1<<10], "b"}, []int64{0, 1025}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "a.log")
			r.conf.MaxLine = 1 << 10
			r.write("a.log", c.text)
			r.start()
			r.expect(c.lines...)
			r.sink.await(t, "refusals", func(s *fakeSink) bool { return len(s.refused) >= len(c.refused) })
			if got := r.sink.offsets(); !slices.Equal(got, c.ids) {
				t.Errorf("offsets %v, want %v", got, c.ids)
			}
			for i, f := range r.sink.refused {
				if f.Offset != c.refused[i] || len(f.Text) != 1<<10 || f.Reason != agent.ReasonTooLong {
					t.Errorf("refused %d bytes at %d: %s", len(f.Text), f.Offset, f.Reason)
				}
			}
		})
	}
}

func (s *fakeSink) offsets() (offsets []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids {
		var n int64
		fmt.Sscan(id[strings.LastIndexByte(id, '@')+1:], &n)
		offsets = append(offsets, n)
	}
	return offsets
}

// A line of any length costs no more memory than the limit, its beginning is
// kept, and the next line is intact, also across a restart in its middle.
func TestEndlessLine(t *testing.T) {
	r := newRig(t, "a.log")
	r.write("a.log", "{\"n\":1}\n")
	part := strings.Repeat("y", 1<<20)
	for range 5 {
		r.write("a.log", part)
	}
	r.start()
	r.sink.await(t, "the refusal", func(s *fakeSink) bool { return len(s.refused) == 1 })
	r.write("a.log", part)
	r.sink.await(t, "all of it", func(s *fakeSink) bool {
		for _, pos := range s.marks {
			if st, err := parseState(pos); err == nil && st.offset == 6<<20+8 && st.skipping {
				return true
			}
		}
		return false
	})
	r.halt()
	r.write("a.log", part+"\n{\"n\":2}\n")
	r.start()
	r.expect(`{"n":1}`, `{"n":2}`)
	if n := len(r.sink.refused); n != 1 || len(r.sink.refused[0].Text) != 1<<20 {
		t.Errorf("%d refusals, the first of %d bytes", n, len(r.sink.refused[0].Text))
	}
}

// A line that comes in pieces over the size of a block is one line.
func TestLongLineInPieces(t *testing.T) {
	r := newRig(t, "a.log")
	r.start()
	var whole strings.Builder
	for i := range 30 {
		piece := fmt.Sprintf("%d-%s", i, strings.Repeat("z", 30_000))
		whole.WriteString(piece)
		r.write("a.log", piece)
		r.time.pace = 0
	}
	r.write("a.log", "\n{}\n")
	r.expect(whole.String(), "{}")
}

// FuzzSplit compares split, given pieces of any size, with a plain split.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint8(3), uint8(2), true)
	f.Add([]byte("\xef\xbb\xbfa\r\nxxxxxxxxxxxxxxxxxxxxx\nb"), uint8(5), uint8(7), false)
	f.Add(bytes.Repeat([]byte("\n"), maxLines+10), uint8(200), uint8(1), true)
	f.Fuzz(func(t *testing.T, text []byte, size, limit uint8, final bool) {
		if limit == 0 || size == 0 {
			return
		}
		var c cut
		var lines, refused [][]byte
		var offsets []int64
		pos, end, skipping := 0, 0, false
		for {
			last := end == len(text)
			c.reset()
			used, skip := c.split(text[pos:end], int64(pos), int(limit), skipping, final && last)
			lines, offsets = append(lines, c.lines...), append(offsets, c.offsets...)
			for _, r := range c.refused {
				refused = append(refused, r.Text)
			}
			pos, skipping = pos+used, skip
			if last && used == 0 {
				break
			}
			end = min(len(text), end+int(size))
		}
		var want, wantRefused [][]byte
		var wantOffsets []int64
		at := 0
		for rest := text; len(rest) > 0; {
			line, next, ended := bytes.Cut(rest, []byte("\n"))
			offset := at
			at += len(rest) - len(next)
			rest = next
			switch {
			case len(line) > int(limit):
				wantRefused = append(wantRefused, line[:limit])
				continue
			case !ended && !final:
				continue
			}
			if offset == 0 && bytes.HasPrefix(line, bom) {
				line, offset = line[3:], 3
			}
			if len(line) > 0 && string(line) != "\r" {
				want, wantOffsets = append(want, line), append(wantOffsets, int64(offset))
			}
		}
		if !slices.EqualFunc(lines, want, bytes.Equal) || !slices.Equal(offsets, wantOffsets) || !slices.EqualFunc(refused, wantRefused, bytes.Equal) {
			t.Errorf("lines %q at %v, refused %q; want %q at %v, %q", lines, offsets, refused, want, wantOffsets, wantRefused)
		}
	})
}
