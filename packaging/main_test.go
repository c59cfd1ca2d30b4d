package packaging_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/cli"

	_ "github.com/adrian207/siemd/inputs/http"
	_ "github.com/adrian207/siemd/inputs/stdin"
	_ "github.com/adrian207/siemd/inputs/tail"
	_ "github.com/adrian207/siemd/outputs/elastic"
	_ "github.com/adrian207/siemd/outputs/exec"
	_ "github.com/adrian207/siemd/outputs/file"
	_ "github.com/adrian207/siemd/outputs/http"
	_ "github.com/adrian207/siemd/outputs/splunk"
	_ "github.com/adrian207/siemd/outputs/syslog"
)

// The test's own binary is siemd as well, if asked: there is no second one to build.
const beSiemd = "SIEMD_TEST_BE_SIEMD"

func TestMain(m *testing.M) {
	if os.Getenv(beSiemd) != "" {
		os.Exit(cli.Main(os.Args[1:]))
	}
	code := m.Run()
	for _, dir := range afterAll {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// afterAll are folders that several tests use; they go at the end.
var afterAll []string

// result is what a command left behind.
type result struct {
	out, err string
	code     int
}

// command makes siemd with args, which the caller starts.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...) // not with the test's context, which ends before its cleanups
	cmd.Env = append(os.Environ(), beSiemd+"=1", "GOCOVERDIR="+os.TempDir())
	return cmd
}

// siemd runs a command to its end.
func siemd(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, command(t, args...))
}

// finish runs cmd to its end.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v", cmd, err)
	}
	return result{out: out.String(), err: errs.String(), code: cmd.ProcessState.ExitCode()}
}

// tool finds a program of the system, or skips the test loudly; where CI is set, it has to be there.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("*** SKIPPED: %s is not installed ***", name)
	}
	return path
}

// read gives the text of a file of the repository, by its path from the root.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// write makes a file with text in it, and its folder.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// agent is a siemd that runs until the test ends.
type agent struct {
	cmd  *exec.Cmd
	dir  string // its data_dir
	http *http.Client
	log  *bytes.Buffer // read it after the end
}

// startAgent runs an agent with that config, in which DIR is a folder of its own,
// and waits until it answers on its socket.
func startAgent(t *testing.T, config string, prepare func(*exec.Cmd)) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "siemd") // short: it will hold a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "siemd.yaml")
	write(t, path, strings.ReplaceAll(config, "DIR", dir))
	a := &agent{cmd: command(t, "run", "-c", path), dir: filepath.Join(dir, "data"), log: &bytes.Buffer{}}
	a.cmd.Stderr = a.log
	if prepare != nil {
		prepare(a.cmd)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.stop(t) })
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(a.dir, "siemd.sock"))
	}
	a.http = &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	waitFor(t, "the agent answers", func() bool {
		answer, err := a.http.Get("http://siemd/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return a
}

func (a *agent) get(t *testing.T, path string) string {
	t.Helper()
	answer, err := a.http.Get("http://siemd" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", path, answer.Status, err, body)
	}
	return string(body)
}

func (a *agent) stop(t *testing.T) {
	t.Helper()
	if a.cmd.ProcessState != nil {
		return
	}
	if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the agent ended with %v\n%s", err, a.log)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
