package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

const (
	maxFile  = 4 << 20
	maxNodes = 100_000 // after aliases are followed: stops alias bombs
	maxDepth = 64
)

// Parse reads the one YAML document in the file at path, with the limits and
// messages of a config file. It is nil after ps was told why there is none.
// References such as ${env:NAME} stay as they are.
func Parse(ps *agent.Problems, path string) *yaml.Node {
	l := loader{main: path}
	return l.parse(ps, path)
}

// parse gives the root mapping, or nil after reporting why there is none.
func (l *loader) parse(ps *agent.Problems, path string) *yaml.Node {
	l.lines = nil
	fail := func(line, column int, hint, format string, args ...any) *yaml.Node {
		ps.Add(&yaml.Node{Line: line, Column: column}, hint, format, args...)
		return nil
	}
	data, err := readFile(path, path == l.main)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := "name the config file with -c, or $SIEMD_CONFIG"
		if path != l.main {
			hint = "a link that leads nowhere? Remove it"
		}
		return fail(1, 1, hint, "there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return fail(1, 1, "the user that siemd runs as must be able to read it", "the file cannot be read: permission denied")
	case err != nil:
		return fail(1, 1, "name a file that can be read", "%s", err)
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
	l.lines = strings.Split(string(data), "\n")
	if at := directive.FindSubmatchIndex(data); at != nil {
		data = bytes.Clone(data)
		data[at[2]] = '1'
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decodeYAML(dec, &doc); {
	case err == io.EOF:
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	case err != nil:
		p := syntaxError(err, data, l.lines)
		return fail(p.Line, p.Column, p.Hint, "%s", p.Message)
	}
	var second yaml.Node
	switch err := decodeYAML(dec, &second); {
	case err == io.EOF:
	case err != nil:
		p := syntaxError(err, data, l.lines)
		return fail(p.Line, p.Column, p.Hint, "%s", p.Message)
	default:
		return fail(max(second.Line, 1), 1, "use conf.d/ for further files", "a second YAML document follows; only one is read")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	}
	if n := 0; !bounded(root, 0, &n) {
		return fail(root.Line, root.Column, "flatten it, or split it with conf.d/", "the file is nested too deeply, or its aliases expand to too much")
	}
	checkTags(ps, root)
	return root
}

// directive is a line %YAML 1.2, with its minor version. The parser takes 1.1
// alone; what the two differ in is decided by the type of each key.
var directive = regexp.MustCompile(`\A(?:\x{feff})?(?:[ \t]*(?:#.*)?\r?\n)*%YAML[ \t]+1\.([0-9])\s`)

// checkTags reports tags that mean something elsewhere, as !vault does: a value
// with one of them is not the text that stands there.
func checkTags(ps *agent.Problems, n *yaml.Node) {
	if n.Style&yaml.TaggedStyle != 0 && !slices.Contains(tags, n.ShortTag()) {
		ps.Add(n, "quote a value that begins with !; secrets are ${env:NAME}, ${file:/path} or ${cred:NAME}", "%s is no tag that siemd knows", n.Tag)
	}
	for _, c := range n.Content {
		checkTags(ps, c)
	}
}

var tags = []string{"!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!merge"}

// decodeYAML is dec.Decode for text that nobody has looked at: what the parser
// panics at is not valid YAML.
func decodeYAML(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return dec.Decode(n)
}

// readFile reads at most one byte more than a file may have. Only what a person
// has named may be a pipe, as /dev/stdin is: nobody may be there to write to another.
func readFile(path string, named bool) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("this is a directory, not a file")
	case !named && !info.Mode().IsRegular():
		return nil, errors.New("this is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// bounded reports whether n stays within what is followed.
func bounded(n *yaml.Node, depth int, nodes *int) bool {
	if *nodes++; *nodes > maxNodes || depth > maxDepth {
		return false
	}
	if n.Kind == yaml.AliasNode {
		return bounded(n.Alias, depth+1, nodes)
	}
	for _, c := range n.Content {
		if !bounded(c, depth+1, nodes) {
			return false
		}
	}
	return true
}

// merge puts the keys that "<<: *base" brings into maps, where they are not given.
func merge(ps *agent.Problems, n *yaml.Node) {
	merged := map[*yaml.Node]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if merged[n] {
			return
		}
		merged[n] = true
		for _, c := range n.Content {
			walk(c)
		}
		if n.Kind != yaml.MappingNode {
			return
		}
		own := map[string]bool{}
		var content, brought []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Tag != "!!merge" {
				own[key.Value] = true
				content = append(content, key, value)
				continue
			}
			sources := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				sources = value.Content
			}
			for _, src := range sources {
				if src.Kind == yaml.AliasNode {
					src = src.Alias
				}
				if src.Kind != yaml.MappingNode {
					ps.Add(value, "for example <<: *base", "<< merges maps, and this is none")
					continue
				}
				brought = append(brought, src.Content...)
			}
		}
		for i := 0; i+1 < len(brought); i += 2 {
			if key := brought[i].Value; !own[key] {
				own[key] = true
				content = append(content, brought[i], brought[i+1])
			}
		}
		n.Content = content
	}
	walk(n)
}
