package packaging_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every command is in siemd(8), with its subcommands; nothing is in it that is not there.
func TestManualNamesEveryCommand(t *testing.T) {
	t.Parallel()
	page := read(t, "packaging/man/siemd.8")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\.It Cm ([\w-]+)(?: (?:Cm|Oo|Op|Ar) .*)?$`).FindAllStringSubmatch(page, -1) {
		documented[m[1]] = true
	}
	help := helpTexts{t: t}
	for _, name := range commands(help.of()) {
		if !documented[name] {
			t.Errorf("siemd.8 says nothing about siemd %s", name)
		}
		delete(documented, name)
		for _, sub := range commands(help.of(name)) {
			if sub != "powershell" && !regexp.MustCompile(`(?m)^\.It Cm `+name+`\b.*\b`+sub+`\b`).MatchString(page) {
				t.Errorf("siemd.8 says nothing about siemd %s %s", name, sub)
			}
		}
	}
	for name := range documented {
		t.Errorf("siemd.8 has siemd %s, which there is not", name)
	}
}

// Every key of the top level and every kind of input and output is in siemd.yaml(5).
func TestManualNamesEveryKey(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties map[string]struct {
			AdditionalProperties json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(siemd(t, "schema").out), &schema); err != nil {
		t.Fatal(err)
	}
	page := read(t, "packaging/man/siemd.yaml.5")
	if len(schema.Properties) < 8 {
		t.Fatalf("the schema has only %d keys", len(schema.Properties))
	}
	for key := range schema.Properties {
		if !regexp.MustCompile(`(?m)^\.It Ic .*\b` + key + `\b`).MatchString(page) {
			t.Errorf("siemd.yaml.5 says nothing about %s", key)
		}
	}
	for _, side := range []string{"inputs", "outputs"} {
		kinds := regexp.MustCompile(`"const": ?"(\w+)"`).FindAllStringSubmatch(string(schema.Properties[side].AdditionalProperties), -1)
		for _, k := range kinds {
			if !regexp.MustCompile(`(?m)^\.It Cm .*\b` + k[1] + `\b`).MatchString(page) {
				t.Errorf("siemd.yaml.5 says nothing about %s of type %s", side, k[1])
			}
		}
		if len(kinds) < 3 {
			t.Errorf("%s: only %d kinds in the schema", side, len(kinds))
		}
	}
}

// mandoc has nothing to say but that the other page is not installed.
func TestManualIsClean(t *testing.T) {
	t.Parallel()
	mandoc := tool(t, "mandoc")
	pages, err := filepath.Glob("man/siemd*")
	if err != nil || len(pages) != 2 {
		t.Fatalf("pages: %v, %v", pages, err)
	}
	for line := range strings.Lines(finish(t, exec.Command(mandoc, append([]string{"-Tlint"}, pages...)...)).out) {
		if !strings.Contains(line, "referenced manual not found") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
