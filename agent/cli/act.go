package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/client"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

func newDrain(std streams) *cobra.Command {
	var r remote
	wait := time.Minute
	cmd := &cobra.Command{
		Use: "drain CONNECTION", Short: "send what waits for one connection, without linger, and wait", Args: cobra.ExactArgs(1),
		Long:    "drain sends everything that waits for a connection. The exit code is 2 if something still waits when the time is over; it goes on being sent.",
		Example: `  siemd drain splunk-prod --wait 5m`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var a struct {
				Message string `json:"message"`
				Pending uint64 `json:"pending_events"`
			}
			stop := progress(std.err, func() string { return "what waits for " + args[0] + " is being sent" })
			err := r.do(cmd.Context(), http.MethodPost, "/connections/"+url.PathEscape(args[0])+"/drain", url.Values{"wait": {agent.Duration(wait).String()}}, nil, &a)
			stop()
			if err != nil {
				return err
			}
			if r.json {
				if err := json.NewEncoder(std.out).Encode(a); err != nil {
					return exit(exitIO, err)
				}
			} else {
				fmt.Fprintf(std.out, "%s: %s\n", args[0], visible([]byte(a.Message)))
			}
			if a.Pending > 0 {
				return exit(exitFound, nil)
			}
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().Var(durationFlag{&wait}, "wait", "how long to wait, at most 10m")
	return cmd
}

func newReload(std streams) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use: "reload", Short: "have the agent load its config anew, and say what changed or why not", Args: cobra.NoArgs,
		Long: "reload waits until the new config runs and prints what was started, stopped, restarted and kept. A config with mistakes changes nothing:\n" +
			"they are printed, the exit code is 78, and the old one runs on. 'siemd check --diff' shows the same beforehand.",
		Example: `  siemd reload
  siemd check && siemd reload`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			var a supervisor.Reload
			stop := progress(std.err, func() string { return "the agent loads its config" })
			err = c.Post(cmd.Context(), apiPrefix+"/reload", nil, &a)
			stop()
			if err != nil {
				return reloadError(std, r.json, err)
			}
			if r.json {
				return json.NewEncoder(std.out).Encode(a)
			}
			config.Print(std.err, a.Warnings)
			a.Plan.Print(std.out)
			what := "nothing has changed"
			if a.Changed {
				what = "the new config runs"
			}
			fmt.Fprintf(std.out, "%s, generation %d\n", what, a.Generation)
			return nil
		},
	}
	r.flags(cmd)
	return cmd
}

// reloadError prints what is wrong with the config.
func reloadError(std streams, asJSON bool, err error) error {
	var e *client.Error
	if !errors.As(err, &e) || e.Status != http.StatusUnprocessableEntity {
		return remoteError(err)
	}
	if asJSON {
		if err := json.NewEncoder(std.out).Encode(e); err != nil {
			return exit(exitIO, err)
		}
		return exit(exitConfig, nil)
	}
	list := problemsOf(e)
	config.Print(std.err, list)
	if len(list) > 0 {
		return exit(exitConfig, errors.New(e.Title))
	}
	return exit(exitConfig, e)
}

func newPurge(std streams) *cobra.Command {
	var r remote
	var yes bool
	cmd := &cobra.Command{
		Use: "purge NAME", Short: "forget a connection that is gone from the config, and what waits for it", Args: cobra.ExactArgs(1),
		Long: "A connection that disappears from the config keeps its place in the log and its failed events, in case it comes back, and holds the log's disk\n" +
			"space. 'siemd status' calls it an orphan. purge gives all of that up.",
		Example: `  siemd purge old-splunk --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("purge gives up every event that waits: say --yes; 'siemd status' shows how many there are")
			}
			var a struct {
				Message string `json:"message"`
				GivenUp uint64 `json:"events_given_up"`
			}
			err := busy(std, "the agent gives up what waits for "+args[0], func() error {
				return r.do(cmd.Context(), http.MethodPost, "/orphans/"+url.PathEscape(args[0])+"/purge", nil, nil, &a)
			})
			if err != nil {
				return err
			}
			if r.json {
				return json.NewEncoder(std.out).Encode(a)
			}
			fmt.Fprintf(std.out, "%s: %s\n", args[0], a.Message)
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func newFlush(std streams) *cobra.Command {
	var r remote
	var connection string
	limit, wait := 1000, 30*time.Second
	cmd := &cobra.Command{
		Use: "flush", Short: "have waiting events sent now, without linger or backoff, and wait for the outcome", Args: cobra.NoArgs,
		Example: `  siemd flush --connection splunk-prod --limit 5000`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}, "wait": {agent.Duration(wait).String()}}
			if connection != "" {
				q.Set("connection", connection)
			}
			var a errandAnswer
			stop := progress(std.err, func() string { return "waiting events are being sent" })
			err := r.do(cmd.Context(), http.MethodPost, "/process-pending", q, nil, &a)
			stop()
			if err != nil {
				return err
			}
			return a.print(std.out, r.json)
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&connection, "connection", "", "only of this one")
	f.IntVar(&limit, "limit", limit, "most events of each connection")
	f.Var(durationFlag{&wait}, "wait", "how long to wait, at most 10m")
	return cmd
}
