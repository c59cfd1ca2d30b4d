package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// Options say how to load.
type Options struct {
	NoSecrets bool // put stand-ins where values from elsewhere would go
}

const maxFile = 4 << 20

// Load reads path, the conf.d/*.yaml beside it and the connections in data_dir
// that were made through the API. It returns the config and
// warnings, or all problems, at least one of which is an error. It has no side effects.
func Load(path string, opt Options) (*Config, []agent.Problem) {
	l := loader{opt: opt, cfg: &Config{Settings: Default(), Inputs: map[string]*Input{}, Outputs: map[string]*Output{}}, sum: sha256.New()}
	l.file(path)
	more, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "conf.d", "*.yaml"))
	slices.Sort(more)
	for _, p := range more {
		l.file(p)
	}
	if l.errors == 0 {
		l.cross()
		l.connections()
	}
	if l.errors > 0 {
		return nil, l.problems
	}
	l.cfg.filesHash = hex.EncodeToString(l.sum.Sum(nil))[:16]
	l.cfg.rehash()
	return l.cfg, l.problems
}

type loader struct {
	opt      Options
	cfg      *Config
	problems []agent.Problem
	errors   int
	topLevel map[string]string // top-level key -> where it was first given
	sum      hash.Hash
}

func (l *loader) report(ps *agent.Problems) {
	ps.Sort()
	l.errors += ps.Errors()
	l.problems = append(l.problems, ps.List...)
}

func (l *loader) file(path string) {
	ps := &agent.Problems{File: path, Private: map[*yaml.Node]bool{}, Lenient: l.opt.NoSecrets}
	defer func() { l.report(ps) }()
	root := l.parse(ps, path)
	if root == nil {
		return
	}
	l.cfg.Files = append(l.cfg.Files, path)
	s := substituter{ps: ps, resolve: !l.opt.NoSecrets, seen: map[*yaml.Node]bool{}}
	if !s.walk(root, 0) {
		return
	}
	l.repeated(ps, root)
	doc := document{Settings: l.cfg.Settings}
	if doc.API.ListenIsDefault {
		doc.API.Listen, doc.API.ListenIsDefault = nil, false // a further file may say it
	}
	agent.Decode(ps, root, &doc)
	l.cfg.Settings = doc.Settings
	for _, name := range sortedKeys(doc.Inputs) {
		n := doc.Inputs[name]
		l.input(ps, name, keyNode(root, "inputs", name), &n)
	}
	for _, name := range sortedKeys(doc.Outputs) {
		n := doc.Outputs[name]
		l.output(ps, name, keyNode(root, "outputs", name), &n)
	}
	hashNode(l.sum, root)
}

// parse gives the root mapping, or nil after reporting why there is none.
func (l *loader) parse(ps *agent.Problems, path string) *yaml.Node {
	fail := func(line, column int, hint, format string, args ...any) *yaml.Node {
		ps.Add(&yaml.Node{Line: line, Column: column}, hint, format, args...)
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(1, 1, "", "%v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return fail(1, 1, "", "%v", err)
	case len(data) > maxFile:
		return fail(1, 1, "split it with conf.d/", "the file is larger than %d MiB", maxFile>>20)
	}
	return l.parseData(ps, data)
}

// parseData is parse for a file that has been read.
func (l *loader) parseData(ps *agent.Problems, data []byte) *yaml.Node {
	fail := func(line, column int, hint, format string, args ...any) *yaml.Node {
		ps.Add(&yaml.Node{Line: line, Column: column}, hint, format, args...)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	case err != nil:
		line, msg := syntaxError(err)
		return fail(line, 1, "", "%s", msg)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err != io.EOF {
		return fail(max(second.Line, 1), 1, "use conf.d/ for further files", "a second YAML document follows; only one is read")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	}
	return root
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError takes the line out of the parser's sentence.
func syntaxError(err error) (line int, msg string) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return 1, text
	}
	line, _ = strconv.Atoi(m[1])
	return max(line, 1), "not valid YAML: " + m[2]
}

// repeated reports settings that an earlier file has given already.
func (l *loader) repeated(ps *agent.Problems, root *yaml.Node) {
	if l.topLevel == nil {
		l.topLevel = map[string]string{}
	}
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key := root.Content[i]
		if key.Value == "inputs" || key.Value == "outputs" {
			continue
		}
		if first, ok := l.topLevel[key.Value]; ok && !strings.HasPrefix(first, ps.File+":") {
			ps.Add(key, "keep one of them", "%q is given already at %s", key.Value, first)
			continue
		}
		l.topLevel[key.Value] = fmt.Sprintf("%s:%d", ps.File, key.Line)
	}
}

var componentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// kindOf takes the type out of a component's node and finds its spec.
func (l *loader) kindOf(ps *agent.Problems, name string, key, n *yaml.Node, kinds []string, find func(string) (*agent.Spec, bool)) *agent.Spec {
	if !componentName.MatchString(name) {
		ps.Add(key, "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit", "%q is no name for a component", name)
		return nil
	}
	if n.Kind != yaml.MappingNode {
		ps.Add(key, "at least type: "+strings.Join(kinds, "|"), "%q has no keys", name)
		return nil
	}
	t := agent.Find(n, "type")
	if t == n || t.Value == "" {
		ps.Add(key, "type: one of "+strings.Join(kinds, ", "), "%q has no type", name)
		return nil
	}
	spec, ok := find(t.Value)
	if !ok {
		hint := "one of " + strings.Join(kinds, ", ")
		if near := agent.Nearest(t.Value, kinds); near != "" {
			hint = fmt.Sprintf("did you mean %q? It is %s", near, hint)
		}
		ps.Add(t, hint, "%q is no type of component here", t.Value)
		return nil
	}
	return spec
}

// kindKey lets the decoder accept the key that kindOf has read.
type kindKey struct {
	Type string `yaml:"type" doc:"which kind of component this is"`
}

type inputKeys struct {
	kindKey       `yaml:",inline"`
	intake.Common `yaml:",inline"`
}

type outputKeys struct {
	kindKey         `yaml:",inline"`
	delivery.Config `yaml:",inline"`
}

// Validate is asked of the common keys too.
func (k *outputKeys) Validate() error { return k.Config.Validate() }

func (l *loader) input(ps *agent.Problems, name string, key, n *yaml.Node) {
	if first := l.cfg.Inputs[name]; first != nil {
		ps.Add(key, "rename one of them", "input %q is defined already at %s:%d", name, first.File, first.Line)
		return
	}
	spec := l.kindOf(ps, name, key, n, agent.InputKinds(), agent.InputKind)
	if spec == nil {
		return
	}
	var keys inputKeys
	in := &Input{Name: name, Kind: spec.Kind, Spec: spec, File: ps.File, Line: key.Line, Hash: hashOf(n)}
	in.Config = spec.Decode(ps, n, &keys)
	in.Common = keys.Common
	l.cfg.Inputs[name] = in
}

func (l *loader) output(ps *agent.Problems, name string, key, n *yaml.Node) {
	if first := l.cfg.Outputs[name]; first != nil {
		ps.Add(key, "rename one of them", "output %q is defined already at %s:%d", name, first.File, first.Line)
		return
	}
	spec := l.kindOf(ps, name, key, n, agent.OutputKinds(), agent.OutputKind)
	if spec == nil {
		return
	}
	keys := outputKeys{Config: delivery.DefaultConfig()}
	out := &Output{Name: name, Kind: spec.Kind, Spec: spec, File: ps.File, Line: key.Line, Hash: hashOf(n)}
	out.Config = spec.Decode(ps, n, &keys)
	out.Common = keys.Config
	l.cfg.Outputs[name] = out
}

// keyNode is the key of a component, for messages that mean it as a whole.
func keyNode(root *yaml.Node, section, name string) *yaml.Node {
	n := agent.Find(root, section)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i]
		}
	}
	return n
}

func hashOf(n *yaml.Node) string {
	h := sha256.New()
	hashNode(h, n)
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// hashNode feeds h what n means: comments, places and styles do not count.
func hashNode(h hash.Hash, n *yaml.Node) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	fmt.Fprintf(h, "%d %q %d\n", n.Kind, n.Value, len(n.Content))
	for _, c := range n.Content {
		hashNode(h, c)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// ValidName reports whether name can be that of a component.
func ValidName(name string) bool { return componentName.MatchString(name) }
