package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// source shows the lines of a file without the secrets in them. What is one is
// known where the file could be decoded; a line that could not is judged by its words.
type source struct {
	ps     *agent.Problems
	lines  []string
	hidden map[int][]*yaml.Node // by line, from 1
	texts  []string             // of literal secrets, longest first
}

func newSource(ps *agent.Problems, lines []string) *source {
	s := &source{ps: ps, lines: lines, hidden: map[int][]*yaml.Node{}}
	for _, n := range slices.Concat(ps.Secrets, ps.Hidden) {
		s.hidden[n.Line] = append(s.hidden[n.Line], n)
		// A text over several lines stands below its first.
		for i := 1; i <= strings.Count(n.Value, "\n") && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0; i++ {
			s.hidden[n.Line+i] = append(s.hidden[n.Line+i], nil)
		}
	}
	private := slices.Collect(maps.Keys(ps.Private))
	for _, n := range slices.Concat(ps.Secrets, private) {
		if len(n.Value) >= 4 && n.Value != StandIn { // shorter ones occur by chance
			s.texts = append(s.texts, n.Value)
		}
	}
	slices.SortFunc(s.texts, func(a, b string) int { return len(b) - len(a) })
	return s
}

// show gives each problem its line, and takes secrets out of what it says.
func (s *source) show() {
	for i := range s.ps.List {
		p := &s.ps.List[i]
		p.Message, p.Hint = s.clean(p.Message), s.clean(p.Hint)
		if p.Line >= 1 && p.Line <= len(s.lines) && p.Source == "" {
			p.Source, p.Caret, p.Width = s.line(p.Line, p.Column, p.Width)
		}
	}
}

// credentials are those in a URL.
var credentials = regexp.MustCompile(`([A-Za-z0-9._~%+-]+):([^\s/"'@:]+)@`)

func (s *source) clean(text string) string {
	for _, secret := range s.texts {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return credentials.ReplaceAllString(text, "$1:***@")
}

// line is a line for people, and where in it is what stood at place and how wide that is.
func (s *source) line(n, place, width int) (text string, caret, shown int) {
	runes := []rune(strings.TrimRight(s.lines[n-1], "\r"))
	nodes := slices.Clone(s.hidden[n])
	slices.SortFunc(nodes, func(a, b *yaml.Node) int { return column(b) - column(a) })
	masked := false
	for _, node := range nodes { // from the right, so that places stay
		if node == nil || node.Column < 1 || node.Column-1 > len(runes) {
			return "***", 1, 3
		}
		masked = true
		at := node.Column - 1
		end := at + tokenLength(runes[at:])
		if isReference(string(runes[at:end])) {
			continue
		}
		switch {
		case node.Column == place:
			width = 3
		case node.Column < place:
			place += 3 - (end - at)
		}
		runes = slices.Concat(runes[:at], []rune("***"), runes[end:])
	}
	if !masked {
		return maskLine(string(runes)), place, width
	}
	return printable(fallback.ReplaceAllString(credentials.ReplaceAllString(string(runes), "$1:***@"), ":-***}")), place, width
}

// fallback is the default of a reference, which could be a secret.
var fallback = regexp.MustCompile(`:-[^{}]*\}`)

func column(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Column
}

// tokenLength is how long the value that begins text is: to its closing quote,
// or to what ends it in a map or list. Of what it cannot tell it takes all.
func tokenLength(text []rune) int {
	if len(text) == 0 {
		return 0
	}
	if q := text[0]; q == '"' || q == '\'' {
		for i := 1; i < len(text); i++ {
			switch {
			case q == '"' && text[i] == '\\':
				i++
			case text[i] == q && q == '\'' && i+1 < len(text) && text[i+1] == q:
				i++
			case text[i] == q:
				return i + 1
			}
		}
		return len(text)
	}
	depth := 0 // of ${...}
	for i, r := range text {
		switch {
		case r == '{':
			depth++
		case r == '}' && depth > 0:
			depth--
		case r == ',' && (i+1 == len(text) || text[i+1] == ' '), r == '}' || r == ']':
			return i
		case r == '#' && i > 0 && text[i-1] == ' ':
			return i - 1
		}
	}
	return len(text)
}

var wholeReference = regexp.MustCompile(`^["']?\$\{(env:[A-Za-z0-9_]+|file:[^{}]*|cred:[^{}]*|secret:[^{}]*)\}["']?\s*$`)

// isReference reports whether a value says where the secret is, and no more. A
// default behind :- could be one.
func isReference(text string) bool { return wholeReference.MatchString(text) }

// warnOpenSecrets warns of secrets that every user of the machine can read.
func warnOpenSecrets(ps *agent.Problems, path string, s *substituter) {
	open, told := worldReadable(path), false
	for _, n := range ps.Secrets {
		switch from, ok := s.open[n]; {
		case ok:
			ps.Warn(n, "chmod 0640 "+from+", and make it the group of the user that siemd runs as", "everybody on this machine can read %s", from)
		case open && !told && n.Value != "" && !ps.Private[n]:
			told = true
			ps.Warn(n, "chmod 0640 "+path+", or keep the secret elsewhere: ${file:/etc/siemd/NAME}, ${cred:NAME}", "this secret stands in a file that everybody on this machine can read")
		}
	}
}

// worldReadable reports whether others may read the file. What is mounted below
// /run, as orchestrators do, is their business.
func worldReadable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0 && !strings.HasPrefix(path, "/run/") && !strings.HasPrefix(path, "/var/run/")
}
