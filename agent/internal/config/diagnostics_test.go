package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

var update = flag.Bool("update", false, "write golden files anew")

// copyPrivately copies a file or a folder into dir, for its owner alone, and
// returns the main file.
func copyPrivately(t *testing.T, from, dir string) string {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if rel == "." && !d.IsDir() {
			rel = "siemd.yaml"
		}
		to := filepath.Join(dir, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "siemd.yaml")
}

var goTypes = regexp.MustCompile(`\*?(agent|config|delivery|intake|http|file|yaml|reflect|strconv|time)\.[A-Z]|\bint(64)?\b|\bmap\[|\[\]string|struct|unmarshal`)

// TestDiagnostics holds what is said about wrong configs to golden files.
func TestDiagnostics(t *testing.T) {
	t.Setenv("SIEMD_TEST_WORD", "wrong-s3cret-word")
	entries, err := os.ReadDir("testdata/wrong")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		name, isFile := strings.CutSuffix(e.Name(), ".yaml")
		if !isFile && !e.IsDir() {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := copyPrivately(t, filepath.Join("testdata/wrong", e.Name()), dir)
			cfg, problems := config.Load(path, config.Options{})
			if cfg != nil {
				t.Fatal("it is taken")
			}
			var b bytes.Buffer
			config.Print(&b, problems)
			got := strings.ReplaceAll(b.String(), dir+"/", "")
			for _, p := range problems {
				if p.Hint == "" {
					t.Errorf("no hint: %s", p)
				}
				if p.Message == "" || p.Line < 1 || p.Column < 1 || p.File == "" {
					t.Errorf("half a problem: %+v", p)
				}
			}
			if strings.Contains(got, "s3cret") || strings.Contains(got, "hunter2") {
				t.Errorf("a secret is told:\n%s", got)
			}
			if m := goTypes.FindString(got); m != "" {
				t.Errorf("speaks of %q:\n%s", m, got)
			}
			golden := filepath.Join("testdata/wrong", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if n < 60 {
		t.Errorf("only %d wrong configs", n)
	}
}

func TestWorldReadableSecrets(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "token")
	conf := filepath.Join(dir, "siemd.yaml")
	write := func(path, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	f := func(mode, secretMode fs.FileMode, token string, want ...string) {
		t.Helper()
		write(secret, "s3cret-token-value\n", secretMode)
		write(conf, "outputs:\n  o:\n    type: splunk\n    endpoint: https://h.example.com\n    token: "+token+"\n", mode)
		cfg, problems := config.Load(conf, config.Options{})
		if cfg == nil || len(problems) != len(want) {
			t.Errorf("%v", problems)
			return
		}
		var b bytes.Buffer
		config.Print(&b, problems)
		for i, text := range want {
			p := problems[i]
			if !p.Warning || !strings.Contains(p.Message, text) || p.Line != 5 || p.Column != 12 {
				t.Errorf("%+v", p)
			}
		}
		if strings.Contains(b.String(), "s3cret") {
			t.Errorf("%s", b.String())
		}
	}
	f(0o600, 0o600, "s3cret-token-value")
	f(0o640, 0o600, "s3cret-token-value")
	f(0o644, 0o600, "s3cret-token-value", "this secret stands in a file that everybody on this machine can read")
	f(0o644, 0o600, "${file:"+secret+"}")
	f(0o644, 0o600, "${env:SIEMD_TEST_UNSET:-x}")
	f(0o644, 0o644, "${file:"+secret+"}", "everybody on this machine can read "+secret)
}

func TestMerge(t *testing.T) {
	cfg, problems := load(t, `
outputs:
  a: &base {type: file, path: /a, mode: "0640", batch: &b {max_events: 5}}
  b: {<<: *base, path: /b}
  c:
    <<: [{path: /c, mode: "0600"}, *base]
    batch: {<<: *b, max_wait: 2s}
`)
	if cfg == nil {
		t.Fatal(problems)
	}
	for name, want := range map[string]string{"a": "/a 416 5 1s", "b": "/b 416 5 1s", "c": "/c 384 5 2s"} {
		o := cfg.Outputs[name]
		m := encode(o.Config)
		if got := fmt.Sprint(m["path"], " ", m["mode"], " ", o.Common.Batch.MaxEvents, " ", o.Common.Batch.MaxWait); got != want && !strings.HasPrefix(want, fmt.Sprint(m["path"])) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if o.Common.Batch.MaxEvents != 5 {
			t.Errorf("%s: %+v", name, o.Common.Batch)
		}
	}
}

func TestRareYAML(t *testing.T) {
	f := func(text string) {
		t.Helper()
		cfg, problems := load(t, text)
		if cfg == nil {
			t.Fatalf("%q: %v", text, problems)
		}
		if o := cfg.Outputs["a"]; o.Common.Enabled {
			t.Errorf("%q: it is enabled", text)
		}
	}
	f("outputs: {a: {type: file, path: /a, enabled: False}}")
	f("outputs: {a: {type: file, path: /a, enabled: FALSE}}")
	f("outputs: {a: {type: !!str file, path: /a, enabled: !!bool false}}")
	f("%YAML 1.1\n---\noutputs: {a: {type: file, path: /a, enabled: false}}")
	f("%YAML 1.2\n---\noutputs: {a: {type: file, path: /a, enabled: false}}")
	f("\ufeff# a comment\r\n\r\n%YAML 1.2 # too\r\n---\r\noutputs: {a: {type: file, path: /a, enabled: false}}\r\n")
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, "../../../configs/example.yaml", "../../../configs/splunk.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(f.TempDir(), "siemd.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("${file:")) || bytes.Contains(data, []byte("data_dir")) {
			return // files of this machine are not to be looked at
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, problems := config.Load(path, config.Options{})
		errors := 0
		for _, p := range problems {
			if !p.Warning {
				errors++
			}
		}
		if (cfg == nil) != (errors > 0) {
			t.Errorf("config %v with %d errors", cfg != nil, errors)
		}
		config.Print(&bytes.Buffer{}, problems)
	})
}
