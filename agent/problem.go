package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A Problem is one mistake in a config, for the person who must mend it.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 if the whole file is meant
	Column  int    `json:"column"` // from 1, in characters
	Width   int    `json:"width,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`   // what to write instead
	Source  string `json:"source,omitempty"` // the line, with *** for what may be a secret
	Caret   int    `json:"caret,omitempty"`  // from 1, the place in Source
}

func (p Problem) String() string {
	kind := "error"
	if p.Warning {
		kind = "warning"
	}
	s := fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, kind, p.Message)
	if p.Hint != "" {
		s += "\n  hint: " + p.Hint
	}
	return s
}

// Problems collects the mistakes of one file, all of them before anybody is told.
type Problems struct {
	File string
	List []Problem

	// Private are scalars whose text came from the environment or a secret
	// and is never quoted in a message.
	Private map[*yaml.Node]bool

	// Secrets are the scalars that were read as secrets, and Hidden those that
	// may hold one without being known for it. Neither is to be shown.
	Secrets, Hidden []*yaml.Node

	// StandIns are scalars whose text is only there in place of one from
	// elsewhere: mistakes in them are not told.
	StandIns map[*yaml.Node]bool
}

// Add reports a mistake at n.
func (ps *Problems) Add(n *yaml.Node, hint, format string, args ...any) {
	if ps.standsIn(n) {
		return
	}
	p := Problem{File: ps.File, Message: fmt.Sprintf(format, args...), Hint: hint}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
		if n.Kind == yaml.ScalarNode && !ps.Private[n] && !strings.Contains(n.Value, "\n") {
			p.Width = utf8.RuneCountInString(n.Value)
		}
	}
	ps.List = append(ps.List, p)
}

// Warn is Add for something that is odd and no mistake.
func (ps *Problems) Warn(n *yaml.Node, hint, format string, args ...any) {
	before := len(ps.List)
	ps.Add(n, hint, format, args...)
	for i := range ps.List[before:] {
		ps.List[before+i].Warning = true
	}
}

// Hide notes that what is below n is not to be shown.
func (ps *Problems) Hide(n *yaml.Node) {
	eachScalar(n, func(n *yaml.Node) { ps.Hidden = append(ps.Hidden, n) })
}

// eachScalar calls f for the values below n, itself included.
func eachScalar(n *yaml.Node, f func(*yaml.Node)) {
	seen := map[*yaml.Node]bool{} // an anchor may hold an alias to itself
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		n = resolve(n)
		if seen[n] {
			return
		}
		seen[n] = true
		if n.Kind == yaml.ScalarNode {
			f(n)
			return
		}
		for i, c := range n.Content {
			if n.Kind != yaml.MappingNode || i%2 == 1 {
				walk(c)
			}
		}
	}
	walk(n)
}

// standsIn reports whether n is a stand-in, or a list with one.
func (ps *Problems) standsIn(n *yaml.Node) bool {
	if n == nil || n.Kind != yaml.SequenceNode {
		return ps.StandIns[n]
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return ps.StandIns[resolve(c)] })
}

// Errors counts the problems that are no mere warnings.
func (ps *Problems) Errors() int {
	n := 0
	for _, p := range ps.List {
		if !p.Warning {
			n++
		}
	}
	return n
}

// Sort brings the problems into the order of the file.
func (ps *Problems) Sort() {
	slices.SortStableFunc(ps.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// quote is n's text for a message, or a stand-in if the text is private.
func (ps *Problems) quote(n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return shape(n)
	case ps.Private[n]:
		return "the substituted value"
	case slices.Contains(ps.Secrets, n), slices.Contains(ps.Hidden, n):
		return "this value"
	}
	text := []rune(n.Value)
	if len(text) > 60 {
		return fmt.Sprintf("%q", string(text[:60])+"...")
	}
	return fmt.Sprintf("%q", n.Value)
}

// A KeyError is what a config's Validate returns: the mistake lies with the
// value of Key (dotted for nested ones), or with the component as a whole if
// Key is empty. Several are joined with errors.Join.
type KeyError struct {
	Key     string
	Message string
	Hint    string
}

func (e *KeyError) Error() string {
	if e.Key == "" {
		return e.Message
	}
	return e.Key + ": " + e.Message
}

// Nearest is the candidate that word was probably meant to be, or "".
func Nearest(word string, candidates []string) string {
	best, bestAt := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is Damerau's with adjacent swaps: what fingers do.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		rows[0], rows[1], rows[2] = prev, row, prev2
	}
	return rows[1][len(b)]
}
