package packaging_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
	"github.com/adrian207/siemd/packaging/sandbox"
)

// The agent tells systemd that it is ready, feeds the watchdog if the unit has one, and says when it stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	conn := plugintest.ListenAsSystemd(t)
	if len(sandbox.Setting(read(t, unitFile), "WatchdogSec")) != 1 {
		t.Error("the unit has no watchdog")
	}
	a := startAgent(t, "data_dir: DIR/data\napi: {listen: []}\noutputs: {away: {type: syslog, endpoint: '127.0.0.1:9'}}\n", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+conn.LocalAddr().String(), "WATCHDOG_USEC=2000000")
	})
	expect(t, conn, "STATUS=opening the log")
	expect(t, conn, "READY=1")
	expect(t, conn, "STATUS=1 connection ok; backlog 0 events, log 0B")
	expect(t, conn, "WATCHDOG=1")
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, "RELOADING=1")
	expect(t, conn, "READY=1")
	expect(t, conn, "WATCHDOG=1")
	a.stop(t)
	expect(t, conn, "STOPPING=1")
}

// expect reads what systemd would be told until a line of it is want.
func expect(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	buf := make([]byte, 4096)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("systemd was not told %s: %v", want, err)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), want) {
			return
		}
	}
}

// unheard reads what systemd is told for so long, which has nothing of what it should not be told.
func unheard(t *testing.T, conn *net.UnixConn, word string, d time.Duration) {
	t.Helper()
	buf := make([]byte, 4096)
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return // the time is over
		}
		if strings.Contains(string(buf[:n]), word) {
			t.Errorf("systemd was told %q", buf[:n])
		}
	}
}

// killedAgent is the data_dir of an agent that was killed with two events waiting, and a config for it.
func killedAgent(t *testing.T) (data, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "siemd") // short: it will hold a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	unpackRelease(t, "testdata/releases/format-1", dir, "127.0.0.1:9")
	config = filepath.Join(dir, "siemd.yaml")
	write(t, config, strings.NewReplacer("ADDR", "127.0.0.1:9", "PORT", "0", "DIR", dir).Replace(releaseConfig))
	return filepath.Join(dir, "data"), config
}

// runNotifying starts an agent that tells conn what it does. Its log is a file: what it has
// logged before it tells something is there when that is heard.
func runNotifying(t *testing.T, conn *net.UnixConn, config string) (cmd *exec.Cmd, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd = command(t, "run", "-c", config)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+conn.LocalAddr().String(), "WATCHDOG_USEC=2000000")
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the agent said:\n%s", must(os.ReadFile(log)))
		}
	})
	return cmd, log
}

// wantWaiting asks the agent at once, and once: it said that it is ready.
func wantWaiting(t *testing.T, data string, n int) {
	t.Helper()
	r := siemd(t, "status", "--json", "--socket", filepath.Join(data, "siemd.sock"))
	if r.code != 0 || !strings.Contains(r.out, fmt.Sprintf(`"pending":%d,`, n)) {
		t.Errorf("status as soon as it is ready: exit code %d, want %d events waiting\n%s%s", r.code, n, r.out, r.err)
	}
}

// READY is told once the log is open and the events in it are known, however long that takes.
func TestReadyAfterRecovery(t *testing.T) {
	t.Parallel()
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		conn := plugintest.ListenAsSystemd(t)
		data, config := killedAgent(t)
		// A pipe in the place of the state takes as long to read as the test wants.
		state := filepath.Join(data, "state.json")
		saved := must(os.ReadFile(state))
		if err := os.Remove(state); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(state, 0o600); err != nil {
			t.Fatal(err)
		}
		runNotifying(t, conn, config)
		expect(t, conn, "STATUS=opening the log")
		unheard(t, conn, "READY", 500*time.Millisecond)
		pipe, err := os.OpenFile(state, os.O_WRONLY, 0)
		if err == nil {
			_, err = pipe.Write(saved)
			err = errors.Join(err, pipe.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		expect(t, conn, "READY=1")
		wantWaiting(t, data, 2)
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		conn := plugintest.ListenAsSystemd(t)
		data, config := killedAgent(t)
		segments, err := filepath.Glob(filepath.Join(data, "wal", "0*"))
		if err != nil || len(segments) == 0 {
			t.Fatalf("segments: %v, %v", segments, err)
		}
		f, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.Write(bytes.Repeat([]byte("\xf5SWB and no block"), 1<<16))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		_, log := runNotifying(t, conn, config)
		expect(t, conn, "STATUS=opening the log")
		began := time.Now()
		expect(t, conn, "READY=1")
		t.Logf("%s for the recovery", time.Since(began))
		if said := string(must(os.ReadFile(log))); !strings.Contains(said, "cut an unfinished write off the log") {
			t.Errorf("READY before the end of the recovery:\n%s", said)
		}
		wantWaiting(t, data, 2)
	})
}

// An agent whose disk does not come back from a write is not fed, and is once it does.
func TestWatchdogWhenTheDiskHangs(t *testing.T) {
	t.Parallel()
	strace := tool(t, "strace")
	conn := plugintest.ListenAsSystemd(t)
	_, config := killedAgent(t)
	port := strconv.Itoa(plugintest.FreePort(t))
	write(t, config, strings.ReplaceAll(string(must(os.ReadFile(config))), "127.0.0.1:0", "127.0.0.1:"+port))
	cmd, log := runNotifying(t, conn, config)
	expect(t, conn, "READY=1")
	expect(t, conn, "WATCHDOG=1")
	hang := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(cmd.Process.Pid),
		"-e", "trace=fsync,fdatasync,sync_file_range", "-e", "inject=fsync,fdatasync:delay_enter=600s")
	if err := hang.Start(); err != nil {
		t.Fatal(err)
	}
	release := func() {
		_ = hang.Process.Kill() // the calls that it holds go on
		_ = hang.Wait()
	}
	defer release()
	waitFor(t, "strace holds the agent", func() bool {
		status := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)))
		return bytes.Contains(status, fmt.Appendf(nil, "TracerPid:\t%d\n", hang.Process.Pid))
	})
	answered := make(chan error, 1)
	go func() {
		answer, err := http.Post("http://127.0.0.1:"+port+"/v1/events", "application/json", strings.NewReader(`{"event_type":"alert","title":"six"}`))
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	waitFor(t, "the agent sees that it is stuck", func() bool {
		return bytes.Contains(must(os.ReadFile(log)), []byte("no progress, the watchdog is not fed"))
	})
	unheard(t, conn, "nothing", time.Millisecond) // what it was told before
	unheard(t, conn, "WATCHDOG", 2*time.Second)   // systemd's patience
	select {
	case err := <-answered:
		t.Errorf("an event was acknowledged while the disk hangs: %v", err)
	default:
	}
	release()
	expect(t, conn, "WATCHDOG=1")
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
