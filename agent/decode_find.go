package agent

import (
	"errors"
	"strings"

	"gopkg.in/yaml.v3"
)

// Find is the value at the dotted path below n, or the deepest node on the way to it.
func Find(n *yaml.Node, path string) *yaml.Node {
	n = resolve(n)
	if path == "" {
		return n
	}
	head, rest, _ := strings.Cut(path, ".")
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == head {
				return Find(n.Content[i+1], rest)
			}
		}
	}
	return n
}

// nodeAt is the value below n that stands there.
func nodeAt(n *yaml.Node, line, column int) (found *yaml.Node) {
	seen := map[*yaml.Node]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		n = resolve(n)
		if seen[n] || found != nil {
			return
		}
		seen[n] = true
		if n.Line == line && n.Column == column && n.Kind == yaml.ScalarNode {
			found = n
			return
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(n)
	return found
}

// reportKeyErrors finds the place of each KeyError in err below n.
func (d *decoder) reportKeyErrors(n *yaml.Node, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.reportKeyErrors(n, e)
		}
		return
	}
	var ke *KeyError
	if !errors.As(err, &ke) {
		d.ps.Add(n, "", "%s", err)
		return
	}
	if at := Find(n, ke.Key); !d.failed[at] {
		d.ps.Add(at, ke.Hint, "%s", ke.Message)
	}
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
