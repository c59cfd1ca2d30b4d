package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Connections that were made through the API lie in <data_dir>/connections/,
// one file each: the same YAML as in any config file, limited to one output,
// and what people want to know about it under connection. Its secrets are
// sealed in a file beside it; ${secret:KEY} stands for them, and no other
// reference is taken there.

// ConnectionsDir is the directory below data_dir.
const ConnectionsDir = "connections"

// Managed is what is kept about an output that was made through the API,
// beside the output itself.
type Managed struct {
	Name            string            `yaml:"name" doc:"for people"`
	SIEMType        string            `yaml:"siem_type" doc:"the type as it was asked for"`
	Endpoint        string            `yaml:"endpoint" doc:"the endpoint as it was asked for"`
	SeverityMapping map[string]string `yaml:"severity_mapping,omitempty" doc:"severities that the output sees as another one"`
	Secrets         string            `yaml:"secrets,omitempty" doc:"which sealed file belongs to this one"`
	Request         string            `yaml:"request,omitempty" doc:"digests of the key and the body of the request that has made it"`
	CreatedAt       time.Time         `yaml:"created_at" doc:"when it was made"`
	UpdatedAt       time.Time         `yaml:"updated_at" doc:"when it was changed last"`

	Version string            `yaml:"-"` // changes with every change
	Sealed  map[string]string `yaml:"-"` // the secrets, by the key that they stand for; not to be printed
	mapping map[agent.Severity]agent.Severity
}

// Severity is the one that the output sees in place of s.
func (m *Managed) Severity(s agent.Severity) agent.Severity {
	if to, ok := m.mapping[s]; ok {
		return to
	}
	return s
}

// Validate reads the mapping.
func (m *Managed) Validate() error {
	m.mapping = nil
	for _, from := range slices.Sorted(maps.Keys(m.SeverityMapping)) {
		a, okA := agent.ParseSeverity([]byte(from))
		b, okB := agent.ParseSeverity([]byte(m.SeverityMapping[from]))
		if !okA || !okB {
			return &agent.KeyError{Key: "severity_mapping", Message: fmt.Sprintf("%q to %q is not a severity to a severity", from, m.SeverityMapping[from]), Hint: "informational, low, medium, high or critical"}
		}
		if m.mapping == nil {
			m.mapping = map[agent.Severity]agent.Severity{}
		}
		m.mapping[a] = b
	}
	return nil
}

// connectionDocument is a connection's file as decoded.
type connectionDocument struct {
	Connection yaml.Node            `yaml:"connection" doc:"about the connection"`
	Outputs    map[string]yaml.Node `yaml:"outputs" doc:"the output, under the name of the file"`
}

// A Change is an API-made connection as it is to be. Data nil removes it.
type Change struct {
	ID      string
	Data    []byte            // its file
	Secrets map[string]string // what its ${secret:KEY} stand for
}

// connections loads what lies in data_dir.
func (l *loader) connections() {
	dir := filepath.Join(l.cfg.DataDir, ConnectionsDir)
	names, err := list(dir, ".yaml")
	ps := &agent.Problems{File: dir}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return // whoever runs it will find out about data_dir
	case errors.Is(err, fs.ErrPermission):
		ps.List = append(ps.List, agent.Problem{File: dir, Line: 1, Column: 1, Warning: true, Message: "connections made through the API were not looked at: " + err.Error(), Hint: "run this as the user that siemd runs as"})
		l.report(ps)
		return
	case err != nil:
		ps.Add(&yaml.Node{Line: 1, Column: 1}, "data_dir must be on a disk that can be read", "%s", err)
		l.report(ps)
		return
	}
	keys, keyErr := openKeys(l.cfg.DataDir)
	for _, path := range names {
		id := strings.TrimSuffix(filepath.Base(path), ".yaml")
		ps := &agent.Problems{File: path, Private: map[*yaml.Node]bool{}}
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			// A link could lead anywhere, and a pipe would be waited for.
			ps.Add(&yaml.Node{Line: 1, Column: 1}, "remove it", "this is no regular file")
		} else if root := l.parse(ps, path); root != nil {
			l.connection(ps, id, root, func(m *Managed) (map[string]string, error) {
				secrets, err := keys.open(filepath.Join(dir, secretName(id, m.Secrets)), id)
				if err != nil && keyErr != nil {
					err = keyErr
				}
				return secrets, err
			})
		}
		l.report(ps)
	}
}

