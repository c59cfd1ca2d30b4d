package config

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Redacted are the config files of path, by name, with *** in place of every
// secret and of everything below a key that is not known. A file that is not
// YAML is not shown at all.
func Redacted(path string) map[string]string {
	more, _ := Further(path)
	files := map[string]string{}
	for _, p := range append([]string{path}, more...) {
		files[p] = redacted(p)
	}
	return files
}

func redacted(path string) string {
	l := loader{opt: Options{NoSecrets: true}, cfg: &Config{Settings: Default(), Inputs: map[string]*Input{}, Outputs: map[string]*Output{}}}
	ps := &agent.Problems{File: path, Private: map[*yaml.Node]bool{}}
	root := l.parse(ps, path)
	if root == nil {
		return "# left out: " + ps.List[0].Message + "\n"
	}
	lines := l.lines
	l.decode(ps, root)
	s := newSource(ps, lines)
	var b strings.Builder
	below := 0 // of a text block that is hidden
	for n := 1; n <= len(lines); n++ {
		text, _, _ := s.line(n, 1, 0)
		if below > 0 {
			below--
			text = "***"
		}
		for _, node := range s.hidden[n] {
			if node != nil && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				below = max(below, strings.Count(strings.TrimRight(node.Value, "\n"), "\n")+1)
			}
		}
		b.WriteString(text + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// decode finds out which scalars are secrets; references stay as they stand.
func (l *loader) decode(ps *agent.Problems, root *yaml.Node) {
	var doc document
	agent.Decode(ps, root, &doc)
	for _, name := range sortedKeys(doc.Inputs) {
		n := doc.Inputs[name]
		l.input(ps, name, keyNode(root, "inputs", name), &n)
	}
	for _, name := range sortedKeys(doc.Outputs) {
		n := doc.Outputs[name]
		l.output(ps, name, keyNode(root, "outputs", name), &n)
	}
}
