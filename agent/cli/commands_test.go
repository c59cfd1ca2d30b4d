package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls f for each command, groups included, but for those that cobra brings.
func everyCommand(f func(c *cobra.Command)) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		f(c)
	}
	walk(newRoot(streams{}))
}

// speaksToPeople are the commands whose result is no data: they run until they
// are stopped, write files, or print what has a form of its own.
var speaksToPeople = map[string]bool{
	"siemd": true, "siemd run": true, "siemd demo": true, "siemd init": true, "siemd schema": true, "siemd help": true,
	"siemd connections": true, "siemd failed": true, "siemd wal": true, "siemd elastic": true, "siemd elastic setup": true,
}

// TestEveryCommand holds commands to what people look for first: a sentence,
// an example that is a command line of siemd, help that shows both, and --json.
func TestEveryCommand(t *testing.T) {
	n := 0
	everyCommand(func(c *cobra.Command) {
		path := c.CommandPath()
		n++
		if c.Short == "" {
			t.Errorf("%s says nothing about itself", path)
		}
		if !strings.Contains(c.Example, path) {
			t.Errorf("%s has no example of its own:\n%s", path, c.Example)
		}
		for _, args := range examplesOf(c) {
			root := newRoot(streams{})
			args = commandFirst(root, args)
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: the example %q is no command line: %v", path, args, err)
			}
		}
		args := append(strings.Fields(path)[1:], "--help")
		if r := siemd(t, "", args...); r.code != exitOK || !strings.Contains(r.out, "Examples:") || !strings.Contains(r.out, c.Short) && !strings.Contains(r.out, firstLine(c.Long)) {
			t.Errorf("%s --help: exit code %d\n%s%s", path, r.code, r.out, r.err)
		}
		if c.Flag("json") == nil && !speaksToPeople[path] {
			t.Errorf("%s has no --json", path)
		}
		if r := siemd(t, "", append(strings.Fields(path)[1:], "--no-such-flag")...); r.code != exitUsage || r.out != "" {
			t.Errorf("%s with an unknown flag: exit code %d, stdout %q", path, r.code, r.out)
		}
	})
	if n < 40 {
		t.Errorf("%d commands", n)
	}
}

// TestNoAgent: each command that needs a running agent says so with exit code
// 69 and nothing on stdout; the others do without.
func TestNoAgent(t *testing.T) {
	without := map[string]bool{"siemd doctor": true, "siemd support-bundle": true, "siemd audit": true, "siemd check": true}
	t.Chdir(t.TempDir())
	asked := 0
	everyCommand(func(c *cobra.Command) {
		if c.Flag("socket") == nil || without[c.CommandPath()] {
			return
		}
		asked++
		for _, args := range examplesOf(c) {
			if strings.Join(args[:min(len(args), strings.Count(c.CommandPath(), " "))], " ") != strings.TrimPrefix(c.CommandPath(), "siemd ") {
				continue // of another command
			}
			if slices.Contains(args, "--local") || slices.Contains(args, "--url") {
				continue
			}
			for i, a := range args { // files that are not here
				if a == "connection.json" || a == "alert.json" || strings.HasSuffix(a, ".jsonl") {
					args[i] = tempFile(t, "file.json", `{"event_type":"alert"}`)
				}
				if name, _, ok := strings.Cut(a, "=@"); ok {
					args[i] = name + "=@" + tempFile(t, "secret", "s")
				}
			}
			if r := siemd(t, `{"event_type":"alert"}`, append(args, "--socket", "/nowhere/siemd.sock")...); r.code != exitUnreachable || r.out != "" || !strings.Contains(r.err, "no agent answers") {
				t.Errorf("%q without an agent: exit code %d\n%s%s", args, r.code, r.out, r.err)
			}
		}
	})
	if asked < 18 {
		t.Errorf("%d commands speak to an agent", asked)
	}
}

// examplesOf are the command lines of siemd in a command's examples, as a shell would take them apart.
func examplesOf(c *cobra.Command) [][]string {
	var list [][]string
	for line := range strings.Lines(c.Example) {
		var words []string
		word, quote, open := "", rune(0), false
		flush := func() {
			if open {
				words = append(words, word)
			}
			word, open = "", false
		}
		end := func() {
			flush()
			for i, w := range words { // sudo -u siemd siemd doctor
				if w == "siemd" && (i+1 == len(words) || words[i+1] != "siemd") {
					list = append(list, words[i+1:])
					break
				}
			}
			words = nil
		}
		for _, r := range strings.TrimSpace(line) {
			switch {
			case quote != 0 && r == quote:
				quote = 0
			case quote != 0:
				word += string(r)
			case r == '\'' || r == '"':
				quote, open = r, true
			case r == '|' || r == '&' || r == '>' || r == '<':
				end()
			case r == '#' && !open:
				words = append(words, "#")
			case r == ' ':
				flush()
			default:
				word, open = word+string(r), true
			}
		}
		flush()
		for i, w := range words {
			if w == "#" { // a remark
				words = words[:i]
				break
			}
		}
		end()
	}
	return list
}
