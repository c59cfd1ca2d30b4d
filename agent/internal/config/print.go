package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"

	"github.com/adrian207/siemd/agent"
)

// MaxPrinted is how many problems are shown in full.
const MaxPrinted = 50

// Print writes problems for people: file:line:col, the source line with a
// caret, and a hint. Text that may be a secret is not shown.
func Print(w io.Writer, problems []agent.Problem) {
	files := map[string][]string{}
	for i, p := range problems {
		if i == MaxPrinted {
			fmt.Fprintf(w, "... and %d more\n", len(problems)-MaxPrinted)
			return
		}
		kind := "error"
		if p.Warning {
			kind = "warning"
		}
		fmt.Fprintf(w, "%s:%d:%d: %s: %s\n", p.File, p.Line, p.Column, kind, p.Message)
		line := []rune(p.Source)
		if p.Source == "" && p.Line >= 1 {
			if _, ok := files[p.File]; !ok {
				files[p.File] = readLines(p.File)
			}
			if src := files[p.File]; p.Line <= len(src) {
				line = []rune(maskLine(src[p.Line-1]))
			}
		}
		if len(line) > 0 {
			at := p.Column - 1
			if p.Caret > 0 {
				at = p.Caret - 1
			}
			shown, cut := window(line, at)
			fmt.Fprintf(w, "%5d | %s\n", p.Line, shown)
			if at >= 0 && at < len(line) {
				width := max(1, min(p.Width, len(line)-at))
				fmt.Fprintf(w, "      | %s%s\n", strings.Repeat(" ", at-cut), strings.Repeat("^", min(width, maxShown)))
			}
		}
		if p.Hint != "" {
			fmt.Fprintf(w, "      = hint: %s\n", p.Hint)
		}
	}
}

// maxShown is how much of a line is shown.
const maxShown = 160

// window is the part of a long line around at, and where it begins.
func window(line []rune, at int) (string, int) {
	if len(line) <= maxShown {
		return string(line), 0
	}
	from := max(0, min(at-maxShown/2, len(line)-maxShown))
	return string(line[from : from+maxShown]), from
}

func readLines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

var (
	secretKey = regexp.MustCompile(`(?i)^(.*?(?:token|password|secret|api_key|key)s?["']?\s*:\s*)(\S.*)$`)
	fileKey   = regexp.MustCompile(`(?i)(?:token_url|key_file)["']?\s*:`)
	refOnly   = regexp.MustCompile(`^["']?\$\{(?:env:[A-Za-z0-9_]+|file:[^{}]*|cred:[^{}]*)\}["']?[\s,}\]]*(#.*)?$`)
)

// maskLine hides what stands behind a key that names a secret, unless it is a
// mere reference to one, and makes control characters visible.
func maskLine(line string) string {
	if m := secretKey.FindStringSubmatch(line); m != nil && !fileKey.MatchString(line) && !refOnly.MatchString(m[2]) {
		line = m[1] + "***"
	}
	return printable(fallback.ReplaceAllString(credentials.ReplaceAllString(line, "$1:***@"), ":-***}"))
}

// printable is line with blanks for tabs, so that carets fit, and nothing that a terminal obeys.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line)
}
