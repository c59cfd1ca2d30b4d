package config

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax says what the parser's sentences mean, what mostly is behind them, and
// what to look for in the line.
var syntax = []struct {
	sentence, message, hint string
	look                    *regexp.Regexp
}{
	{"cannot start any token", "this cannot begin a value", "quote the value", regexp.MustCompile("[:\\[{,-]\\s*([%@`\t])")},
	{"mapping values are not allowed", "a colon is not expected here", "indent the keys of one map alike; a value with a colon and a space in it needs quotes", regexp.MustCompile(`:\s.*?(:)(?:\s|$)`)},
	{"did not find expected key", "a key is expected here", "indent the keys of one map alike, and close quotes and brackets", nil},
	{"could not find expected ':'", "a key has no colon behind it", "write key: value, with a space behind the colon", nil},
	{"did not find expected ',' or ']'", "this list is not closed", "separate with commas, and close with ]", regexp.MustCompile(`(\[)[^\]]*$`)},
	{"did not find expected ',' or '}'", "this map is not closed", "separate with commas, and close with }", regexp.MustCompile(`(\{)[^}]*$`)},
	{"did not find expected '-' indicator", "an item of a list is expected here", "indent the dashes of one list alike", nil},
	{"found unexpected end of stream", "a quote is not closed", "end the text with the quote that it begins with", nil},
	{"did not find expected alphabetic or numeric character", "this is no anchor or alias", "a value that begins with * or & needs quotes", regexp.MustCompile(`(?:^|[\s\[,])([*&])`)},
	{"found undefined tag handle", "this is no tag", "a value that begins with ! needs quotes", regexp.MustCompile(`(?:^|[\s\[,])(!)`)},
	{"did not find expected node content", "a value is missing here, or a bracket is not closed", "close [ with ] and { with }", nil},
	{"did not find expected <document start>", "more follows where the document has ended", "a file is one document: remove lines of ... and ---, and close brackets", nil},
	{"unknown anchor", "there is no such anchor", "define it with &, before it is used", nil},
	{"found unknown escape character", "this is no escape", `in double quotes a backslash is \\; in single quotes it is itself`, regexp.MustCompile(`(\\[^0abt\tnvfre "/\\N_LPxuU])`)},
	{"control characters are not allowed", "a control character", "remove it; the file must be UTF-8 text", nil},
	{"UTF-8 octet", "the file is not valid UTF-8", "save it as UTF-8", nil},
}

// bareReference is one that YAML takes for a map, which it does between braces.
var bareReference = regexp.MustCompile(`[:,\[]\s*(\$\{)`)

var anchorName = regexp.MustCompile(`^unknown anchor '([^']*)'`)

// syntaxError finds out where the parser's error is. The parser gives a line at
// best; for errors of structure the one before, since it counts from 0 there.
func syntaxError(err error, data []byte, lines []string) agent.Problem {
	text, _, _ := strings.Cut(err.Error(), "\n")
	p := agent.Problem{Line: 1, Column: 1, Message: text, Hint: "look at the indentation, quotes and brackets on this line and the one before"}
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return p
	}
	sentence := m[2]
	line, _ := strconv.Atoi(m[1])
	if line > 0 && strings.HasPrefix(sentence, "did not find expected") && !strings.Contains(sentence, "character") {
		line++
	}
	p.Line = min(max(line, 1), len(lines))
	p.Message = "not valid YAML: " + sentence
	var look *regexp.Regexp
	for _, s := range syntax {
		if strings.Contains(sentence, s.sentence) {
			p.Message, p.Hint, look = "not valid YAML: "+s.message, s.hint, s.look
			break
		}
	}
	for p.Line > 1 && strings.TrimSpace(lines[p.Line-1]) == "" {
		p.Line-- // the end of the file
	}
	src := lines[p.Line-1]
	p.Column = 1 + len(src) - len(strings.TrimLeft(src, " "))
	switch {
	case tab(&p, lines):
	case strings.Contains(sentence, "mapping values are not allowed") && p.Line > 1 && noSpace.MatchString(lines[p.Line-2]):
		p.Line--
		at := noSpace.FindStringSubmatchIndex(lines[p.Line-1])
		p.Column = 1 + utf8.RuneCountInString(lines[p.Line-1][:at[2]])
		p.Message, p.Hint = "not valid YAML: a space is missing behind this colon", "write key: value"
	case strings.Contains(sentence, "did not find expected key") && oddIndent(&p, lines):
	case strings.Contains(sentence, "UTF-8 octet") || strings.Contains(sentence, "control characters"):
		p.Line, p.Column = badByte(data)
	case strings.Contains(sentence, "unexpected end of stream"):
		openQuote(&p, lines)
	case anchorName.MatchString(sentence):
		find(&p, lines, "*"+anchorName.FindStringSubmatch(sentence)[1])
	case strings.Contains(sentence, "mapping values are not allowed") && !look.MatchString(src) && p.Line > 1 && !strings.Contains(lines[p.Line-2], ":"):
		p.Line--
		src = lines[p.Line-1]
		p.Column = 1 + len(src) - len(strings.TrimLeft(src, " "))
		p.Message, p.Hint = "not valid YAML: this key has no colon behind it", "write key: value, with a space behind the colon"
	case strings.Contains(sentence, "did not find expected ','") && bareReference.MatchString(src):
		p.Column = 1 + utf8.RuneCountInString(src[:bareReference.FindStringSubmatchIndex(src)[2]])
		p.Message, p.Hint = "not valid YAML: this needs quotes", `between { } and [ ] write "${file:...}"`
	case look != nil:
		if at := look.FindStringSubmatchIndex(src); at != nil {
			p.Column = 1 + utf8.RuneCountInString(src[:at[2]])
		}
	}
	return p
}

