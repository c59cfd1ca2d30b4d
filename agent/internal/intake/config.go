package intake

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/json"
)

// Common are the keys that every input has.
type Common struct {
	EventType string         `yaml:"event_type" doc:"event type of events that carry none" example:"telemetry"`
	Severity  agent.Severity `yaml:"severity" doc:"severity of events that carry none: informational, low, medium, high or critical" example:"medium"`
	Fields    Fields         `yaml:"fields" doc:"static members, added to events that lack them"`
}

// Fields are static members of events, sorted by name.
type Fields []agent.Field

// DecodeNode takes a map of any values.
func (f *Fields) DecodeNode(ps *agent.Problems, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		ps.Add(n, "for example fields: {site: berlin}", "want a map of names and values")
		return
	}
	var list Fields
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			ps.Add(key, "for example fields: {site: berlin}", "a name is a plain word")
			continue
		case key.Value == "event_id":
			ps.Add(key, "leave it out: siemd derives one for events that have none", "an id is never the same for all events")
			continue
		case slices.ContainsFunc(list, func(f agent.Field) bool { return f.Name == key.Value }):
			ps.Add(key, "keep one of them", "key %q is given twice", key.Value)
			continue
		}
		member, err := appendYAML(append(json.AppendString(nil, key.Value), ':'), value, 0)
		if err != nil {
			ps.Add(value, "for example fields: {site: berlin}", "%s", err)
			continue
		}
		list = append(list, agent.Field{Name: key.Value, Member: member})
	}
	slices.SortFunc(list, func(a, b agent.Field) int { return strings.Compare(a.Name, b.Name) })
	*f = list
}

// appendYAML appends n as JSON. Numbers keep their literals where JSON has them.
func appendYAML(dst []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth > maxDepth/2 {
		return nil, errors.New("nested too deeply")
	}
	var err error
	switch n.Kind {
	case yaml.AliasNode:
		return appendYAML(dst, n.Alias, depth+1)
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendYAML(dst, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.MappingNode:
		dst = append(dst, '{')
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return nil, errors.New("keys of a map must be plain words")
			}
			if seen[key.Value] {
				return nil, fmt.Errorf("key %q is given twice", key.Value)
			}
			seen[key.Value] = true
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(json.AppendString(dst, key.Value), ':')
			if dst, err = appendYAML(dst, n.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return appendScalar(dst, n)
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, err
		}
		return strconv.AppendBool(dst, b), nil
	case "!!int", "!!float":
		if stdjson.Valid([]byte(n.Value)) {
			return append(dst, n.Value...), nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		text, err := stdjson.Marshal(v) // refuses infinity and not-a-number
		if err != nil {
			return nil, fmt.Errorf("%s is no number in JSON", n.Value)
		}
		return append(dst, text...), nil
	}
	return json.AppendString(dst, n.Value), nil
}
