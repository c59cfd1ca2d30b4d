package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

func newElastic(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "elastic setup CONNECTION",
		Short: "prepare Elasticsearch or OpenSearch for a connection",
		Args:  cobra.NoArgs,
		RunE:  needsSubcommand(std),
	}
	cmd.Example = "  siemd elastic setup elastic-prod"
	c := &testCommand{std: std}
	setup := &cobra.Command{
		Use:   "setup CONNECTION",
		Short: "write an index template with ECS mappings, and an ILM policy",
		Long: "setup writes an index template for what the connection's index can name, with mappings of the Elastic Common Schema, and on Elasticsearch an\n" +
			"ILM policy that rolls over at 50 GB or 30 days and deletes after 90. Change both to your needs; the agent never touches them.",
		Example: "  siemd elastic setup elastic-prod -c /etc/siemd/siemd.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			return c.setup(ctx, args[0])
		},
	}
	configFlag(setup, &c.conf)
	cmd.AddCommand(setup)
	return cmd
}

func (c *testCommand) setup(ctx context.Context, name string) error {
	cfg, problems := config.Load(c.conf, config.Options{})
	if cfg == nil {
		config.Print(c.std.err, problems)
		return exit(exitConfig, nil)
	}
	oc := cfg.Outputs[name]
	if oc == nil {
		return unknownName("connection", name, sortedNames(cfg.Outputs))
	}
	out, err := oc.Spec.BuildOutput(oc.Config, offlineEnv(cfg, name))
	if err != nil {
		return exit(exitFailure, err)
	}
	setupper, ok := out.(agent.Setupper)
	if !ok {
		return exit(exitUsage, fmt.Errorf("connections of type %s need no setup", oc.Kind))
	}
	failed := false
	err = setupper.Setup(ctx, func(st agent.Step) {
		s := probeStep{Name: st.Name, OK: st.Err == nil, Detail: st.Detail, Fix: st.Fix}
		if st.Err != nil {
			s.Error, failed = st.Err.Error(), true
		}
		c.print(s)
	})
	switch {
	case failed:
		return exit(exitFound, nil)
	case err != nil:
		return exit(exitFailure, err)
	}
	return nil
}
