package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/adrian207/siemd/agent/client"
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

var update = flag.Bool("update", false, "write golden files anew")

// result is what a command did.
type result struct {
	out, err string
	code     int
}

// siemd runs a command in this process.
func siemd(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, diag syncBuffer // a command that takes long says so from another goroutine
	code := run(t.Context(), args, streams{in: strings.NewReader(stdin), out: &out, err: &diag})
	return result{out.String(), diag.String(), code}
}

func (r result) want(t *testing.T, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Errorf("no %q in\nstdout:\n%s\nstderr:\n%s", text, r.out, r.err)
		}
	}
	return r
}

// tempFile writes a file of that name into a directory of its own.
func tempFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if string(want) != got {
		t.Errorf("%s differs; look at it and write it anew with -update\ngot:\n%s", path, got)
	}
}

// fullDevice takes nothing.
type fullDevice struct{}

func (fullDevice) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestResultsAreWrittenOrElse: a program that reads a command's output learns by its exit code that there is none.
func TestResultsAreWrittenOrElse(t *testing.T) {
	good := tempFile(t, "siemd.yaml", "data_dir: "+t.TempDir()+"\ninputs: {s: {type: stdin}}\noutputs: {f: {type: file, path: /tmp/never}}\n")
	wrong := tempFile(t, "siemd.yaml", "nonsense: 1\n")
	for want, commands := range map[int][][]string{
		exitIO: {
			{"check", "-c", good},
			{"check", "-c", good, "--json"},
			{"explain", "-c", good},
			{"version"},
			{"version", "--json"},
			{"schema"},
			{"help"},
			{"help", "tail"},
			{"status", "--help"},
			{"completion", "bash"},
			{"doctor", "-c", good, "--json"},
		},
		exitConfig: {{"check", "-c", wrong}},
		exitUsage:  {{"nonsense"}},
	} {
		for _, args := range commands {
			var diag bytes.Buffer
			code := run(t.Context(), args, streams{in: strings.NewReader(`{"event_type":"alert"}`), out: fullDevice{}, err: &diag})
			if code != want || want == exitIO && !strings.Contains(diag.String(), "no space left") {
				t.Errorf("%v: exit code %d, want %d: %s", args, code, want, diag.String())
			}
		}
	}
}

// TestNoPermissionToAsk tells a socket that may not be used from one without an agent.
func TestNoPermissionToAsk(t *testing.T) {
	f := func(cause error, want int) {
		t.Helper()
		var ee *exitError
		if err := remoteError(fmt.Errorf("%w at /x: %w", client.ErrUnreachable, cause)); !errors.As(err, &ee) || ee.code != want {
			t.Errorf("%v: %v, want exit code %d", cause, err, want)
		}
	}
	f(syscall.EACCES, exitPermission)
	f(syscall.ECONNREFUSED, exitUnreachable)
}
