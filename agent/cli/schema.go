package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/api"
	"github.com/adrian207/siemd/agent/internal/config"
)

func newSchema(std streams) *cobra.Command {
	var openAPI bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of the config, for editors",
		Long: "schema prints a JSON Schema (draft 7). Editors that use yaml-language-server complete and check a config whose first line is\n# yaml-language-server: $schema=/path/to/siemd.schema.json\n" +
			"With --openapi it prints the OpenAPI document of the REST API, which a running agent serves at /api/openapi.json.",
		Example: `  siemd schema > siemd.schema.json
  siemd schema --openapi | jq '.paths | keys'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			enc := json.NewEncoder(std.out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			var document any = config.Schema()
			if openAPI {
				document = api.OpenAPI()
			}
			if err := enc.Encode(document); err != nil {
				return exit(exitIO, err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&openAPI, "openapi", false, "print the OpenAPI document of the REST API instead")
	return cmd
}
