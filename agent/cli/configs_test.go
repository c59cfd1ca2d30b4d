package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// shipped holds a file of the repository to what makes it.
func shipped(t *testing.T, path, want string) {
	t.Helper()
	path = filepath.Join("..", "..", path)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the descriptions say; write it anew with go test ./agent/cli -update", path)
	}
}

// TestGeneratedFiles holds what is made from the descriptions of keys and metrics to those that there are.
func TestGeneratedFiles(t *testing.T) {
	shipped(t, "configs/example.yaml", config.Example())
	shipped(t, "docs/config.md", config.Reference())
	shipped(t, "docs/metrics.md", supervisor.MetricsReference())
	shipped(t, "packaging/siemd.schema.json", siemd(t, "", "schema").want(t, exitOK).out)
}

// TestConfigs loads every config that is shipped, and explains an event with it.
func TestConfigs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "configs", "*.yaml"))
	if err != nil || len(files) < 11 {
		t.Fatalf("%d configs, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, problems := config.Load(path, config.Options{NoSecrets: true})
			if cfg == nil || len(problems) > 0 {
				t.Fatal(problems)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=../packaging/siemd.schema.json\n") {
				t.Error("editors do not know its schema")
			}
			siemd(t, "", "check", "--no-secrets", path).want(t, exitOK, "is valid")
			r := siemd(t, "", "explain", "--no-secrets", "-c", path, `{"event_id":"e","event_type":"anomaly","severity":"critical","title":"T"}`).want(t, exitOK)
			for name := range cfg.Outputs {
				if !strings.Contains(r.out, "connection "+name+" (") {
					t.Errorf("%s is not explained", name)
				}
			}
			if n := strings.Count(r.out, "): sent, "); n != len(cfg.Outputs) {
				t.Errorf("%d of %d connections take a critical anomaly:\n%s", n, len(cfg.Outputs), r.out)
			}
			for name, in := range cfg.Inputs {
				if _, err := in.Spec.BuildInput(in.Config, offlineEnv(cfg, name)); err != nil && !strings.Contains(err.Error(), "no such file") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// TestExampleRuns starts an agent with the example, but for where it keeps its things.
func TestExampleRuns(t *testing.T) {
	text := strings.Replace(config.Example(), "data_dir: /var/lib/siemd ", "data_dir: {dir}/state ", 1)
	text = strings.Replace(text, "listen: [127.0.0.1:8000]", "listen: []", 1)
	a := startWith(t, text)
	a.siemd("", "status").want(t, exitOK, "intake ok")
	if code := a.stop(); code != exitOK {
		t.Errorf("exit %d", code)
	}
}
