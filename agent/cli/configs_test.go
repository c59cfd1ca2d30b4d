package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

// TestExampleConfig holds configs/example.yaml to the keys that there are.
func TestExampleConfig(t *testing.T) {
	path := filepath.Join("..", "..", "configs", "example.yaml")
	want := config.Example()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("configs/example.yaml is not what the keys say; write it anew with -update")
	}
	cfg, problems := config.Load(path, config.Options{})
	if cfg == nil {
		t.Fatal(problems)
	}
	if len(cfg.Inputs) > 0 || len(cfg.Outputs) > 0 {
		t.Error("the example is not inert")
	}
	for _, s := range append(config.Inputs(), config.Outputs()...) {
		for _, k := range s.Keys {
			if !strings.Contains(want, k.Name+":") {
				t.Errorf("%s.%s is not in the example", s.Kind, k.Name)
			}
		}
	}
}

// TestSchema holds the shipped schema to the keys that there are.
func TestSchema(t *testing.T) {
	var out strings.Builder
	if code := run(t.Context(), []string{"schema"}, streams{in: strings.NewReader(""), out: &out, err: os.Stderr}); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	path := filepath.Join("..", "..", "packaging", "siemd.schema.json")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != out.String() {
		t.Error("packaging/siemd.schema.json is not what the keys say; write it anew with -update")
	}
}

// TestConfigs loads every config that is shipped.
func TestConfigs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "configs", "*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d configs, %v", len(files), err)
	}
	for _, path := range files {
		if cfg, problems := config.Load(path, config.Options{NoSecrets: true}); cfg == nil {
			t.Errorf("%s: %v", path, problems)
		}
	}
}
