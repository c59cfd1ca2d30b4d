package config_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent/internal/config"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "siemd.yaml"), filepath.Join(dir, "secrets", "token")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// In one step, so that no look falls into the middle of it and one edit is one change.
	replace := func(path, text string) {
		t.Helper()
		write(path+".new", text)
		must(os.Rename(path+".new", path))
	}
	write(secret, "one")
	text := "outputs: {o: {type: splunk, endpoint: 'https://h.example.com', token: '${file:" + secret + "}'}}\n"
	write(path, text)
	cfg, problems := config.Load(path, config.Options{})
	if cfg == nil {
		t.Fatal(problems)
	}
	ctx, stop := context.WithCancel(t.Context())
	var changes atomic.Int64
	var told atomic.Value // what the main file was at the last change
	told.Store("")
	w := config.Watch{Path: path, Log: slog.New(slog.DiscardHandler), Settle: 20 * time.Millisecond, Sources: func() []string { return cfg.Sources }}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx, cfg.Hash, func() {
			changes.Add(1)
			data, _ := os.ReadFile(path)
			told.Store(string(data))
		})
	}()
	defer func() { stop(); <-ended }()

	want := int64(0)
	edit := func(what string, f func()) {
		t.Helper()
		// Watching begins in a goroutine, and a directory that is new is followed after its first event.
		deadline := time.Now().Add(20 * time.Second)
		f()
		want++
		for changes.Load() < want {
			if time.Now().After(deadline) {
				t.Fatalf("not noticed: %s", what)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if n := changes.Load(); n > want && want > 1 {
			t.Errorf("%s: %d changes for one", what, n-want+1)
			want = n
		}
	}
	// The first edit is seen whether or not watching has begun: Run compares with what was loaded. If it
	// falls between that and the first look it may count twice, the second time with the next.
	edit("in place", func() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		must(err)
		_, err = f.WriteString("# edited\nshutdown_timeout: 5s\n")
		must(errors.Join(err, f.Close()))
	})
	replace(path, text+"shutdown_timeout: 6s\n")
	for end := time.Now().Add(20 * time.Second); told.Load() != text+"shutdown_timeout: 6s\n"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not noticed: rename")
		}
	}
	want = changes.Load()
	edit("a file in a new conf.d", func() {
		must(os.Mkdir(filepath.Join(dir, "conf.d"), 0o700))
		replace(filepath.Join(dir, "conf.d", "a.yaml"), "inputs: {a: {type: stdin}}\n")
	})
	edit("another one", func() { replace(filepath.Join(dir, "conf.d", "b.yaml"), "inputs: {b: {type: stdin}}\n") })
	edit("removed", func() { must(os.Remove(filepath.Join(dir, "conf.d", "b.yaml"))) })
	edit("a secret", func() { replace(secret, "two") })
	// As Kubernetes does it: the file is a link through a folder that is swapped.
	edit("a link in its place", func() {
		write(filepath.Join(dir, "..v1", "siemd.yaml"), text+"# v1\n")
		write(filepath.Join(dir, "..v2", "siemd.yaml"), text+"# v2\n")
		must(os.Symlink("..v1", filepath.Join(dir, "..data")))
		must(os.Symlink("..data/siemd.yaml", path+".link"))
		must(os.Rename(path+".link", path))
	})
	edit("a swapped folder", func() {
		must(os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
		must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	})
	// A link on the way, in a folder that has no file of ours.
	edit("a link to a link", func() {
		write(filepath.Join(dir, "far", "v1", "siemd.yaml"), text+"# far 1\n")
		write(filepath.Join(dir, "far", "v2", "siemd.yaml"), text+"# far 2\n")
		must(os.Symlink("v1", filepath.Join(dir, "far", "current")))
		must(os.Symlink(filepath.Join(dir, "far", "current", "siemd.yaml"), path+".link"))
		must(os.Rename(path+".link", path))
	})
	edit("the link in the middle swapped", func() {
		must(os.Symlink("v2", filepath.Join(dir, "far", "next")))
		must(os.Rename(filepath.Join(dir, "far", "next"), filepath.Join(dir, "far", "current")))
	})
	edit("another conf.d under the same name", func() {
		write(filepath.Join(dir, "conf.new", "a.yaml"), "inputs: {b: {type: stdin}}\n")
		must(unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, "conf.new"), unix.AT_FDCWD, filepath.Join(dir, "conf.d"), unix.RENAME_EXCHANGE))
	})
	edit("a file in that one", func() { replace(filepath.Join(dir, "conf.d", "c.yaml"), "# nothing\n") })
	edit("a secret that is not there", func() {
		replace(filepath.Join(dir, "conf.d", "c.yaml"), "api: {tokens: [{name: n, token: '${file:"+secret+".later}'}]}\n")
	})
	edit("the secret comes", func() { replace(secret+".later", "here") })
	edit("a file in a folder that is never quiet", func() {
		busy, noise := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			for busy.Err() == nil {
				_ = os.WriteFile(filepath.Join(dir, "noise"), nil, 0o600)
				time.Sleep(time.Millisecond)
			}
		})
		before := changes.Load()
		replace(filepath.Join(dir, "conf.d", "c.yaml"), "# noisy\n")
		for end := time.Now().Add(20 * time.Second); changes.Load() == before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		noise()
		wg.Wait()
	})
	// What does not change a byte is no edit.
	before := changes.Load()
	now := time.Now()
	must(os.Chtimes(filepath.Join(dir, "far", "v2", "siemd.yaml"), now, now))
	write(filepath.Join(dir, "other.txt"), "x")
	edit("a real one behind it", func() { replace(secret, "four") })
	if n := changes.Load() - before; n != 1 {
		t.Errorf("%d changes for one", n)
	}
}
