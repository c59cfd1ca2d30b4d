package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/packaging/sandbox"
)

// traceEnv names a folder in which each siemd run leaves what strace saw of it.
const traceEnv = "SIEMD_TEST_TRACE"

// traced has cmd run under strace.
func traced(cmd *exec.Cmd, dir string) {
	u, err := sandbox.Load("systemd/siemd.service")
	if err != nil {
		panic(err) // TestSandbox has loaded it before
	}
	f, err := os.CreateTemp(dir, "run")
	if err != nil {
		panic(err)
	}
	f.Close()
	u.Wrap(cmd, f.Name())
}

// sandboxed are black-box tests of every input and output, of reloads, kills, pipes, TLS and the API.
var sandboxed = []string{
	"TestDropFolder", "TestPipesAndTraps", "TestStdinWaits", "TestThreeInputsFourOutputsExactlyOnce",
	"TestKilledFiveTimesNothingIsMissing", "TestSystemdHearsOfReloads", "TestUnreadTailSurvivesARestart", "TestCertificateOfInput",
	"TestTokenNames", "TestReloadLeavesTheRestAlone", "TestBacklogOutlivesAStop", "TestOrphanComesBack", "TestCurl", "TestProgramAndFile",
}

// Whatever the agent does in the black-box tests is what its unit lets it do: no system call is forbidden, and what it
// writes lies where the unit lets it write. CI runs a part of them under strace, the long form all.
func TestSandbox(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other tests again, under strace")
	}
	u, err := sandbox.Load("systemd/siemd.service")
	if err != nil {
		if os.Getenv("CI") == "true" || !errors.Is(err, exec.ErrNotFound) {
			t.Fatal(err)
		}
		t.Skipf("*** SKIPPED: %v ***", err)
	}
	all := os.Getenv("SIEMD_TORTURE") != ""
	run := "^(" + strings.Join(sandboxed, "|") + ")$"
	if all {
		run = "."
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", run, "-test.skip", "^TestSandbox$", "-test.timeout", "60m")
	cmd.Env = append(os.Environ(), traceEnv+"="+dir, "SIEMD_TORTURE=")
	out, err := cmd.CombinedOutput() // ends when each strace has
	if err != nil && !all {
		t.Errorf("%v\n%s", err, out)
	} else if err != nil { // what waits for a time may not wait for strace, and is tested without it
		t.Logf("%v\n%s", err, out)
	}
	runs, err := filepath.Glob(filepath.Join(dir, "run*"))
	if err != nil || len(runs) < len(sandboxed) {
		t.Fatalf("only %d runs were seen: %v", len(runs), err)
	}
	written := 0
	for _, path := range runs {
		written += checkRun(t, u, path)
	}
	t.Attr("trials", fmt.Sprint(len(runs)))
	t.Logf("%d runs of siemd changed %d paths", len(runs), written)
}

// checkRun reports what the unit would not have let a run do, and gives how many paths it changed.
func checkRun(t *testing.T, u *sandbox.Unit, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := u.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range trace.Forbidden {
		t.Errorf("the unit forbids: %s", line)
	}
	// StateDirectory is data_dir, where the lock is; a run that was refused has none, and writes nothing.
	state := "nowhere"
	if i := slices.IndexFunc(trace.Written, func(p string) bool { return filepath.Base(p) == "lock" }); i >= 0 {
		state = filepath.Dir(trace.Written[i])
	}
	for _, p := range trace.Written {
		beside, ok := strings.CutPrefix(p, filepath.Dir(state)+"/")
		switch top, _, _ := strings.Cut(beside, "/"); {
		case p == os.DevNull, p == state, strings.HasPrefix(p, state+"/"):
		case ok && strings.HasPrefix(top, "out."): // an output of type file, for which there is LogsDirectory
		case ok && (top == "drop" || top == "done"): // with on_done, which takes the drop-in delete-done.conf
		default:
			t.Errorf("the unit does not let it write to %s", p)
		}
	}
	return len(trace.Written)
}

// A program of the administrator gets each event, and so does a file, which is rotated.
func TestProgramAndFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "siemd.yaml")
	program := filepath.Join(dir, "program")
	writeFile(t, program, "#!/bin/sh\nsed -un 's/^{\"seq\":\\([0-9]*\\),.*/{\"seq\":\\1,\"ok\":true}/p'\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs:
  apps: {type: tail, paths: [%[1]s/in.jsonl]}
outputs:
  program: {type: exec, command: [%[2]s], start: oldest}
  file: {type: file, path: %[1]s/out.jsonl, start: oldest, rotate: {max_size: 4KiB, keep: 3}}
  udp: {type: syslog, transport: udp, endpoint: "%[3]s", start: oldest}
`, dir, program, listener.LocalAddr()))
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, `{"event_id":"p-%d","event_type":"alert","severity":"high","title":"hello"}`+"\n", i)
	}
	writeFile(t, filepath.Join(dir, "in.jsonl"), lines.String())
	d := startDaemon(t, conf, nil)
	eventually(t, 30*time.Second, "all events are sent", func() bool {
		out, _, code := runSiemd(t, "", "status", "--json", "--socket", filepath.Join(dir, "state", "siemd.sock"))
		return code == 0 && strings.Count(out, `"sent":100,`) == 3
	})
	d.stop()
	files, err := filepath.Glob(filepath.Join(dir, "out*"))
	if err != nil || len(files) < 2 {
		t.Errorf("files: %v, %v", files, err)
	}
}
