package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFurtherFiles: what lies in conf.d is read as a shell would list it, and
// nothing in it makes the agent wait, or go on without a part of its config.
func TestFurtherFiles(t *testing.T) {
	// A directory is taken as it stands, whatever a pattern would make of it.
	dir := filepath.Join(t.TempDir(), "etc[1]*")
	conf := filepath.Join(dir, "conf.d")
	if err := os.MkdirAll(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "siemd.yaml")
	write(t, main, "data_dir: "+dir+"/data\ninputs: {main: {type: stdin}}\n")
	write(t, filepath.Join(conf, "b.yaml"), "inputs: {b: {type: tail, paths: [/nowhere]}}\n")
	write(t, filepath.Join(conf, "a.yaml"), "inputs: {a: {type: tail, paths: [/nowhere]}}\n")
	write(t, filepath.Join(conf, ".hidden.yaml"), "not: [ours\n")
	if err := os.Symlink("somebody@host.123:456", filepath.Join(conf, ".#a.yaml")); err != nil { // as Emacs locks a file
		t.Fatal(err)
	}
	cfg, problems := Load(main, Options{})
	if cfg == nil || len(cfg.Files) != 3 || filepath.Base(cfg.Files[1]) != "a.yaml" {
		t.Fatalf("loaded %+v, %v", cfg, problems)
	}
	fails := func(want string) {
		t.Helper()
		done := make(chan string, 1)
		go func() {
			cfg, problems := Load(main, Options{})
			text := ""
			for _, p := range problems {
				text += p.File + ": " + p.Message
			}
			if cfg != nil {
				text = "it loads"
			}
			done <- text
		}()
		select {
		case got := <-done:
			if !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("it waits; want %q", want)
		}
	}
	pipe := filepath.Join(conf, "c.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	fails("c.yaml: this is no regular file")
	looked := make(chan string, 1)
	go func() { looked <- digest(pipe) }()
	select {
	case <-looked:
	case <-time.After(10 * time.Second):
		t.Error("the watch waits for a pipe")
	}
	os.Remove(pipe)
	if err := os.Symlink("nowhere", pipe); err != nil {
		t.Fatal(err)
	}
	fails("c.yaml: there is no such file")
	os.Remove(pipe)
	if err := os.RemoveAll(conf); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("conf.d", conf); err != nil { // it cannot be read, also by root
		t.Fatal(err)
	}
	fails("conf.d: too many levels of symbolic links")
}

// TestOddDataDir: connections are found in a data_dir that would be a pattern.
func TestOddDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data[1]")
	conns := filepath.Join(dir, ConnectionsDir)
	if err := os.MkdirAll(conns, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(conns, "SIEM-CONN-0000ABCD.yaml"), "connection: {name: n, siem_type: http}\noutputs:\n  SIEM-CONN-0000ABCD: {type: http, endpoint: 'http://127.0.0.1:9'}\n")
	main := filepath.Join(t.TempDir(), "siemd.yaml")
	write(t, main, "data_dir: \""+dir+"\"\n")
	cfg, problems := Load(main, Options{})
	if cfg == nil || len(cfg.Outputs) != 1 {
		t.Fatalf("loaded %+v, %v", cfg, problems)
	}
}
