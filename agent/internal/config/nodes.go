package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

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