// connection loads one of them. secrets is asked when there are any.
func (l *loader) connection(ps *agent.Problems, id string, root *yaml.Node, secrets func(*Managed) (map[string]string, error)) {
	before := ps.Errors()
	var doc connectionDocument
	agent.Decode(ps, root, &doc)
	m := &Managed{Version: hashOf(root)}
	if !doc.Connection.IsZero() {
		agent.Decode(ps, &doc.Connection, m)
	}
	if ps.Errors() > before {
		return
	}
	if _, ok := doc.Outputs[id]; len(doc.Outputs) != 1 || !ok {
		ps.Add(agent.Find(root, "outputs"), "outputs: {"+id+": ...}", "this file holds the one output that it is named after")
		return
	}
	if m.Secrets != "" && !l.opt.NoSecrets {
		var err error
		if m.Sealed, err = secrets(m); err != nil {
			ps.Add(agent.Find(root, "connection.secrets"), "restore the key, or give the secrets again through the API", "the secrets of this connection cannot be opened: %s", err)
			return
		}
	}
	n := agent.Find(root, "outputs."+id)
	for i := 0; i+1 < len(root.Content); i += 2 { // names may have dots, which Find cannot know
		if root.Content[i].Value == "outputs" {
			n = root.Content[i+1].Content[1]
		}
	}
	l.refs = map[string]string{}
	references(n, "outputs."+id+".", l.refs)
	s := substituter{ps: ps, resolve: !l.opt.NoSecrets, seen: map[*yaml.Node]bool{}, sealed: m.Sealed, sealedOnly: true}
	if s.walk(n); ps.Errors() > before {
		return
	}
	l.output(ps, id, keyNode(root, "outputs", id), n)
	if out := l.cfg.Outputs[id]; out != nil && out.File == ps.File {
		if e := l.misfit(id); e != nil && ps.Errors() == before {
			ps.Add(agent.Find(n, e.Key), e.Hint, "%s", e.Message)
		}
		out.Managed = m
		out.Hash += fmt.Sprint(m.mapping) // fmt sorts maps
	}
}

// With is the config that results when one API-made connection of cfg changes,
// or all that is wrong with that. cfg stays as it is. It has no side effects.
func With(cfg *Config, ch Change) (*Config, []agent.Problem) {
	next := *cfg
	next.Outputs = maps.Clone(cfg.Outputs)
	l := loader{cfg: &next}
	if old := next.Outputs[ch.ID]; old != nil && old.Managed != nil {
		delete(next.Outputs, ch.ID)
	}
	if ch.Data != nil {
		path := filepath.Join(cfg.DataDir, ConnectionsDir, ch.ID+".yaml")
		ps := &agent.Problems{File: path, Private: map[*yaml.Node]bool{}}
		if root := l.parseData(ps, ch.Data); root != nil {
			l.connection(ps, ch.ID, root, func(*Managed) (map[string]string, error) { return ch.Secrets, nil })
		}
		l.report(ps)
	}
	if l.errors > 0 {
		return nil, l.problems
	}
	next.rehash()
	return &next, l.problems
}

// rehash sums up files and API-made connections.
func (c *Config) rehash() {
	h := sha256.New()
	h.Write([]byte(c.filesHash))
	for _, name := range sortedKeys(c.Outputs) {
		if out := c.Outputs[name]; out.Managed != nil {
			fmt.Fprintf(h, "%s %s %s\n", name, out.Hash, out.Managed.Version)
		}
	}
	c.Hash = hex.EncodeToString(h.Sum(nil))[:16]
}
