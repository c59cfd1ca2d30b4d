package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

func newCheck(std streams) *cobra.Command {
	var path string
	var asJSON, noSecrets bool
	cmd := &cobra.Command{
		Use:   "check [-c FILE]",
		Short: "validate a config, without side effects",
		Long:  "check reads the config and conf.d/*.yaml beside it as run would, and prints every mistake in one pass. It opens no port and asks no SIEM.",
		Example: `  siemd check -c /etc/siemd/siemd.yaml
  siemd check -c siemd.yaml --no-secrets --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				path = args[0]
			}
			cfg, problems := config.Load(path, config.Options{NoSecrets: noSecrets})
			if asJSON {
				if problems == nil {
					problems = []agent.Problem{}
				}
				if err := json.NewEncoder(std.out).Encode(map[string]any{"ok": cfg != nil, "problems": problems}); err != nil {
					return exit(exitIO, err)
				}
			} else {
				config.Print(std.err, problems)
			}
			if cfg == nil {
				return exit(exitConfig, nil)
			}
			if !asJSON {
				fmt.Fprintf(std.out, "%s is valid: %s, %s\n", path, count(len(cfg.Inputs), "input"), count(len(cfg.Outputs), "output"))
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not resolve ${env:}, ${file:} and ${cred:}")
	return cmd
}

// count is "1 input", "2 inputs".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
