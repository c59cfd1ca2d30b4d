package agent

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
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

// reportKeyErrors finds the place of each KeyError in err below n, the text of
// target. One without a hint of its own gets that of its key.
func (d *decoder) reportKeyErrors(n *yaml.Node, target reflect.Value, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.reportKeyErrors(n, target, e)
		}
		return
	}
	var ke *KeyError
	if !errors.As(err, &ke) {
		d.ps.Add(n, "look at the keys that are given here", "%s", err)
		return
	}
	if at := Find(n, ke.Key); !d.failed[at] {
		d.ps.Add(at, cmp.Or(ke.Hint, keyHint(tagAt(target, ke.Key)), "look at the keys that are given here"), "%s", ke.Message)
	}
}

// keyHint is what a key's tag says about right values: an example, all of them,
// or what the key is.
func keyHint(tag reflect.StructTag) string {
	if ex := tag.Get("example"); ex != "" {
		return "for example " + ex
	}
	if words := tag.Get("oneof"); words != "" {
		return "one of " + strings.ReplaceAll(words, "|", ", ")
	}
	if doc := tag.Get("doc"); doc != "" {
		return "it is for: " + doc
	}
	return "write one value, as in key: value"
}

// tagAt is the tag of the field at the dotted path in the struct v, or of the deepest one on the way to it.
func tagAt(v reflect.Value, path string) (tag reflect.StructTag) {
	for path != "" {
		head, rest, _ := strings.Cut(path, ".")
		fields := fieldsOf(v)
		at := slices.IndexFunc(fields, func(f field) bool { return f.key == head })
		if at < 0 {
			break
		}
		tag, v, path = fields[at].tag, fields[at].value, rest
		if v.Kind() != reflect.Struct {
			break
		}
	}
	return tag
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
