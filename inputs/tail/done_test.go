package tail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func (r *rig) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// awaitGone waits until name is no more.
func (r *rig) awaitGone(name string) {
	r.t.Helper()
	deadline := deadline()
	for r.exists(name) {
		select {
		case <-deadline:
			r.t.Fatalf("%s is still there", name)
		case <-time.After(time.Millisecond):
		}
	}
}

// A file goes when it was read, was quiet, and every output is done with it; not before.
func TestOnDone(t *testing.T) {
	for _, mode := range []string{"delete", "archive"} {
		for _, restart := range []bool{false, true} {
			r := newRig(t, "drop/**/*.jsonl*")
			r.conf.OnDone, r.conf.DoneAfter = mode, agent.Duration(100*time.Millisecond)
			if mode == "archive" {
				r.conf.ArchiveDir = r.path("drop/done")
			}
			r.write("drop/a.jsonl", "{\"n\":1}\n{\"n\":2}")     // no last newline
			r.write("drop/sub/b.jsonl.gz", gzipOf("{\"n\":3}")) // nor here
			r.write("drop/empty.jsonl", "")
			r.start()
			r.expect(`{"n":1}`, `{"n":2}`, `{"n":3}`)
			r.calm()
			if !r.exists("drop/a.jsonl") || !r.exists("drop/sub/b.jsonl.gz") {
				t.Fatalf("%s: a file went before its events were delivered", mode)
			}
			if restart {
				r.halt()
				r.start()
				r.calm()
			}
			r.sink.set(func(s *fakeSink) { s.settled = 3 })
			if restart {
				r.halt()
				r.start()
			}
			r.sink.set(func(s *fakeSink) { s.settled = 4 })
			r.awaitGone("drop/a.jsonl")
			r.awaitGone("drop/sub/b.jsonl.gz")
			r.awaitGone("drop/empty.jsonl")
			// The same again is another file.
			r.write("drop/a.jsonl", "{\"n\":1}\n{\"n\":2}\n")
			r.expect(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":1}`, `{"n":2}`)
			r.sink.set(func(s *fakeSink) { s.settled = 6 })
			r.awaitGone("drop/a.jsonl")
			if mode == "archive" {
				for _, name := range []string{"a.jsonl", "a.jsonl.1", "b.jsonl.gz", "empty.jsonl"} {
					if !r.exists("drop/done/" + name) {
						t.Errorf("%s is not in the archive", name)
					}
				}
			}
			r.calm()
			r.expect(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":1}`, `{"n":2}`)
			r.halt()
			for key := range r.sink.snapshot() {
				// A stop between the removal and the forgetting leaves a mark, which is
				// dropped in time like that of any file that is gone.
				if strings.HasPrefix(key, "f:") && !restart {
					t.Errorf("the mark %s was not forgotten", key)
				}
			}
		}
	}
}

// If the agent died before it could note the last number, any later event settles the matter.
func TestDoneAfterCrash(t *testing.T) {
	r := newRig(t, "*.jsonl")
	r.conf.OnDone, r.conf.DoneAfter = "delete", agent.Duration(30*time.Millisecond)
	r.sink.settled = 100
	var before map[string][]byte
	r.sink.fail = func(b agent.Batch) error {
		if b.Mark != nil && strings.HasPrefix(b.Mark.Key, "f:") && len(b.Lines) == 0 {
			return errDisk // as if the agent had died here
		}
		return nil
	}
	r.write("a.jsonl", "{}\n")
	r.start()
	r.expect("{}")
	r.halt()
	before = r.sink.snapshot()
	r.sink.set(func(s *fakeSink) { s.marks, s.fail = before, nil })
	if !r.exists("a.jsonl") {
		t.Fatal("the file went without its mark")
	}
	r.start()
	r.calm()
	if !r.exists("a.jsonl") {
		t.Fatal("the file went though nobody knows which event was its last")
	}
	r.write("b.jsonl", "{}\n")
	r.awaitGone("a.jsonl")
}

// Nothing but the file that was read is deleted.
func TestRemoveChecks(t *testing.T) {
	r := newRig(t, "*.jsonl")
	r.conf.OnDone = "delete"
	r.write("a.jsonl", "{}\n")
	in, err := New(r.conf, r.env())
	r.must(err)
	i, err := stat(statx).path(r.path("a.jsonl"), false)
	r.must(err)
	p := &in.patterns[0]
	if err := in.remove(p, r.path("a.jsonl"), i.id, i.size+1, i.mtime); !errors.Is(err, errReplaced) {
		t.Errorf("a file that has grown: %v", err)
	}
	r.write("b.jsonl", "{}\n")
	r.must(os.Rename(r.path("b.jsonl"), r.path("a.jsonl")))
	if err := in.remove(p, r.path("a.jsonl"), i.id, i.size, i.mtime); !errors.Is(err, errReplaced) {
		t.Errorf("a file that was replaced: %v", err)
	}
	if !r.exists("a.jsonl") {
		t.Error("it was deleted")
	}
}

// To another filesystem a file is copied, and goes when the copy is complete.
func TestArchiveToAnotherFilesystem(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "siemd-test-")
	if err != nil {
		t.Skip("no second filesystem:", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	r := newRig(t, "*.jsonl")
	r.conf.OnDone, r.conf.DoneAfter, r.conf.ArchiveDir = "archive", agent.Duration(time.Millisecond), other
	a, _ := stat(statx).path(r.dir, false)
	b, _ := stat(statx).path(other, false)
	if a.id.dev == b.id.dev {
		t.Skip("no second filesystem")
	}
	r.must(os.WriteFile(filepath.Join(other, ".a.jsonl.part"), []byte("of an attempt that was cut off"), 0o600))
	text, want := numbered(0, 1000)
	r.write("a.jsonl", text)
	r.sink.settled = 2000
	r.start()
	r.expect(want...)
	r.awaitGone("a.jsonl")
	got, err := os.ReadFile(filepath.Join(other, "a.jsonl"))
	if err != nil || string(got) != text {
		t.Errorf("the copy has %d bytes, %v; want %d", len(got), err, len(text))
	}
	if _, err := os.Lstat(filepath.Join(other, ".a.jsonl.part")); err == nil {
		t.Error("the unfinished copy is still there")
	}
}

// A look that finds a file gone before the run hears that it was deleted makes no difference.
func TestDoneIsHeardOfLate(t *testing.T) {
	s := newSlowMotion(t, 0, false, "*.jsonl")
	defer func() { s.end() }()
	s.write("a.jsonl", "{}\n")
	s.look()
	var f *file
	for _, f = range s.run.files {
		f.disposing = true
	}
	s.must(os.Remove(s.path("a.jsonl")))
	for range 3 {
		s.look()
	}
	if f == nil || f.gone == 0 {
		t.Fatalf("it is not gone: %+v", f)
	}
	s.run.removed(disposal{file: f})
	s.look()
	for key := range s.sink.snapshot() {
		if strings.HasPrefix(key, "f:") {
			t.Errorf("the mark %s was not forgotten", key)
		}
	}
	if len(s.run.files) > 0 {
		t.Errorf("known still: %+v", s.run.files)
	}
}
