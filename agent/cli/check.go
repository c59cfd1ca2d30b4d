package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// checkCommand is the flags of siemd check.
type checkCommand struct {
	std       streams
	path      string
	tests     []string
	json      bool
	github    bool
	diff      bool
	socket    string
	noSecrets bool
}

// checked is the result as JSON.
type checked struct {
	OK       bool            `json:"ok"`
	Problems []agent.Problem `json:"problems"`
	Tests    []testResult    `json:"tests,omitempty"`
	Changed  *bool           `json:"changed,omitempty"` // with --diff
	Plan     any             `json:"plan,omitempty"`
}

func newCheck(std streams) *cobra.Command {
	c := &checkCommand{std: std}
	cmd := &cobra.Command{
		Use:   "check [-c FILE]",
		Short: "validate a config, without side effects",
		Long: "check reads the config and conf.d/*.yaml beside it as run would, and prints every mistake in one pass. It opens no port and asks no SIEM.\n\n" +
			"--tests FILE says what is to become of events, by connection: filtered, sent, the exact bytes, or a map of bytes, contains, lacks, matches:\n\n" +
			"  tests:\n" +
			"    - name: alerts reach the SIEM\n" +
			"      event: {event_id: a1, event_type: alert, severity: high}\n" +
			"      expect:\n" +
			"        splunk-prod: {contains: '\"event_id\":\"a1\"'}\n" +
			"        archive: filtered\n\n" +
			"--diff compares the config with what the agent runs, and shows what a reload would start, stop, restart and keep.\n\n" +
			"The exit code is 78 for a config with mistakes, and 2 for tests that fail or a difference.",
		Example: `  siemd check -c /etc/siemd/siemd.yaml
  siemd check -c siemd.yaml --no-secrets --json
  siemd check -c siemd.yaml --tests siemd.tests.yaml --github
  siemd check --diff`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.path = args[0]
			}
			if c.diff && c.noSecrets {
				return errors.New("--diff compares secrets too: leave out --no-secrets")
			}
			return c.run(cmd.Context())
		},
	}
	configFlag(cmd, &c.path)
	f := cmd.Flags()
	f.StringSliceVar(&c.tests, "tests", nil, "file with events and what is to become of them")
	f.BoolVar(&c.json, "json", false, "print the result as JSON")
	f.BoolVar(&c.github, "github", false, "print mistakes as annotations of GitHub's workflows")
	f.BoolVar(&c.diff, "diff", false, "compare with what the agent runs")
	f.StringVar(&c.socket, "socket", "", "with --diff: the agent's socket; default: siemd.sock in the data_dir of the config")
	f.BoolVar(&c.noSecrets, "no-secrets", false, "do not resolve ${env:}, ${file:} and ${cred:}")
	return cmd
}

func (c *checkCommand) run(ctx context.Context) error {
	result := checked{Problems: []agent.Problem{}}
	cfg, problems := config.Load(c.path, config.Options{NoSecrets: c.noSecrets})
	result.Problems = append(result.Problems, problems...)
	code := exitOK
	if cfg == nil {
		code = exitConfig
	}
	host, _ := os.Hostname()
	for _, path := range c.tests {
		if cfg == nil {
			break
		}
		results, mistakes := runTests(cfg, host, path)
		result.Problems = append(result.Problems, mistakes...)
		result.Tests = append(result.Tests, results...)
		if len(mistakes) > 0 {
			code = exitConfig
		}
	}
	for _, t := range result.Tests {
		if !t.OK && code == exitOK {
			code = exitFound
		}
	}
	var plan supervisor.Plan
	if c.diff && cfg != nil {
		var err error
		if plan, err = c.compare(ctx, cfg); err != nil {
			return err
		}
		changed := !plan.Empty()
		result.Changed, result.Plan = &changed, plan
		if changed && code == exitOK {
			code = exitFound
		}
	}
	result.OK = code == exitOK
	if err := c.print(cfg, result); err != nil {
		return exit(exitIO, err)
	}
	if result.Changed != nil && !c.json {
		plan.Print(c.std.out)
		if !*result.Changed {
			fmt.Fprintln(c.std.out, "the agent runs this config")
		}
	}
	if code != exitOK {
		return exit(code, nil)
	}
	return nil
}

func (c *checkCommand) print(cfg *config.Config, r checked) error {
	switch {
	case c.json:
		return json.NewEncoder(c.std.out).Encode(r)
	case c.github:
		annotate(c.std.out, r)
	default:
		config.Print(c.std.err, r.Problems)
	}
	failed := 0
	for _, t := range r.Tests {
		if t.OK {
			fmt.Fprintf(c.std.out, "ok    %s\n", t.Name)
			continue
		}
		failed++
		fmt.Fprintf(c.std.out, "FAIL  %s (%s:%d)\n", t.Name, t.File, t.Line)
		for _, f := range t.Failures {
			fmt.Fprintf(c.std.out, "      %s\n", strings.ReplaceAll(f, "\n", "\n      "))
		}
	}
	if failed > 0 {
		fmt.Fprintf(c.std.out, "%d of %s failed\n", failed, count(len(r.Tests), "test"))
	}
	if cfg != nil && r.OK {
		fmt.Fprintf(c.std.out, "%s is valid: %s, %s\n", c.path, count(len(cfg.Inputs), "input"), count(len(cfg.Outputs), "output"))
	}
	return nil
}

// annotate writes the form that GitHub's workflows show beside the lines.
func annotate(w io.Writer, r checked) {
	for _, p := range r.Problems {
		kind := "error"
		if p.Warning {
			kind = "warning"
		}
		text := p.Message
		if p.Hint != "" {
			text += "\nhint: " + p.Hint
		}
		fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d::%s\n", kind, annotationKey(p.File), max(p.Line, 1), max(p.Column, 1), annotationText(text))
	}
	for _, t := range r.Tests {
		if !t.OK {
			fmt.Fprintf(w, "::error file=%s,line=%d::%s\n", annotationKey(t.File), t.Line, annotationText(t.Name+": "+strings.Join(t.Failures, "\n")))
		}
	}
}

var annotationEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func annotationText(s string) string { return annotationEscapes.Replace(s) }

func annotationKey(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(annotationEscapes.Replace(s))
}

// count is "1 input", "2 inputs".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
