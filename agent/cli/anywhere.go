package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// commandFirst puts the words that name a command before the flags that stand
// before or between them, so that flags may stand anywhere: in
// "-c FILE failed --json ls" cobra would take FILE for a command.
func commandFirst(cmd *cobra.Command, args []string) []string {
	for at := 0; at < len(args); at++ {
		word := args[at]
		if word == "--" {
			break
		}
		child := childOf(cmd, word)
		if child == nil || at > 0 && takesValue(args[at-1], child, cmd) {
			if !strings.HasPrefix(word, "-") && (at == 0 || !strings.HasPrefix(args[at-1], "-")) {
				break // an argument: what follows is no command
			}
			continue
		}
		rest := append(append([]string{}, args[:at]...), args[at+1:]...)
		return append([]string{word}, commandFirst(child, rest)...)
	}
	return args
}

func childOf(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}

// takesValue reports whether arg is a flag whose value is the next argument: a
// flag of the first of cmds that has it, or a command below it.
func takesValue(arg string, cmds ...*cobra.Command) bool {
	if !strings.HasPrefix(arg, "-") || strings.Contains(arg, "=") {
		return false
	}
	for _, cmd := range cmds {
		if wants, known := wantsValue(cmd, arg); known {
			return wants
		}
	}
	return false
}

func wantsValue(cmd *cobra.Command, arg string) (wants, known bool) {
	f := cmd.Flag(strings.TrimLeft(arg, "-"))
	if len(arg) == 2 {
		f = cmd.Flags().ShorthandLookup(arg[1:])
	}
	if f != nil {
		return f.NoOptDefVal == "", true
	}
	for _, c := range cmd.Commands() {
		if wants, known := wantsValue(c, arg); known {
			return wants, true
		}
	}
	return false, false
}
