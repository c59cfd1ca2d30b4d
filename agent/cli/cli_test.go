package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	var out, diag bytes.Buffer
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
