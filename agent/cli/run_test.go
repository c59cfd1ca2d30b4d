package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

const twoFiles = "data_dir: {dir}/state\napi: {listen: []}\noutputs:\n  one: {type: file, path: '{dir}/one'}\n  two: {type: file, path: '{dir}/two', enabled: false}\n"

func TestCheckDiff(t *testing.T) {
	a := startSiemd(t, "outputs:\n  one: {type: file, path: '{dir}/one'}\n")
	a.siemd("", "check", "--diff").want(t, exitOK, "= output one", "the agent runs this config", "is valid")
	a.write(twoFiles)
	a.siemd("", "check", "--diff").want(t, exitFound, "= output one", "shutdown_timeout changes in place")
	if got := a.siemd("", "check", "--diff"); strings.Contains(got.out, "two") {
		t.Errorf("a disabled output is no change: %s", got.out)
	}
	a.write(strings.Replace(twoFiles, "enabled: false", "max_age: 1d", 1) + "inputs: {web: {type: http, listen: '127.0.0.1:0'}}\nwal: {sync: interval}\n")
	got := a.siemd("", "check", "--diff", "--json").want(t, exitFound)
	var c struct {
		OK, Changed bool
		Plan        struct {
			Inputs, Outputs []struct{ Name, Action string }
			Restart         []string `json:"restart_needed"`
		}
	}
	if err := json.Unmarshal([]byte(got.out), &c); err != nil || c.OK || !c.Changed || len(c.Plan.Inputs) != 1 || c.Plan.Outputs[1].Action != "start" || len(c.Plan.Restart) != 1 {
		t.Errorf("%v %s", err, got.out)
	}
	other := filepath.Join(t.TempDir(), "new.yaml")
	if err := os.WriteFile(other, []byte("outputs:\n  one: {type: file, path: /elsewhere}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(filepath.Dir(a.conf), "state", "siemd.sock")
	siemd(t, "", "check", other, "--diff", "--socket", socket).want(t, exitFound, "~ output one", "! data_dir takes effect")
	a.siemd("", "check", "--diff", "--no-secrets").want(t, exitUsage, "--no-secrets")
	a.stop()
	a.siemd("", "check", "--diff").want(t, exitUnreachable, "no agent answers")
}

func TestHangupReloads(t *testing.T) {
	a := startSiemd(t, "outputs:\n  one: {type: file, path: '{dir}/one'}\n")
	hangup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	a.write(strings.Replace(twoFiles, "one:", "three:", 1) + "log: {level: debug}\n")
	hangup()
	eventually(t, "the new config runs", func() bool { return strings.Contains(a.siemd("", "status").out, "three") })
	a.siemd("", "audit", "--actor", "SIGHUP").want(t, exitOK, "ok       reload by SIGHUP")
	a.siemd("", "check", "--diff").want(t, exitOK)
	a.write("outputs: {x: {type: fiel}}\n")
	hangup()
	eventually(t, "the mistake is logged", func() bool {
		return strings.Contains(a.log.String(), "reload refused, the old config runs on") && strings.Contains(a.log.String(), `did you mean \"file\"?`)
	})
	socket := filepath.Join(filepath.Dir(a.conf), "state", "siemd.sock")
	siemd(t, "", "status", "--socket", socket).want(t, exitOK, "three")
}

func TestFallback(t *testing.T) {
	first := startSiemd(t, "outputs:\n  one: {type: file, path: '{dir}/one'}\n")
	if code := first.stop(); code != exitOK {
		t.Fatal(code)
	}
	good, err := os.ReadFile(first.conf)
	if err != nil {
		t.Fatal(err)
	}
	first.write(string(good) + "  two: {type: fiel}\n")
	first.siemd("", "run").want(t, exitConfig, `did you mean "file"`)
	first.siemd("", "run", "--fallback", "anything").want(t, exitUsage, "last-good")

	// The same directory again, with the broken config.
	a := &running{t: t, conf: first.conf, log: &syncBuffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"run", "-c", a.conf, "--fallback", "last-good"}, streams{in: strings.NewReader(""), out: a.log, err: a.log})
	}()
	socket := filepath.Join(filepath.Dir(a.conf), "state", "siemd.sock")
	status := func() result { return siemd(t, "", "status", "--socket", socket) }
	eventually(t, "the last good one runs", func() bool { return strings.Contains(status().out, "one") })
	if !strings.Contains(a.log.String(), "CANNOT BE USED") || !strings.Contains(a.log.String(), `did you mean "file"`) {
		t.Errorf("%s", a.log)
	}
	// It says so as long as that is so.
	for _, name := range []string{"siemd.yaml", "."} {
		info, err := os.Stat(filepath.Join(filepath.Dir(a.conf), "state", lastGoodName, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if s := status(); !strings.Contains(s.out, "CONFIG NOT APPLIED, an older one runs") {
		t.Errorf("status: %s", s.out)
	}
	siemd(t, "", "reload", "--socket", socket).want(t, exitConfig, `did you mean "file"`, "^^^^", "the old one runs on")
	a.write(string(good) + "  two: {type: file, path: '{dir}/two'}\n")
	eventually(t, "the mended one runs", func() bool { return strings.Contains(status().out, "two") })
	eventually(t, "and that is said", func() bool { return !strings.Contains(status().out, "NOT APPLIED") })
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d", code)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(a.conf), "state", lastGoodName, "siemd.yaml"))
	if err != nil || !strings.Contains(string(data), "two:") {
		t.Errorf("%v %s", err, data)
	}
	siemd(t, "", "run", "--fallback", "last-good", "-c", tempFile(t, "siemd.yaml", "data_dir: "+t.TempDir()+"\nnonsense: 1\n")).want(t, exitConfig, "no last good config")
	siemd(t, "", "run", "--fallback", "last-good", "-c", tempFile(t, "siemd.yaml", "data_dir: ${env:SIEMD_TEST_UNSET}\n")).want(t, exitConfig, "cannot be found out")
}

func TestRunExitCodes(t *testing.T) {
	a := startSiemd(t, "outputs:\n  one: {type: file, path: '{dir}/one'}\n")
	a.siemd("", "run").want(t, exitCannotMake, "data_dir")
	siemd(t, "", "run", "-c", tempFile(t, "bad.yaml", "outputs: [")).want(t, exitConfig, "not valid YAML")
	siemd(t, "", "run", "-c", "/nonexistent/siemd.yaml").want(t, exitConfig, "no such file")
	siemd(t, "", "run", "extra").want(t, exitUsage)
	file := tempFile(t, "file", "")
	siemd(t, "", "run", "-c", tempFile(t, "siemd.yaml", "data_dir: "+file+"/state\n")).want(t, exitCannotMake)
}

func TestEditReloads(t *testing.T) {
	a := startWith(t, strings.Replace(twoFiles, "listen: []", "listen: []", 1), "--watch=true")
	a.write(strings.Replace(twoFiles, "two:", "three:", 1) + "shutdown_timeout: 3s\n")
	eventually(t, "the edit is applied", func() bool {
		return strings.Contains(a.siemd("", "audit", "--actor", "edit").out, "ok       reload by edit")
	})
	// The audit log knows of it before it is done.
	eventually(t, "the edit runs", func() bool { return a.siemd("", "check", "--diff").code == exitOK })
	a.write(twoFiles + "nonsense: 1\n")
	eventually(t, "the mistake is logged", func() bool { return strings.Contains(a.log.String(), "reload refused, the old config runs on") })
	a.write(twoFiles)
	eventually(t, "the mended config runs", func() bool { return a.siemd("", "check", "--diff").code == exitOK })
}

// TestWhyItDidNotStart: what stands in the way of a start has its exit code.
func TestWhyItDidNotStart(t *testing.T) {
	for cause, want := range map[error]int{
		&fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EROFS}:   exitCannotMake,
		&fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.ENOTDIR}: exitCannotMake,
		&fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}:  exitPermission,
		errors.New("something else"):                                 exitFailure,
	} {
		var ee *exitError
		if err := startError(&config.Config{}, cause); !errors.As(err, &ee) || ee.code != want {
			t.Errorf("%v: %v, want exit code %d", cause, err, want)
		}
	}
}
