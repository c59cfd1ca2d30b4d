package intake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

var receivedAt = time.Unix(0, received).UTC()

func openRefused(t *testing.T, dir string, maxSize int64) *Refused {
	t.Helper()
	r, err := OpenRefused(dir, maxSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func add(t *testing.T, r *Refused, texts ...string) {
	t.Helper()
	var lines []agent.Refusal
	for i, text := range texts {
		lines = append(lines, agent.Refusal{Text: []byte(text), Offset: int64(i), Reason: agent.ReasonNotJSON, Detail: "want a value at byte 1"})
	}
	if err := r.Add("apps", "/var/log/a.jsonl", lines, receivedAt); err != nil {
		t.Fatal(err)
	}
}

// list reads the whole store, page by page.
func list(t *testing.T, r *Refused, f RefusedFilter, page int) []RefusedLine {
	t.Helper()
	var all []RefusedLine
	after := ""
	for {
		lines, next, err := r.Find(f, after, page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lines...)
		if next == "" {
			return all
		}
		if len(lines) == 0 {
			t.Fatal("an empty page with a next one")
		}
		after = next
	}
}

func TestRefusedKeepsLines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "refused")
	r := openRefused(t, dir, 1<<20)
	add(t, r, "not json", "a\xffb\x00\"\\")
	if err := r.Add("apps", "", nil, receivedAt); err != nil {
		t.Fatal(err)
	}
	want := []RefusedLine{
		{ID: "R1", Time: receivedAt, Input: "apps", File: "/var/log/a.jsonl", Reason: "not_json", Detail: "want a value at byte 1", Line: "not json"},
		{
			ID: "R2", Time: receivedAt, Input: "apps", File: "/var/log/a.jsonl", Offset: 1, Reason: "not_json", Detail: "want a value at byte 1",
			Line: "a\uFFFDb\x00\"\\", Raw: base64.StdEncoding.EncodeToString([]byte("a\xffb\x00\"\\")),
		},
	}
	check := func(r *Refused) {
		t.Helper()
		got, next, err := r.List("", 10)
		if err != nil || next != "" || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, %q, %v\nwant %v", got, next, err, want)
		}
	}
	check(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	check(openRefused(t, dir, 1<<20))
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "00000000000000000001.jsonl"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestRefusedDropsATornLine(t *testing.T) {
	dir := t.TempDir()
	r := openRefused(t, dir, 1<<20)
	add(t, r, "one", "two")
	path := filepath.Join(dir, "00000000000000000001.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		r := openRefused(t, dir, 1<<20)
		before := len(list(t, r, RefusedFilter{}, 10))
		if want := strings.Count(string(whole[:cut]), "\n"); before != want {
			t.Fatalf("cut at %d: %d lines, want %d", cut, before, want)
		}
		add(t, r, "three")
		lines := list(t, r, RefusedFilter{}, 1)
		if last := lines[len(lines)-1]; len(lines) != before+1 || last.Line != "three" || last.ID != fmt.Sprintf("R%d", before+1) {
			t.Fatalf("cut at %d: %v", cut, lines)
		}
		r.Close()
	}
}

func TestRefusedPassesOverDamage(t *testing.T) {
	dir := t.TempDir()
	r := openRefused(t, dir, 1<<20)
	add(t, r, "one", "two", "three")
	path := filepath.Join(dir, "00000000000000000001.jsonl")
	data, _ := os.ReadFile(path)
	lines := strings.SplitAfter(string(data), "\n")
	lines[1] = "\x00\xff garbage\n"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	got := list(t, openRefused(t, dir, 1<<20), RefusedFilter{}, 1)
	if len(got) != 2 || got[0].Line != "one" || got[1].Line != "three" || got[1].ID != "R3" {
		t.Errorf("%v", got)
	}
}

func TestRefusedStaysWithinItsCap(t *testing.T) {
	dir := t.TempDir()
	const maxSize = 64 << 10
	r := openRefused(t, dir, maxSize)
	set := metrics.NewSet()
	r.Register(set)
	for i := range 400 {
		add(t, r, fmt.Sprintf("line %d %s", i, strings.Repeat("x", 500)))
		if s := r.Stats(); s.Bytes > maxSize {
			t.Fatalf("%d bytes after %d lines", s.Bytes, i+1)
		}
	}
	got := list(t, r, RefusedFilter{}, 7)
	s := r.Stats()
	if s.Dropped == 0 || s.Lines+s.Dropped != 400 || uint64(len(got)) != s.Lines || s.Bytes < maxSize/2 {
		t.Errorf("%d lines listed, %+v", len(got), s)
	}
	for i, l := range got {
		if want := fmt.Sprintf("R%d", int(s.Dropped)+i+1); l.ID != want || !strings.HasPrefix(l.Line, fmt.Sprintf("line %d ", int(s.Dropped)+i)) {
			t.Fatalf("line %d has id %s and text %.20s", i, l.ID, l.Line)
		}
	}
	var out strings.Builder
	set.WritePrometheus(&out)
	if !strings.Contains(out.String(), fmt.Sprintf("siemd_refused_dropped_total %d\n", s.Dropped)) {
		t.Errorf("metrics: %s", out.String())
	}
	again := openRefused(t, dir, maxSize)
	if a := again.Stats(); a.Lines != s.Lines || a.Bytes != s.Bytes {
		t.Errorf("opened again: %+v, before %+v", a, s)
	}
	add(t, r, strings.Repeat("y", 2*maxSize)) // larger than the cap: all older files go
	if got := list(t, r, RefusedFilter{}, 100); len(got) > 10 || len(got[len(got)-1].Line) != 2*maxSize {
		t.Errorf("%d lines", len(got))
	}
}

func TestRefusedFind(t *testing.T) {
	r := openRefused(t, t.TempDir(), 1<<20)
	for i := range 30 {
		reason, input := agent.ReasonNotJSON, "a"
		if i%2 == 1 {
			reason = agent.ReasonNotObject
		}
		if i%3 == 0 {
			input = "b"
		}
		l := agent.Refusal{Text: fmt.Appendf(nil, "text %d", i), Reason: reason}
		if err := r.Add(input, "", []agent.Refusal{l}, receivedAt.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(filter RefusedFilter, want int) {
		t.Helper()
		for _, page := range []int{0, 1, 4, want, 100} {
			if got := list(t, r, filter, page); len(got) != want {
				t.Errorf("%+v in pages of %d: %d lines, want %d", filter, page, len(got), want)
			}
		}
	}
	f(RefusedFilter{}, 30)
	f(RefusedFilter{Input: "b"}, 10)
	f(RefusedFilter{Reason: agent.ReasonNotObject}, 15)
	f(RefusedFilter{Match: "text 2"}, 11)
	f(RefusedFilter{Since: receivedAt.Add(25 * time.Second)}, 5)
	f(RefusedFilter{Input: "b", Reason: agent.ReasonNotJSON, Match: "2"}, 2)
	f(RefusedFilter{Input: "c"}, 0)
	if _, _, err := r.List("nonsense", 1); err == nil {
		t.Error("a cursor that is none is taken")
	}
	if lines, next, err := r.List("R30", 1); len(lines) != 0 || next != "" || err != nil {
		t.Errorf("behind the last: %v, %q, %v", lines, next, err)
	}
}

func TestRefusedWithoutADisk(t *testing.T) {
	dir := t.TempDir()
	r := openRefused(t, dir, 1<<20)
	add(t, r, "one")
	// The file is replaced by one that cannot be written to: every write fails with ENOSPC.
	r.Close()
	path := filepath.Join(dir, "00000000000000000001.jsonl")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	r.out = full
	if err := r.Add("apps", "", []agent.Refusal{{Text: []byte("two")}}, receivedAt); !errors.Is(err, agent.ErrFull) {
		t.Fatalf("err = %v", err)
	}
	// Half a line was written when the disk was full.
	f, _ := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString(`{"id":"R2","li`)
	f.Close()
	add(t, r, "three")
	if got := list(t, r, RefusedFilter{}, 10); len(got) != 2 || got[1].Line != "three" || got[1].ID != "R2" {
		t.Errorf("%v", got)
	}
}

func TestRefusedIsReadWhileWritten(t *testing.T) {
	r := openRefused(t, t.TempDir(), 64<<10)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				l := agent.Refusal{Text: fmt.Appendf(nil, "%d %d %s", w, i, strings.Repeat("x", 300))}
				if err := r.Add("a", "", []agent.Refusal{l}, receivedAt); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		list(t, r, RefusedFilter{}, 5)
	}
	wg.Wait()
	if s := r.Stats(); s.Lines+s.Dropped != 200 {
		t.Errorf("%+v", s)
	}
}

// FuzzOpenRefused opens the store on any bytes and goes on with it.
func FuzzOpenRefused(f *testing.F) {
	f.Add([]byte("{\"id\":\"R1\",\"line\":\"x\"}\n"))
	f.Add([]byte("{\"id\":\"R1\"}\n\n{\"id\""))
	f.Add([]byte("\n\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "00000000000000000007.jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := openRefused(t, dir, 1<<20)
		add(t, r, "new")
		lines := list(t, r, RefusedFilter{}, 3)
		want := fmt.Sprintf("R%d", 7+strings.Count(string(data), "\n"))
		if last := lines[len(lines)-1]; last.Line != "new" || last.ID != want {
			t.Errorf("%+v, want id %s", last, want)
		}
	})
}
