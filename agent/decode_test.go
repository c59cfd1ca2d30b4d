package agent

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type innerConfig struct {
	Size  Bytes `yaml:"size"`
	Count int   `yaml:"count"`
}

type decodeConfig struct {
	innerConfig `yaml:",inline"`
	Name        string            `yaml:"name" required:"true" example:"x"`
	Mode        string            `yaml:"mode" oneof:"fast|safe"`
	On          bool              `yaml:"on"`
	Ratio       float64           `yaml:"ratio"`
	List        []string          `yaml:"list"`
	Inner       innerConfig       `yaml:"inner"`
	Pointer     *innerConfig      `yaml:"pointer"`
	Map         map[string]string `yaml:"map"`
	Key         Secret            `yaml:"key"`
	Node        yaml.Node         `yaml:"node"`
	Instead     string            `yaml:"instead" replaces:"name"`
}

func (c *decodeConfig) Validate() error {
	if c.Count > 10 {
		return errors.Join(&KeyError{Key: "count", Message: "count is too large", Hint: "10"}, &KeyError{Key: "inner.count", Message: "so is this"})
	}
	return nil
}

func decodeText(t *testing.T, text string, targets ...any) *Problems {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	ps := &Problems{File: "f"}
	Decode(ps, n.Content[0], targets...)
	ps.Sort()
	return ps
}

func TestDecode(t *testing.T) {
	c := decodeConfig{Mode: "safe", innerConfig: innerConfig{Count: 3}, Map: map[string]string{"a": "1"}}
	ps := decodeText(t, `
name: n
size: 5KiB
on: true
ratio: 0.5
list: one
inner: {count: 2}
pointer: {size: 1B}
map: {b: "2"}
key: hunter2
mode:
node: {any: [thing]}
`, &c)
	if len(ps.List) > 0 {
		t.Fatal(ps.List)
	}
	if c.Name != "n" || c.Size != 5<<10 || !c.On || c.Ratio != 0.5 || len(c.List) != 1 || c.Inner.Count != 2 || c.Pointer.Size != 1 ||
		c.Map["a"] != "1" || c.Map["b"] != "2" || c.Key.Reveal() != "hunter2" || c.Mode != "safe" || c.Count != 3 || c.Node.Kind != yaml.MappingNode {
		t.Errorf("decoded %+v", c)
	}
}

func TestDecodeReportsEveryMistake(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for _, p := range decodeText(t, text, &decodeConfig{}).List {
			got = append(got, strings.ReplaceAll(p.String(), "\n  hint", " | hint"))
		}
		if len(got) != len(want) {
			t.Fatalf("%q gave\n%s\nwant %d problems", text, strings.Join(got, "\n"), len(want))
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%q gave\n%s\nwant %s", text, got[i], want[i])
			}
		}
	}
	f("name: n\nnmae: m", `f:2:1: error: unknown key "nmae" | hint: did you mean "name"?`)
	f("on: true", `f:1:1: error: key "name" is missing | hint: for example name: x`)
	f("instead: x")
	f("name: ''", `"name" is empty`)
	f("name: n\nname: m", `f:2:1: error: key "name" is given twice, first on line 1`)
	f("name: n\non: yes\nmode: fats\nsize: 5\ncount: x\nratio: y\nlist: {}\ninner: 3\nmap: [1]",
		`f:2:5: error: "yes" is not a boolean`, `f:3:7: error: "fats" is not a value for this key | hint: did you mean "fast"?`,
		`f:4:7: error: "5" is not a size`, `f:5:8: error: "x" is not a whole number`, `f:6:8: error: "y" is not a number`,
		`f:7:7: error: want a list, not a map`, `f:8:8: error: want a map of keys, not one value`, `f:9:6: error: want a map, not a list`)
	f("name: n\ncount: 11\ninner: {count: 5}", `f:2:8: error: count is too large | hint: 10`, `f:3:16: error: so is this`)
	f("[1]", `want a map of keys, not a list`)
}

func TestPrivateTextIsNotQuoted(t *testing.T) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte("name: n\ncount: hunter2\nmode: hunter2\nsize: hunter2"), &n); err != nil {
		t.Fatal(err)
	}
	ps := &Problems{File: "f", Private: map[*yaml.Node]bool{}}
	root := n.Content[0]
	for i := 3; i < len(root.Content); i += 2 {
		ps.Private[root.Content[i]] = true
	}
	Decode(ps, root, &decodeConfig{})
	if len(ps.List) != 3 {
		t.Fatal(ps.List)
	}
	for _, p := range ps.List {
		if strings.Contains(p.String(), "hunter2") {
			t.Error(p)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"endpoint", "token", "index", "max_events"}
	for word, want := range map[string]string{"endpont": "endpoint", "edpoint": "endpoint", "tokne": "token", "Index": "index", "zzzzzz": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: n\ninner: {count: 1}")
	f.Add("a: &a [*a]")
	f.Add("? {x: y}\n: z")
	f.Fuzz(func(t *testing.T, text string) {
		var n yaml.Node
		if yaml.Unmarshal([]byte(text), &n) != nil || len(n.Content) == 0 {
			return
		}
		ps := &Problems{File: "f"}
		Decode(ps, n.Content[0], &decodeConfig{})
		for _, p := range ps.List {
			_ = p.String()
		}
	})
}
