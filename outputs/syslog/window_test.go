package syslog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
)

// The window holds the smallest number of trailing frames that is not below
// its limit, however they were cut into pieces.
func TestWindowHoldsTheTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{limit: rapid.IntRange(0, 300_000).Draw(t, "limit")}
		var frames [][]byte
		now := time.Now()
		for range rapid.IntRange(0, 6).Draw(t, "writes") {
			var c cut
			for i := range rapid.IntRange(0, 20).Draw(t, "frames") {
				f := fmt.Appendf(nil, "%d ", len(frames))
				f = append(f, make([]byte, rapid.SampledFrom([]int{0, 300, 5000, 70_000}).Draw(t, "size"))...)
				frames = append(frames, bytes.Clone(f))
				c.add(i, f)
				clear(f) // the caller's memory is the caller's
			}
			for _, p := range c.pieces {
				w.add(p, now)
			}
		}
		want, size, n := [][]byte{}, 0, 0
		for i := len(frames) - 1; i >= 0 && size < w.limit; i-- {
			want = append([][]byte{frames[i]}, want...)
			size += len(frames[i])
			n++
		}
		data, count := w.tail()
		if !bytes.Equal(bytes.Join(data, nil), bytes.Join(want, nil)) || count != n {
			t.Fatalf("tail has %d frames, want %d", count, n)
		}
	})
}

// What lay acknowledged for a minute on connections that closed in good order
// was read; a reset says the opposite, however old the frames are.
func TestWindowForgetsWhatWasRead(t *testing.T) {
	now := time.Now()
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }
	var w window
	w.limit = 1 << 20
	put := func(text string) {
		var c cut
		c.add(0, []byte(text))
		w.add(c.pieces[0], now)
	}
	want := func(step, text string) {
		t.Helper()
		data, _ := w.tail()
		if got := string(bytes.Join(data, nil)); got != text {
			t.Errorf("%s: the window has %q, want %q", step, got, text)
		}
	}
	put("a")
	w.disconnected(false, after(time.Hour))
	want("reset after an hour", "a")
	w.reconnected(after(time.Second))
	put("b")
	w.disconnected(true, after(40*time.Second))
	want("closed after 40 s", "ab")
	w.disconnected(true, after(time.Hour)) // a connection that broke before the window was acknowledged again
	want("nothing was acknowledged", "ab")
	w.reconnected(after(time.Hour))
	put("c")
	w.disconnected(true, after(40*time.Second))
	want("closed after 40 s more", "c")
	if w.size != 1 {
		t.Errorf("size %d", w.size)
	}
}

// One event is one frame, whatever its text.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{"x", "5 hello", "a\nb", "\x00", strings.Repeat("y", 99), strings.Repeat("y", 100), strings.Repeat("y", 1000), "é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e := &agent.Event{Body: text}
		counted, err := appendCounted(nil, plain{}, e)
		line, err2 := appendLine([]byte("before"), plain{}, e)
		if len(text) == 0 || string(text) == "bad" {
			if err == nil || err2 == nil || len(counted) > 0 || string(line) != "before" {
				t.Fatalf("%q: %v, %v", text, err, err2)
			}
			return
		}
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(bytes.NewReader(append(counted, counted...)))
		for range 2 {
			if got, err := readFrame(br, octet); err != nil || got != string(text) {
				t.Fatalf("%q came back as %q, %v", text, got, err)
			}
		}
		line = line[len("before"):]
		if len(line) != len(text)+1 || bytes.IndexByte(line, '\n') != len(text) || bytes.IndexByte(line, 0) >= 0 {
			t.Fatalf("%q became the line %q", text, line)
		}
	})
}
