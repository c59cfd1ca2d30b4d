package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/config"
)

func newSchema(std streams) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "print the JSON Schema of the config, for editors",
		Long:    "schema prints a JSON Schema (draft 7). Editors that use yaml-language-server complete and check a config whose first line is\n# yaml-language-server: $schema=/path/to/siemd.schema.json",
		Example: `  siemd schema > siemd.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			enc := json.NewEncoder(std.out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			if err := enc.Encode(config.Schema()); err != nil {
				return exit(exitIO, err)
			}
			return nil
		},
	}
}
