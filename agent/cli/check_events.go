package cli

import (
	"encoding/json"
	"fmt"

	"gopkg.in/yaml.v3"
)

// eventOf is the line that a test's event stands for.
func eventOf(n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return []byte(n.Value), nil
	case yaml.MappingNode:
		return appendJSON(nil, n)
	}
	return nil, fmt.Errorf("want a map or the text of a line")
}

// appendJSON appends n as JSON, with its keys in their order.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.AliasNode:
		return appendJSON(dst, n.Alias)
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, c); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			key, _ := json.Marshal(n.Content[i].Value) // a string
			if dst, err = appendJSON(append(append(dst, key...), ':'), n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	if tag := n.ShortTag(); (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)) {
		return append(dst, n.Value...), nil // numbers keep their literals
	}
	var v any
	if n.ShortTag() == "!!timestamp" {
		v = n.Value
	} else if err := n.Decode(&v); err != nil {
		return nil, fmt.Errorf("%q is no value", n.Value)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%q has no form in JSON", n.Value)
	}
	return append(dst, text...), nil
}
