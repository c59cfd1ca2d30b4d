package config

import (
	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// Parse reads the one YAML document in the file at path, with the limits and
// messages of a config file. It is nil after ps was told why there is none.
// References such as ${env:NAME} stay as they are.
func Parse(ps *agent.Problems, path string) *yaml.Node {
	var l loader
	return l.parse(ps, path)
}
