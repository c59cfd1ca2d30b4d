package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

func openStore(t testing.TB, dir string, c Cursor, more ...func(*FailedOptions)) *FailedStore {
	t.Helper()
	o := FailedOptions{Dir: dir, Cursor: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range more {
		f(&o)
	}
	s, err := OpenFailed(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func refusalOf(n int) refusal {
	e := event(n, "alert")
	e.Seq = uint64(n)
	return refusal{event: e, err: fmt.Errorf("post: %w", agent.Permanent(&agent.AnswerError{Endpoint: "https://b", Status: 400, Answer: "bad \"x\" <y>"})), attempts: 2}
}

func addTo(t testing.TB, s *FailedStore, c *fakeCursor, from, n int) {
	t.Helper()
	var entries []Entry
	for i := range n {
		entries = append(entries, newEntry(refusalOf(from+i), "siem", "https://a"))
	}
	if err := s.Add(entries); err != nil {
		t.Fatal(err)
	}
	c.Advance(uint64(from+n), wal.Counts{Failed: uint64(n)})
}

func list(t testing.TB, s *FailedStore, f FailedFilter) (seqs []uint64) {
	t.Helper()
	entries, _, err := s.List(f, "", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func TestFailedEntry(t *testing.T) {
	r := refusalOf(7)
	r.event.Body = []byte(`{"a" : "<&>\u00e9 ü", "n":1.50, "event_id":"id-7"}`)
	e := newEntry(r, "siem", "https://a")
	e.ID, e.Time = formatID(99), time.Unix(5, 7).UTC()
	want := `{"id":"0000000000000063","time":"1970-01-01T00:00:05.000000007Z","seq":7,"event_id":"id-7","event_type":"alert","connection_id":"siem","endpoint":"https://b","status":400,"answer":"bad \"x\" <y>","attempts":2,"event":` + string(r.event.Body) + `}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("JSON = %s\nwant   %s", got, want)
	}
	line := e.appendLine(nil)
	back, err := parseEntry(line)
	if err != nil || !bytes.Equal(back.appendLine(nil), line) {
		t.Errorf("read back: %v\n%s\n%s", err, back.appendLine(nil), line)
	}
	if id, seq, ok := lineKey(line); id != 99 || seq != 7 || !ok {
		t.Errorf("lineKey = %d, %d, %v", id, seq, ok)
	}
	ev := back.event()
	if got, want := fmt.Sprintf("%+v", ev), fmt.Sprintf("%+v", r.event); got != want {
		t.Errorf("event = %s\nwant    %s", got, want)
	}
	out, err := json.Marshal([]Entry{e})
	if err != nil || !json.Valid(out) {
		t.Errorf("Marshal = %s, %v", out, err)
	}
}

func TestFailedEntryOddities(t *testing.T) {
	r := refusalOf(1)
	r.event.Body = []byte("not JSON\xff\n")
	e := newEntry(r, "siem", "")
	back, err := parseEntry(e.appendLine(nil))
	if err != nil || !bytes.Contains(back.event().Body, []byte("not JSON")) {
		t.Errorf("not JSON: %v, %q", err, back.event().Body)
	}
	r.event.Body = []byte("{\n\"a\": 1\n}")
	e = newEntry(r, "siem", "")
	if bytes.IndexByte(e.AppendJSON(nil), '\n') >= 0 {
		t.Error("an entry of several lines")
	}
	r.err = errors.New(strings.Repeat("x", 10_000) + "\xff")
	e = newEntry(r, "siem", "https://a")
	if len(e.Answer) != maxAnswer || e.Status != 0 || e.Endpoint != "https://a" {
		t.Errorf("answer of %d bytes, status %d, %s", len(e.Answer), e.Status, e.Endpoint)
	}
}

func FuzzFailedEntry(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "answer", "id", uint64(1))
	f.Add([]byte("\x00\xff"), "\xff\n", "\"", uint64(1<<63))
	f.Fuzz(func(t *testing.T, body []byte, answer, id string, seq uint64) {
		body = bytes.TrimSpace(body) // as every event in the log is
		e := newEntry(refusal{event: agent.Event{Seq: seq, ID: []byte(id), Type: []byte(id), Source: []byte(answer), Body: body}, err: errors.New(answer), attempts: 1}, "c", "e")
		e.ID = formatID(seq | 1)
		line := e.appendLine(nil)
		if bytes.IndexByte(line, '\n') != len(line)-1 || !json.Valid(line) {
			t.Fatalf("line = %q", line)
		}
		back, err := parseEntry(line)
		if err != nil || back.Seq != seq || back.ID != e.ID || !bytes.Equal(back.appendLine(nil), line) {
			t.Fatalf("read back %v:\n%q\n%q", err, back.appendLine(nil), line)
		}
		if _, n, ok := lineKey(line); !ok || n != seq {
			t.Fatalf("lineKey = %d, %v", n, ok)
		}
	})
}

func FuzzFailedFile(f *testing.F) {
	e := newEntry(refusalOf(1), "siem", "")
	e.ID = formatID(1)
	f.Add(e.appendLine(nil))
	f.Add([]byte("garbage\n{\"id\":\"zzzzzzzzzzzzzzzz\n"))
	f.Add(append(e.appendLine(nil), `{"id":"0000000000000002","time`...))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, formatID(1)+".jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := newFakeCursor("siem")
		c.seq = 10
		s := openStore(t, dir, c, func(o *FailedOptions) { o.noSync = true })
		s.reconcile()
		if _, err := s.Purge(FailedFilter{EventType: "alert"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Add([]Entry{newEntry(refusalOf(20), "siem", "")}); err != nil {
			t.Fatal(err)
		}
		if n := len(list(t, s, FailedFilter{})); n < 1 {
			t.Fatalf("%d entries", n)
		}
	})
}

func TestFailedStoreSurvives(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "failed", "siem"), newFakeCursor("siem")
	s := openStore(t, dir, c)
	addTo(t, s, c, 1, 3)
	addTo(t, s, c, 4, 2)
	s.Close()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	files, _ := filepath.Glob(dir + "/*.jsonl")
	if len(files) != 1 {
		t.Fatalf("files = %v", files)
	}
	if info, _ := os.Stat(files[0]); info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v", info.Mode())
	}
	// A crash in the middle of a line.
	f, _ := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"id":"00000000000000ff","time":"`)
	f.Close()
	s = openStore(t, dir, c)
	s.reconcile()
	addTo(t, s, c, 6, 1)
	if got := list(t, s, FailedFilter{}); fmt.Sprint(got) != "[1 2 3 4 5 6]" || s.Len() != 6 {
		t.Errorf("entries = %v, Len = %d", got, s.Len())
	}
	if got := c.Counts(); got != (wal.Counts{Failed: 6}) {
		t.Errorf("counts = %+v", got)
	}
}

// TestFailedStoreNotTwice: an event that was stored but not passed before a crash is there once, whatever becomes of it.
func TestFailedStoreNotTwice(t *testing.T) {
	dir, c := t.TempDir(), newFakeCursor("siem")
	s := openStore(t, dir, c)
	addTo(t, s, c, 1, 3)
	if err := s.Add([]Entry{newEntry(refusalOf(5), "siem", ""), newEntry(refusalOf(7), "siem", "")}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openStore(t, dir, c)
	s.reconcile()
	if s.Len() != 5 || s.settled() != 3 {
		t.Errorf("%d entries, %d of events that do not wait; want 5 and 3", s.Len(), s.settled())
	}
	if err := s.Add([]Entry{newEntry(refusalOf(5), "siem", "")}); err != nil { // refused again
		t.Fatal(err)
	}
	s.overtaken(func(yield func(uint64) bool) { _ = yield(6) && yield(7) }) // taken this time
	c.Advance(8, wal.Counts{Failed: 1, Sent: 3})
	if s.settled() != 4 {
		t.Errorf("%d entries of events that do not wait, want 4", s.settled())
	}
	if got := list(t, s, FailedFilter{}); fmt.Sprint(got) != "[1 2 3 5]" {
		t.Errorf("entries = %v", got)
	}
	if n, err := s.Purge(FailedFilter{}); n != 4 || err != nil {
		t.Errorf("Purge = %d, %v", n, err)
	}
	if got := c.Counts(); got != (wal.Counts{Sent: 3, Expired: 4}) || unaccounted(c) != 0 {
		t.Errorf("counts = %+v", got)
	}
}

// TestFailedStoreMissing: entries that were removed before a crash, but not counted.
func TestFailedStoreMissing(t *testing.T) {
	for why, want := range map[string]wal.Counts{"retry": {Failed: 2, Sent: 1}, "purge": {Failed: 2, Expired: 1}} {
		dir, c := t.TempDir(), newFakeCursor("siem")
		s := openStore(t, dir, c)
		addTo(t, s, c, 1, 3)
		saved := c.crash(func(n int) int { return n - 1 })
		e, _, _ := s.List(FailedFilter{}, "", 1)
		if why == "retry" {
			if err := s.apply(map[uint64]bool{parseID(e[0].ID): true}, nil); err != nil {
				t.Fatal(err)
			}
		} else if _, err := s.Purge(FailedFilter{IDs: []string{e[0].ID}}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openStore(t, dir, saved)
		s.reconcile()
		if got := saved.Counts(); got != want {
			t.Errorf("%s: counts = %+v, want %+v", why, got, want)
		}
	}
}
