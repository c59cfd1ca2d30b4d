package packaging_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documents are all pages for people: docs/, those at the root, and the one beside the connectors.
func documents(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil || len(paths) < 15 {
		t.Fatalf("docs: %d pages, %v", len(paths), err)
	}
	for i, p := range paths {
		paths[i] = strings.TrimPrefix(p, "../")
	}
	return append(paths, "README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "configs/connectors/README.md")
}

// A fence is a block of code in a page.
type fence struct {
	line int
	info string // what follows the three backticks
	text string
}

func fences(page string) []fence {
	var all []fence
	var open *fence
	indent := ""
	for i, line := range strings.Split(page, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch info, isFence := strings.CutPrefix(trimmed, "```"); {
		case isFence && open == nil:
			open = &fence{line: i + 1, info: strings.TrimSpace(info)}
			indent = line[:len(line)-len(trimmed)]
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return all
}

func TestConfigsInDocs(t *testing.T) {
	t.Parallel()
	n := 0
	for _, page := range documents(t) {
		for _, f := range fences(read(t, page)) {
			if !strings.HasPrefix(f.info, "yaml siemd") {
				continue
			}
			n++
			t.Run(fmt.Sprintf("%s:%d", page, f.line), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "siemd.yaml")
				write(t, path, f.text)
				if r := siemd(t, "check", "--no-secrets", "-c", path); r.code != 0 {
					t.Errorf("siemd check: exit code %d\n%s\n%s", r.code, r.err, f.text)
				}
			})
		}
	}
	if n < 12 {
		t.Errorf("only %d blocks of config were found", n)
	}
}

// Commands in the docs name subcommands and flags that are there.
func TestCommandsInDocs(t *testing.T) {
	t.Parallel()
	help := helpTexts{t: t}
	inline := regexp.MustCompile("`((?:sudo )?siemd [^`]+)`")
	n := 0
	for _, page := range documents(t) {
		text := read(t, page)
		var lines []string
		for _, f := range fences(text) {
			if f.info == "sh" {
				lines = append(lines, strings.Split(f.text, "\n")...)
			}
		}
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			for _, words := range siemdCommands(line) {
				n++
				if why := help.wrong(words); why != "" {
					t.Errorf("%s: %q: %s", page, strings.Join(words, " "), why)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d commands were found", n)
	}
}

// siemdCommands cuts a line of shell into the words of each siemd in it.
func siemdCommands(line string) [][]string {
	line = regexp.MustCompile(`'[^']*'|"[^"]*"`).ReplaceAllString(line, "QUOTED")
	line, _, _ = strings.Cut(line, " #")
	var all [][]string
	for _, part := range regexp.MustCompile(`\|\|?|&&?|;|>+|<`).Split(line, -1) {
		words := strings.Fields(part)
		for len(words) > 0 && (words[0] == "sudo" || words[0] == "$" || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
		if len(words) > 3 && slices.Equal(words[:3], []string{"go", "run", "."}) {
			words = append([]string{"siemd"}, words[3:]...)
		}
		if len(words) > 1 && (words[0] == "siemd" || words[0] == "./siemd") {
			all = append(all, words)
		}
	}
	return all
}

// helpTexts asks for the help of each command once.
type helpTexts struct {
	t     *testing.T
	mu    sync.Mutex
	texts map[string]string
}

func (h *helpTexts) of(command ...string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := strings.Join(command, " ")
	if text, ok := h.texts[key]; ok {
		return text
	}
	r := siemd(h.t, append([]string{"help"}, command...)...)
	if h.texts == nil {
		h.texts = map[string]string{}
	}
	h.texts[key] = r.out + r.err
	return h.texts[key]
}

// wrong says what is wrong with a command, if something is.
func (h *helpTexts) wrong(words []string) string {
	if !slices.Contains(commands(h.of()), words[1]) {
		return "there is no such command"
	}
	path := words[1:2]
	text := h.of(path...)
	if len(words) > 2 && slices.Contains(commands(text), words[2]) {
		path = words[1:3]
		text = h.of(path...)
	}
	for _, w := range words[2:] {
		name, _, _ := strings.Cut(w, "=")
		if !strings.HasPrefix(name, "-") || name == "-" {
			continue
		}
		if !regexp.MustCompile(`(?m)^ +(-\w, )?` + regexp.QuoteMeta(name) + `\b`).MatchString(text) {
			return name + " is no flag of siemd " + strings.Join(path, " ")
		}
	}
	return ""
}

// commands are the names that a help text lists.
func commands(help string) []string {
	_, list, ok := strings.Cut(help, "Available Commands:\n")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for _, line := range strings.Split(list, "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names
}

// Links between pages, and to headings in them, lead somewhere.
func TestLinksInDocs(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			at := page
			if target != "" {
				at = filepath.Join(filepath.Dir(page), target)
			}
			if target == "performance.md" {
				continue // made by the benchmarks
			}
			if _, err := os.Stat(filepath.Join("..", at)); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(headings(read(t, at)), anchor) {
				t.Errorf("%s: %s: there is no such heading", page, m[1])
			}
		}
	}
}

// headings are the anchors that a page has on GitHub.
func headings(page string) []string {
	var all []string
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		text := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		text = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(text, "")
		all = append(all, strings.ReplaceAll(text, " ", "-"))
	}
	return all
}

// The tests that the guarantees name as their proof exist.
func TestProofs(t *testing.T) {
	t.Parallel()
	file := regexp.MustCompile("`([\\w/]+_test\\.go)`(?: (Test\\w+))?")
	found := file.FindAllStringSubmatch(read(t, "docs/guarantees.md"), -1)
	if len(found) < 15 {
		t.Fatalf("only %d proofs are named", len(found))
	}
	for _, m := range found {
		if text := read(t, m[1]); !strings.Contains(text, "func "+m[2]+"(") && m[2] != "" {
			t.Errorf("%s has no %s", m[1], m[2])
		}
	}
}