// noSpace is a key whose colon the parser takes for a part of the value.
var noSpace = regexp.MustCompile(`^\s*(?:- )?[A-Za-z_]+(:)[^\s:/]\S*\s*$`)

var emptyLine = regexp.MustCompile(`^\s*(#.*)?$`)

// oddIndent finds the first line from the error on that is indented like none
// of the maps that it could belong to.
func oddIndent(p *agent.Problem, lines []string) bool {
	var open []int // indents of the maps around
	for i, src := range lines {
		if emptyLine.MatchString(src) {
			continue
		}
		indent := len(src) - len(strings.TrimLeft(src, " "))
		for len(open) > 0 && open[len(open)-1] > indent {
			open = open[:len(open)-1]
			if len(open) == 0 || open[len(open)-1] < indent {
				if i+1 < p.Line {
					return false // that is something else
				}
				p.Line, p.Column = i+1, indent+1
				p.Message, p.Hint = "not valid YAML: this line is indented like none above it", "indent the keys of one map alike"
				return true
			}
		}
		if len(open) == 0 || open[len(open)-1] < indent {
			open = append(open, indent)
		}
	}
	return false
}

// tab finds a tab in the indentation of the line, or of the next, for which the
// parser has many sentences.
func tab(p *agent.Problem, lines []string) bool {
	for at := p.Line; at <= min(p.Line+1, len(lines)); at++ {
		src := lines[at-1]
		indent := src[:len(src)-len(strings.TrimLeft(src, " \t"))]
		if i := strings.IndexByte(indent, '\t'); i >= 0 {
			p.Line, p.Column = at, i+1
			p.Message, p.Hint = "not valid YAML: a tab stands in the indentation", "indent with spaces"
			return true
		}
	}
	return false
}

// badByte is the place of the first byte that no text file has.
func badByte(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return line, column
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		data = data[n:]
	}
	return 1, 1
}

var opensQuote = regexp.MustCompile(`[:\[{,-]\s*(["'])`)

// openQuote finds the first line on which a quote is opened and not closed.
func openQuote(p *agent.Problem, lines []string) {
	for i, src := range lines {
		at := opensQuote.FindStringSubmatchIndex(src)
		if at != nil && strings.Count(src, src[at[2]:at[3]])%2 == 1 {
			p.Line, p.Column = i+1, 1+utf8.RuneCountInString(src[:at[2]])
			return
		}
	}
}

func find(p *agent.Problem, lines []string, text string) {
	for i, src := range lines {
		if at := strings.Index(src, text); at >= 0 {
			p.Line, p.Column, p.Width = i+1, 1+utf8.RuneCountInString(src[:at]), utf8.RuneCountInString(text)
			return
		}
	}
}
