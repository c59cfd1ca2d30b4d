package delivery

import "github.com/adrian207/siemd/agent"

// A matcher is a Filter made fast: no maps, no allocation.
type matcher struct {
	types [][]byte
	min   agent.Severity
	all   bool
}

func newMatcher(f Filter) matcher {
	m := matcher{min: f.MinSeverity}
	for _, t := range f.EventTypes {
		m.types = append(m.types, []byte(t))
	}
	m.all = len(m.types) == 0 && m.min == agent.Unset
	return m
}

// match reports whether the output takes events of this type and severity.
func (m *matcher) match(typ []byte, sev agent.Severity) bool {
	if sev < m.min {
		return false
	}
	if len(m.types) == 0 {
		return true
	}
	for _, t := range m.types {
		if string(t) == string(typ) {
			return true
		}
	}
	return false
}
