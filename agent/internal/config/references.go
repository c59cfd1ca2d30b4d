package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// references are the scalars below n that have references, as they stand, by
// dotted path. Items of lists go by their number.
func references(n *yaml.Node, path string, into map[string]string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			references(n.Content[i+1], path+n.Content[i].Value+".", into)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			references(c, fmt.Sprintf("%s%d.", path, i), into)
		}
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "${") {
			into[strings.TrimSuffix(path, ".")] = n.Value
		}
	}
}

// below are the references of one component.
func below(refs map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for path, text := range refs {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			out[rest] = text
		}
	}
	return out
}

// privateTexts are what references have brought into the file, longest first;
// short ones occur by chance.
func privateTexts(ps *agent.Problems) []string {
	var texts []string
	for n := range ps.Private {
		if len(n.Value) >= 6 && n.Value != StandIn {
			texts = append(texts, n.Value)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	return texts
}
