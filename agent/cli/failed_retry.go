package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
)

func newFailedRetry(std streams) *cobra.Command {
	c := &failedCommand{std: std}
	wait := 5 * time.Minute
	cmd := &cobra.Command{
		Use: "retry [ID...]", Short: "send failed events again, and wait", Args: cobra.ArbitraryArgs,
		Long: "retry gives failed events to their connection once more: all of them, those with the given ids, or those that the flags pick.\n" +
			"The exit code is 2 if some were refused again, the time was not enough, or an id is not there.",
		Example: `  siemd failed retry --connection splunk-prod --max-age 12h
  siemd failed retry 0000000000000001 0000000000000002 --connection splunk-prod`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := c.limited(args...)
			if c.maxAge == 0 {
				q.Set("max_age_hours", strconv.Itoa(24*36500)) // all: the API's own default is a day
			}
			q.Set("wait", agent.Duration(wait).String())
			var a errandAnswer
			stop := progress(c.std.err, func() string { return "failed events are being sent" })
			err := c.do(cmd.Context(), http.MethodPost, "/retry-failed", q, nil, &a)
			stop()
			if err != nil {
				return err
			}
			if err := a.print(c.std.out, c.json); err != nil {
				return err
			}
			if n := len(args) - a.count(); n > 0 {
				return exit(exitFound, fmt.Errorf("%d of the %d events are in no failed store; 'siemd failed ls' lists what is", n, len(args)))
			}
			return nil
		},
	}
	c.remote.flags(cmd)
	c.selection.flags(cmd, 0, "most events of each connection, the oldest; 0: all")
	cmd.Flags().Var(durationFlag{&wait}, "wait", "how long to wait for the outcome, at most 10m")
	return cmd
}

// errandAnswer is what process-pending and retry-failed answer.
type errandAnswer struct {
	Message string            `json:"message"`
	Results map[string][2]int `json:"results"`
	Details map[string]string `json:"details,omitempty"`
}

// count is how many events it was about.
func (a *errandAnswer) count() (n int) {
	for _, r := range a.Results {
		n += r[0] + r[1]
	}
	return n
}

// print tells what came of it; the error has exit code 2 if not all is well.
func (a *errandAnswer) print(w io.Writer, asJSON bool) error {
	failed := len(a.Details) > 0
	for _, r := range a.Results {
		failed = failed || r[1] > 0
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(a); err != nil {
			return exit(exitIO, err)
		}
	} else {
		for _, name := range sortedNames(a.Results) {
			r := a.Results[name]
			fmt.Fprintf(w, "%s: %d sent, %d failed", name, r[0], r[1])
			if d := a.Details[name]; d != "" {
				fmt.Fprintf(w, "; %s", visible([]byte(d)))
			}
			fmt.Fprintln(w)
		}
		if len(a.Results) == 0 {
			fmt.Fprintln(w, a.Message)
		}
	}
	if failed {
		return exit(exitFound, nil)
	}
	return nil
}

func newFailedPurge(std streams) *cobra.Command {
	c := &failedCommand{std: std}
	var yes bool
	cmd := &cobra.Command{
		Use: "purge [ID...]", Short: "remove failed events for good; they count as expired", Args: cobra.ArbitraryArgs,
		Example: `  siemd failed purge --connection splunk-prod --match "invalid index" --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("purge removes events for good: say --yes; 'siemd failed ls' with the same flags shows which")
			}
			var a struct {
				Removed map[string]int `json:"removed"`
			}
			err := busy(c.std, "failed events are removed", func() error {
				return c.do(cmd.Context(), http.MethodDelete, "/failed", c.limited(args...), nil, &a)
			})
			if err != nil {
				return err
			}
			if c.json {
				return json.NewEncoder(c.std.out).Encode(a)
			}
			for _, name := range sortedNames(a.Removed) {
				fmt.Fprintf(c.std.out, "%s: %d removed\n", name, a.Removed[name])
			}
			return nil
		},
	}
	c.remote.flags(cmd)
	c.selection.flags(cmd, 0, "most events of each connection, the oldest; 0: all")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
