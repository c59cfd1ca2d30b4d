package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/cli"
	"github.com/adrian207/siemd/agent/plugintest"
)

// TestMain lets the test binary be siemd: tests run it again with this variable set.
func TestMain(m *testing.M) {
	if os.Getenv("SIEMD_TEST_MAIN") == "1" {
		os.Exit(cli.Main(os.Args[1:]))
	}
	if os.Getenv("SIEMD_TEST_WRITER") == "1" {
		if err := stormMain(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// siemd is the command, as a child process of the test.
func siemd(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SIEMD_TEST_MAIN=1")
	if dir := os.Getenv(traceEnv); dir != "" && args[0] == "run" {
		traced(cmd, dir)
	}
	return cmd
}

// runSiemd runs a command to its end.
func runSiemd(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := siemd(args...)
	var out, diag bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &diag
	err := cmd.Run()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	}
	return out.String(), diag.String(), cmd.ProcessState.ExitCode()
}

// daemon is a siemd run that a test can end, also the hard way.
type daemon struct {
	t    testing.TB
	cmd  *exec.Cmd
	diag *syncBuffer
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startDaemon starts siemd and waits until it is ready on its socket.
func startDaemon(t testing.TB, conf string, stdin io.Reader) *daemon {
	t.Helper()
	return startDaemonAs(t, siemd("run", "-c", conf), conf, stdin)
}

func startDaemonAs(t testing.TB, cmd *exec.Cmd, conf string, stdin io.Reader) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, diag: &syncBuffer{}}
	d.cmd.Stdin, d.cmd.Stderr, d.cmd.Stdout = stdin, d.diag, d.diag
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			t.Logf("siemd said:\n%s", d.diag.String())
		}
	})
	client := socketClient(filepath.Join(filepath.Dir(conf), "state", "siemd.sock"))
	eventually(t, 20*time.Second, "siemd is ready", func() bool {
		resp, err := client.Get("http://siemd/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return d
}

func (d *daemon) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	_ = d.cmd.Wait() // "signal: killed" is the point
}

func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Fatalf("siemd ended with %v:\n%s", err, d.diag.String())
	}
}

func socketClient(path string) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

// eventually waits for a condition, looking often.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func startReceiver(t testing.TB, kind string, o plugintest.Options) *plugintest.Receiver {
	t.Helper()
	return plugintest.Started(t, kind, o)
}

func postEvents(url string, body []byte) error {
	resp, err := http.Post(url, "application/x-ndjson", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return nil
}
