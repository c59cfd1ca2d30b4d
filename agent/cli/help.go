package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// newHelp is cobra's help command and the reference of the config's keys.
func newHelp(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TYPE | config | inputs | outputs]",
		Short: "help on a command, or the keys of a type of input or output",
		Example: `  siemd help check
  siemd help splunk
  siemd help outputs`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return helpTopics(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			isCommand := err == nil && len(rest) == 0
			text, isTopic := "", false
			if len(args) == 1 {
				text, isTopic = config.Help(args[0])
			}
			switch {
			case !isCommand && !isTopic:
				name := strings.Join(args, " ")
				hint := "'siemd help' lists what there is"
				if near := agent.Nearest(name, helpTopics(cmd.Root())); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
				return fmt.Errorf("there is no help on %q: %s", name, hint)
			case isTopic:
				if _, err := fmt.Fprint(std.out, text); err != nil {
					return exit(exitIO, err)
				}
				if !isCommand {
					return nil
				}
				fmt.Fprintf(std.out, "\nand there is a command of that name\n\n")
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// helpTopics are the commands and the topics of the config.
func helpTopics(root *cobra.Command) []string {
	topics := config.Topics()
	for _, c := range root.Commands() {
		topics = append(topics, c.Name())
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
