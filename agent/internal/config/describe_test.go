package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// load loads a config from text.
func load(t *testing.T, text string) (*config.Config, []agent.Problem) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, config.Options{NoSecrets: true})
}

func TestExampleIsValidAndInert(t *testing.T) {
	cfg, problems := load(t, config.Example())
	if cfg == nil || len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	if len(cfg.Inputs)+len(cfg.Outputs) > 0 {
		t.Error("it is not inert")
	}
	// What it says is what counts without it.
	empty, _ := load(t, "{}")
	cfg.API.ListenIsDefault = true // here it is said
	if got, want := fmt.Sprintf("%+v", cfg.Settings), fmt.Sprintf("%+v", empty.Settings); got != want {
		t.Errorf("the defaults that it shows are not those that there are:\n%s\n%s", got, want)
	}
}

// TestExampleComponents takes the "# " away, as people will.
func TestExampleComponents(t *testing.T) {
	text := config.Example()
	for _, side := range []struct {
		name     string
		sections []config.Section
	}{{"inputs", config.Inputs()}, {"outputs", config.Outputs()}} {
		_, after, _ := strings.Cut(text, "\n# "+side.name+":\n")
		for _, s := range side.sections {
			head := "#   my-" + s.Kind + ":\n"
			_, block, ok := strings.Cut(after, head)
			if !ok {
				t.Errorf("%s %s is not there", side.name, s.Kind)
				continue
			}
			var b strings.Builder
			b.WriteString(side.name + ":\n  my-" + s.Kind + ":\n")
			for line := range strings.Lines(block) {
				rest, ok := strings.CutPrefix(line, "#     ")
				if !ok {
					break
				}
				b.WriteString("    " + rest)
			}
			cfg, problems := load(t, b.String())
			if cfg == nil || len(problems) > 0 {
				t.Errorf("%s %s: %v\n%s", side.name, s.Kind, problems, b.String())
				continue
			}
			// Every default that it shows must be one: only what must be given may differ.
			var got, want any
			if side.name == "inputs" {
				got, want = cfg.Inputs["my-"+s.Kind].Config, cfg.Inputs["my-"+s.Kind].Spec.Config()
			} else {
				got, want = cfg.Outputs["my-"+s.Kind].Config, cfg.Outputs["my-"+s.Kind].Spec.Config()
			}
			keep := map[string]bool{}
			for _, k := range s.Keys {
				keep[k.Name] = k.Required
			}
			if d := differing(got, want, keep); d != "" {
				t.Errorf("%s %s: %s", side.name, s.Kind, d)
			}
		}
	}
}

// eachKey calls f for all keys of all kinds, nested ones included, with a path
// that begins with the kind.
func eachKey(f func(path string, k config.Key)) {
	var walk func(path string, keys []config.Key)
	walk = func(path string, keys []config.Key) {
		for _, k := range keys {
			f(path+"."+k.Name, k)
			walk(path+"."+k.Name, k.Keys)
		}
	}
	walk("config", config.TopLevel())
	walk("inputs", config.CommonInput())
	walk("outputs", config.CommonOutput())
	for _, s := range config.Inputs() {
		walk(s.Kind, s.Keys)
	}
	for _, s := range config.Outputs() {
		walk(s.Kind, s.Keys)
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	example, reference := config.Example(), config.Reference()
	n := 0
	eachKey(func(path string, k config.Key) {
		n++
		if len(k.Doc) < 6 || !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: doc %q", path, k.Doc)
		}
		if k.Kind == "" {
			t.Errorf("%s has no kind", path)
		}
		if k.Required && k.Example == "" && k.Kind != "secret" {
			t.Errorf("%s must be given and has no example", path)
		}
		if k.Name != strings.ToLower(k.Name) {
			t.Errorf("%s is not in lower_snake", path)
		}
		if !strings.Contains(example, k.Name+":") {
			t.Errorf("%s is not in the example", path)
		}
		if !strings.Contains(reference, k.Name+"`") {
			t.Errorf("%s is not in the reference", path)
		}
	})
	if n < 150 {
		t.Errorf("only %d keys: are the plugins there?", n)
	}
}

// TestExamplesOfKeys reads each example and each default as a value of its key.
func TestExamplesOfKeys(t *testing.T) {
	f := func(side, kind string, keys []config.Key) {
		var walk func(prefix []string, keys []config.Key)
		walk = func(prefix []string, keys []config.Key) {
			for _, k := range keys {
				if k.Kind == "keys" {
					walk(append(prefix[:len(prefix):len(prefix)], k.Name), k.Keys)
					continue
				}
				for _, value := range []string{k.Example, k.Default} {
					if value == "" || strings.Contains(value, "${") {
						continue
					}
					line := k.Name + ": " + value
					for i := len(prefix) - 1; i >= 0; i-- {
						line = prefix[i] + ": {" + line + "}"
					}
					text := line + "\n"
					if side != "" {
						text = side + ":\n  x:\n    type: " + kind + "\n    " + line + "\n"
					}
					_, problems := load(t, text)
					for _, p := range problems {
						if p.Line == strings.Count(text, "\n") && strings.HasPrefix(p.Message, `"`) && !strings.Contains(p.Message, "no index") {
							t.Errorf("%s %s %v: %s", side, kind, line, p.Message)
						}
						if strings.Contains(p.Message, "want ") || strings.Contains(p.Message, "unknown key") || strings.Contains(p.Message, "not valid YAML") {
							t.Errorf("%s %s %v: %s", side, kind, line, p.Message)
						}
					}
				}
			}
		}
		walk(nil, keys)
	}
	f("", "", config.TopLevel())
	for _, s := range config.Inputs() {
		f("inputs", s.Kind, append(config.CommonInput(), s.Keys...))
	}
	for _, s := range config.Outputs() {
		f("outputs", s.Kind, append(config.CommonOutput(), s.Keys...))
	}
}

func TestHelp(t *testing.T) {
	for _, topic := range config.Topics() {
		text, ok := config.Help(topic)
		if !ok || len(text) < 40 {
			t.Errorf("%s: %q", topic, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > 110 && !strings.Contains(line, "one of") && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "example:") {
				t.Errorf("%s: a line of %d: %s", topic, len(line), line)
			}
		}
	}
	text, _ := config.Help("http")
	if !strings.Contains(text, "keys of an input of type http") || !strings.Contains(text, "keys of an output of type http") {
		t.Error("http is both an input and an output")
	}
	if _, ok := config.Help("nonsense"); ok {
		t.Error("nonsense is no topic")
	}
}

func TestReferenceIsGoodMarkdown(t *testing.T) {
	text := config.Reference()
	anchors := map[string]bool{}
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile("^#+ (.*)\n").FindStringSubmatch(line); m != nil {
			anchors[strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(m[1], "`", "")), " ", "-")] = true
		}
		if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
			t.Errorf("not four cells: %s", line)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if !anchors[m[1]] {
			t.Errorf("a link to %s leads nowhere", m[1])
		}
	}
}

// differing names the first key whose value in got is not that in want; those in skip do not count.
func differing(got, want any, skip map[string]bool) string {
	a, b := encode(got), encode(want)
	for key, v := range b {
		if !skip[key] && fmt.Sprint(a[key]) != fmt.Sprint(v) {
			return fmt.Sprintf("%s is %v and not %v", key, a[key], v)
		}
	}
	return ""
}

func encode(v any) map[string]any {
	data, err := yaml.Marshal(v)
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := yaml.Unmarshal(data, &m); err != nil {
		panic(err)
	}
	return m
}
