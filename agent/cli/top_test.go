package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// viewed is a top that has asked twice, a second apart.
func viewed(width, height int) *top {
	out := func(name string, sent, pending uint64, lag float64) supervisor.OutputStatus {
		o := supervisor.OutputStatus{Name: name, Type: "splunk"}
		o.Sent, o.Pending, o.LagSeconds, o.LastError = sent, pending, lag, "refused \x1b[2J\n"+strings.Repeat("x", 200)
		return o
	}
	at := time.Date(2025, 10, 29, 12, 0, 0, 0, time.Local)
	return &top{
		live: true, sort: 'n', since: 1, at: at, size: func() (int, int) { return width, height },
		before: supervisor.Status{Outputs: []supervisor.OutputStatus{out("a", 100, 0, 0), out("b", 100, 0, 0), out("c", 100, 0, 0)}},
		last: supervisor.Status{
			Started: at.Add(-time.Minute), Inputs: []supervisor.InputStatus{{Name: "in", Type: "tail", Events: 7}},
			Outputs: []supervisor.OutputStatus{out("a", 110, 5, 61.4), out("b", 130, 50, 0.25), out("c", 120, 500, 1.26)},
		},
	}
}

func (t *top) screen() string {
	var b bytes.Buffer
	t.draw(&b)
	return string(t.fit(b.Bytes()))
}

func TestTopKeys(t *testing.T) {
	v := viewed(0, 0)
	for key, want := range map[byte]string{'n': "a b c", 'p': "c b a", 'l': "a c b", 's': "b c a", 'r': "b c a"} {
		if v.press(key) {
			t.Errorf("%c ends", key)
		}
		var got []string
		for _, r := range v.rows() {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want || !strings.Contains(v.screen(), string(key)+"=") {
			t.Errorf("%c sorts %s, want %s", key, got, want)
		}
	}
	v.press('p')
	v.press('x')
	if screen := v.screen(); v.sort != 'p' || !strings.Contains(screen, " p=pending* ") || strings.Count(screen, "*") != 1 || strings.Contains(screen, "PAUSED") {
		t.Errorf("a key that means nothing changes something: %q", screen)
	}
	v.press(' ')
	if !v.paused || !strings.Contains(v.screen(), "PAUSED at 12:00:00") {
		t.Errorf("it is not paused: %q", v.screen())
	}
	v.trouble = errors.New("no agent answers")
	if !strings.Contains(v.screen(), "AS OF 12:00:00: no agent answers") {
		t.Errorf("trouble is not told: %q", v.screen())
	}
	if !v.press('q') || !v.press(3) {
		t.Error("q and Ctrl-C do not end it")
	}
}

// Whatever the size of the terminal, nothing wraps or scrolls, and what a
// receiver answered cannot steer the terminal.
func TestTopFitsTheTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 6}, {10, 3}, {1, 1}, {300, 100}} {
		screen := viewed(size[0], size[1]).screen()
		lines := strings.Split(screen, "\r\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			text := strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(line)
			if n := len([]rune(text)); n > size[0] || strings.Contains(text, "\x1b") || strings.Contains(text, "\n") {
				t.Errorf("%v: %d characters: %q", size, n, text)
			}
		}
	}
	if screen := viewed(80, 6).screen(); !strings.Contains(screen, "... 5 more lines") {
		t.Errorf("what does not go on it is not told: %q", screen)
	}
}
