package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Options say how to load.
type Options struct {
	NoSecrets bool // put stand-ins where values from elsewhere would go
}

// Load reads path, the conf.d/*.yaml beside it and the connections in data_dir
// that were made through the API. It returns the config and
// warnings, or all problems, at least one of which is an error. It has no side effects.
func Load(path string, opt Options) (*Config, []agent.Problem) {
	l := load(path, opt)
	if l.errors > 0 {
		return nil, l.problems
	}
	return l.cfg, l.problems
}

// load is Load that gives what it has, also after errors.
func load(path string, opt Options) *loader {
	l := &loader{opt: opt, cfg: &Config{Settings: Default(), Inputs: map[string]*Input{}, Outputs: map[string]*Output{}, texts: map[string][]byte{}}, sum: sha256.New()}
	l.main = path
	l.file(path)
	more, err := Further(path)
	if err != nil {
		ps := &agent.Problems{File: confDir(path)}
		ps.Add(&yaml.Node{Line: 1, Column: 1}, "the user that siemd runs as must be able to list it", "%s", reason(err))
		l.report(ps)
	}
	for _, p := range more {
		l.file(p)
	}
	l.cross()
	if l.errors == 0 {
		l.connections()
	}
	l.cfg.filesHash = hex.EncodeToString(l.sum.Sum(nil))[:16]
	l.cfg.rehash()
	return l
}

type loader struct {
	opt      Options
	cfg      *Config
	main     string // the path that Load was given
	problems []agent.Problem
	errors   int
	topLevel map[string]string // top-level key -> where it was first given
	sum      hash.Hash
	lines    []string // of the file that is being read
	places   map[string]place
	refs     map[string]string // of that file: see references
}

// place is where a component without mistakes stands, for messages after all files were read.
type place struct {
	ps        *agent.Problems // a copy without problems
	lines     []string
	key, node *yaml.Node
}

func (l *loader) place(ps *agent.Problems, what, name string, key, n *yaml.Node) {
	if l.places == nil {
		l.places = map[string]place{}
	}
	c := *ps
	c.List = nil
	l.places[what+" "+name] = place{ps: &c, lines: l.lines, key: key, node: n}
}

// late reports what is found after all files were read, at key of a component, or at the whole for "".
func (l *loader) late(component, key string, add func(ps *agent.Problems, n *yaml.Node)) {
	p := l.places[component]
	if p.ps == nil {
		return
	}
	ps := *p.ps
	n := p.key
	if key != "" {
		if found := agent.Find(p.node, key); found != p.node {
			n = found
		}
	}
	add(&ps, n)
	l.lines = p.lines
	l.report(&ps)
}

func (l *loader) report(ps *agent.Problems) {
	ps.Sort()
	// What an alias repeats is told once.
	ps.List = slices.CompactFunc(ps.List, func(a, b agent.Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
	newSource(ps, l.lines).show()
	l.lines = nil
	l.errors += ps.Errors()
	l.problems = append(l.problems, ps.List...)
}

func (l *loader) file(path string) {
	ps := &agent.Problems{File: path, Private: map[*yaml.Node]bool{}, StandIns: map[*yaml.Node]bool{}}
	defer func() { l.report(ps) }()
	root := l.parse(ps, path)
	if root == nil {
		return
	}
	l.cfg.Files = append(l.cfg.Files, path)
	l.cfg.texts[path] = []byte(strings.Join(l.lines, "\n"))
	merge(ps, root)
	l.refs = map[string]string{}
	references(root, "", l.refs)
	s := substituter{ps: ps, resolve: !l.opt.NoSecrets, seen: map[*yaml.Node]bool{}}
	s.walk(root)
	l.repeated(ps, root)
	doc := document{Settings: l.cfg.Settings}
	if doc.API.ListenIsDefault {
		doc.API.Listen, doc.API.ListenIsDefault = nil, false // a further file may say it
	}
	agent.Decode(ps, root, &doc)
	l.cfg.Settings = doc.Settings
	l.files(ps, root, &doc.Settings, l.sum)
	l.cfg.private = append(l.cfg.private, privateTexts(ps)...)
	if l.cfg.refs == nil {
		l.cfg.refs = map[string]string{}
	}
	maps.Copy(l.cfg.refs, l.refs)
	for _, name := range sortedKeys(doc.Inputs) {
		n := doc.Inputs[name]
		l.input(ps, name, keyNode(root, "inputs", name), &n)
	}
	for _, name := range sortedKeys(doc.Outputs) {
		n := doc.Outputs[name]
		l.output(ps, name, keyNode(root, "outputs", name), &n)
	}
	l.cfg.Sources = append(slices.Clip(l.cfg.Sources), s.sources...)
	warnOpenSecrets(ps, path, &s)
	hashNode(l.sum, root)
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
