package tail

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An app that can write to a drop folder must not make the agent read what
// the app could not read itself, nor block it.
func TestRefusals(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("{\"secret\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "**/*.jsonl")
	r.must(os.Mkdir(r.path("open"), 0o777))
	r.must(os.Chmod(r.path("open"), 0o777))
	r.must(os.Symlink(secret, r.path("link.jsonl")))
	r.must(os.Symlink(filepath.Dir(secret), r.path("dir")))
	r.must(os.Symlink("/proc/self/fd/0", r.path("fd.jsonl")))
	r.must(os.Link(secret, r.path("open/hard.jsonl")))
	r.must(syscall.Mkfifo(r.path("fifo.jsonl"), 0o644))
	r.must(os.Mkdir(r.path("directory.jsonl"), 0o755))
	r.write("a.jsonl", "{\"n\":1}\n")
	r.start()
	r.expect(`{"n":1}`)
	r.calm()
	r.expect(`{"n":1}`)
	log := r.log.String()
	for path, reason := range map[string]string{"link.jsonl": "symlink", "fd.jsonl": "symlink", "open/hard.jsonl": "hard_link", "fifo.jsonl": "not_regular"} {
		if n := strings.Count(log, "path="+r.path(path)+" reason="+reason); n != 1 {
			t.Errorf("%s: %d refusals were logged, want 1", path, n)
		}
	}
	if got := r.metric("files_refused_total"); got == "" {
		t.Error("refusals are not counted")
	}
	r.halt()

	r.conf.AllowHardLinks, r.conf.FollowSymlinks = true, true
	r.start()
	r.expect(`{"n":1}`, `{"secret":1}`) // once, though it has two names here
}

// A file with a second name is no trap in a directory of the operator's
// choice in which only the file's owner can make links.
func TestOwnHardLink(t *testing.T) {
	r := newRig(t, "*.jsonl")
	r.must(os.Chmod(r.dir, 0o755))
	r.write("backup", "{\"n\":1}\n")
	r.must(os.Link(r.path("backup"), r.path("a.jsonl")))
	r.start()
	r.expect(`{"n":1}`)
	r.halt()
	r.must(os.Chmod(r.dir, 0o777))
	r.must(os.Link(r.path("backup"), r.path("b.jsonl")))
	r.sink = newSink()
	r.start()
	r.calm()
	if got := r.sink.got(); len(got) > 0 {
		t.Errorf("lines %q came from a file that anybody can have linked", got)
	}
}

// Between the look at a file and its opening, it is swapped for a link, again
// and again: what the link leads to is never read.
func TestSwapRace(t *testing.T) {
	r := newRig(t, "d*/*.jsonl")
	outside := filepath.Join(t.TempDir(), "etc")
	r.must(os.Mkdir(outside, 0o755))
	r.must(os.WriteFile(filepath.Join(outside, "a.jsonl"), []byte("{\"secret\":1}\n"), 0o644))
	r.write("d/a.jsonl", "{\"n\":1}\n")
	r.must(os.Symlink(outside, r.path("link")))
	r.must(os.Symlink(filepath.Join(outside, "a.jsonl"), r.path("filelink")))
	in, err := New(r.conf, r.env())
	r.must(err)
	p := &in.patterns[0]
	wanted, err := stat(statx).path(filepath.Join(outside, "a.jsonl"), false)
	r.must(err)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			os.Rename(r.path("d"), r.path("x"))
			os.Rename(r.path("link"), r.path("d"))
			os.Rename(r.path("d"), r.path("link"))
			os.Rename(r.path("x"), r.path("d"))
			os.Rename(r.path("d/a.jsonl"), r.path("d/y"))
			os.Rename(r.path("filelink"), r.path("d/a.jsonl"))
			os.Rename(r.path("d/a.jsonl"), r.path("filelink"))
			os.Rename(r.path("d/y"), r.path("d/a.jsonl"))
		}
	}()
	opened := 0
	for range 10_000 {
		// Even told to expect the file outside, it is not opened.
		fd, _, err := in.openFile(p, r.path("d/a.jsonl"), wanted.id)
		if err == nil {
			opened++
			fd.Close()
		}
	}
	stop.Store(true)
	<-done
	if opened > 0 {
		t.Errorf("a file outside was opened %d times", opened)
	}
}

func TestOpenStepwise(t *testing.T) {
	r := newRig(t, "*")
	r.write("a/b/c", "x")
	r.must(os.Symlink("a", r.path("link")))
	r.must(os.Symlink("c", r.path("a/b/link")))
	dir, err := syscall.Open(r.dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	r.must(err)
	defer syscall.Close(dir)
	for rel, ok := range map[string]bool{"a/b/c": true, "link/b/c": false, "a/b/link": false, "a/../a/b/c": false, "a/b/none": false, "a//b": false} {
		fd, err := openStepwise(dir, rel, syscall.O_RDONLY|syscall.O_NOFOLLOW)
		if (err == nil) != ok {
			t.Errorf("%s: %v", rel, err)
		}
		if err == nil {
			syscall.Close(fd)
		}
	}
}

// The directory of the operator's choice may be reached through a link.
func TestBaseIsALink(t *testing.T) {
	r := newRig(t, "current/*.log")
	r.write("v1/a.log", "{\"n\":1}\n")
	r.must(os.Symlink("v1", r.path("current")))
	r.start()
	r.expect(`{"n":1}`)
	r.write("v2/a.log", "{\"n\":2}\n")
	r.must(os.Symlink("v2", r.path("next")))
	r.must(os.Rename(r.path("next"), r.path("current")))
	r.expect(`{"n":1}`, `{"n":2}`)
	r.write("v1/a.log", "{\"n\":3}\n") // the writer still has it open
	r.expect(`{"n":1}`, `{"n":2}`, `{"n":3}`)
}

// A directory that cannot be read for a while is not an empty one.
func TestUnreadableDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root can read everything")
	}
	r := newRig(t, "d/*.log")
	r.write("d/a.log", "{\"n\":1}\n")
	r.start()
	r.expect(`{"n":1}`)
	r.must(os.Chmod(r.path("d"), 0))
	time.Sleep(5 * r.time.scan)
	r.must(os.Chmod(r.path("d"), 0o755))
	r.write("d/a.log", "{\"n\":2}\n")
	r.expect(`{"n":1}`, `{"n":2}`)
}
