package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestDropFolder: files that are dropped while the agent is killed again and
// again go only when their events are delivered, and each goes once.
func TestDropFolder(t *testing.T) {
	for _, mode := range []string{"delete", "archive"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := startReceiver(t, "splunk", plugintest.Options{Fault: "503"})
			conf, drop, done := filepath.Join(dir, "siemd.yaml"), filepath.Join(dir, "drop"), filepath.Join(dir, "done")
			if err := os.Mkdir(drop, 0o700); err != nil {
				t.Fatal(err)
			}
			archive := ""
			if mode == "archive" {
				archive = fmt.Sprintf(", archive_dir: %q", done)
			}
			writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs: {drop: {type: tail, paths: ["%[1]s/drop/*.jsonl"], on_done: %[2]s, done_after: 100ms%[3]s}}
outputs: {splunk: {type: splunk, endpoint: %[4]q, token: x, batch: {max_wait: 10ms}, retry: {initial: 20ms, max: 50ms}}}
`, dir, mode, archive, r.URL()))
			files := func(dir string) int {
				all, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
				if err != nil {
					t.Fatal(err)
				}
				return len(all)
			}
			var ids []string
			put := func(round int) {
				for n := range 20 {
					name := fmt.Sprintf("%d-%02d", round, n)
					ids = append(ids, "D-"+name)
					writeFile(t, filepath.Join(dir, name), fmt.Sprintf("{\"event_id\":\"D-%s\"}\n", name))
					if err := os.Rename(filepath.Join(dir, name), filepath.Join(drop, name+".jsonl")); err != nil {
						t.Fatal(err)
					}
				}
			}
			d := startDaemon(t, conf, nil)
			put(0)
			eventually(t, 30*time.Second, "the lines are in the log", func() bool { return agentStatus(t, conf).Accepted >= 20 })
			d.kill()
			d = startDaemon(t, conf, nil)
			if n := files(drop); n != 20 {
				t.Fatalf("%d files are left, though nothing is delivered", n)
			}
			if err := r.SetFault(""); err != nil {
				t.Fatal(err)
			}
			for round := range 4 {
				put(round + 1)
				eventually(t, 30*time.Second, "files go", func() bool { return files(drop) < 15 })
				d.kill() // in the midst of them
				d = startDaemon(t, conf, nil)
			}
			eventually(t, 30*time.Second, "all files are gone", func() bool { return files(drop) == 0 })
			for _, id := range ids {
				if r.Seen(id) == 0 {
					t.Errorf("%s is lost", id)
				}
			}
			if n := files(done); mode == "archive" && n != len(ids) {
				t.Errorf("%d files are in the archive, want %d", n, len(ids))
			}
			d.stop()
		})
	}
}

// TestPipesAndTraps: a named pipe is read, over a restart and from one writer
// to the next, and also one that the agent may not write to; links that somebody drops into a folder are left alone, and said so.
func TestPipesAndTraps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startReceiver(t, "splunk", plugintest.Options{})
	conf, pipe, drop, secret := filepath.Join(dir, "siemd.yaml"), filepath.Join(dir, "pipe"), filepath.Join(dir, "drop"), filepath.Join(dir, "secret")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(pipe, 0o400))
	must(os.Mkdir(drop, 0o777))
	must(os.Chmod(drop, 0o777)) // anybody may write there
	writeFile(t, secret, "{\"event_id\":\"SECRET\"}\n")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs:
  pipe: {type: tail, paths: ["%[1]s/pipe"]}
  drop: {type: tail, paths: ["%[1]s/drop/*.jsonl"]}
outputs: {splunk: {type: splunk, endpoint: %[2]q, token: x, batch: {max_wait: 10ms}}}
`, dir, r.URL()))
	write := func(id string) {
		t.Helper()
		must(os.Chmod(pipe, 0o600))
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for a reader
		must(err)
		must(os.Chmod(pipe, 0o400))
		_, err = fmt.Fprintf(f, "{\"event_id\":%q}\n", id)
		must(err)
		must(f.Close())
	}
	start := func() *daemon {
		t.Helper()
		return startDaemonAs(t, unprivileged(t, siemd("run", "-c", conf)), conf, nil)
	}
	d := start()
	write("PIPE-1")
	write("PIPE-2")
	must(os.Symlink(secret, filepath.Join(drop, "link.jsonl")))
	must(os.Link(secret, filepath.Join(drop, "hard.jsonl")))
	writeFile(t, filepath.Join(drop, "good.jsonl"), "{\"event_id\":\"GOOD\"}\n")
	eventually(t, 30*time.Second, "the pipe and the folder are read", func() bool {
		return r.Seen("PIPE-1") == 1 && r.Seen("PIPE-2") == 1 && r.Seen("GOOD") == 1
	})
	for name, reason := range map[string]string{"link.jsonl": "symlink", "hard.jsonl": "hard_link"} {
		want := fmt.Sprintf("path=%s reason=%s", filepath.Join(drop, name), reason)
		eventually(t, 30*time.Second, "the log says "+want, func() bool { return strings.Contains(d.diag.String(), want) })
		series := fmt.Sprintf(`siemd_input_files_refused_total{input="drop",reason=%q}`, reason)
		eventually(t, 30*time.Second, series+" is 1", func() bool { return metric(t, conf, series) == "1" })
	}
	d.stop()
	d = start()
	write("PIPE-3")
	eventually(t, 30*time.Second, "the pipe is read again", func() bool { return r.Seen("PIPE-3") == 1 })
	if r.Seen("SECRET") != 0 {
		t.Error("the file behind a link was read")
	}
	d.stop()
}

// unprivileged is cmd without root's right to read and write whatever the modes of a file say.
func unprivileged(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return cmd
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	const caps = "-dac_override,-dac_read_search"
	as := exec.Command(setpriv, append([]string{"--bounding-set=" + caps, "--inh-caps=" + caps, cmd.Path}, cmd.Args[1:]...)...)
	as.Env = cmd.Env
	return as
}

// TestStdinWaits: while the disk is full whoever writes to stdin waits, and
// nothing that it has written is lost when there is room again.
func TestStdinWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	smallDisk(t, state, 24<<20)
	r := startReceiver(t, "splunk", plugintest.Options{})
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %s
api: {listen: []}
wal: {min_free: 0%%, compression: none}
inputs: {pipe: {type: stdin}}
outputs: {splunk: {type: splunk, endpoint: %q, token: x, batch: {max_wait: 10ms}}}
`, state, r.URL()))
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	d := startDaemon(t, conf, out)
	out.Close()
	ballast := filepath.Join(state, "ballast")
	fill(t, ballast)
	pad, written := strings.Repeat("x", 1000), 0
	line := func() error {
		_, err := fmt.Fprintf(in, "{\"event_id\":\"W-%d\",\"pad\":%q}\n", written, pad)
		if err == nil {
			written++
		}
		return err
	}
	// A writer that may give up shows that it waits: a pipe of the kernel's takes 64 KiB.
	for err == nil && written < 100_000 {
		if err = in.SetWriteDeadline(time.Now().Add(2 * time.Second)); err == nil {
			err = line()
		}
	}
	if !os.IsTimeout(err) {
		t.Fatalf("after %d lines to a full disk: %v", written, err)
	}
	t.Logf("the writer waits after %d lines", written)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "what was written is delivered", func() bool { return r.Stats().Distinct >= int64(written) })
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	for n := range written {
		if id := fmt.Sprintf("W-%d", n); r.Seen(id) != 1 {
			t.Fatalf("%s came %d times", id, r.Seen(id))
		}
	}
}
