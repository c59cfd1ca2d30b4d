package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

func newExport(std streams) *cobra.Command {
	var r remote
	var connections []string
	var typ, source string
	wait := 5 * time.Second
	cmd := &cobra.Command{
		Use: "export [FILE | '{...}']", Short: "store one event and say which connections have delivered it", Args: cobra.MaximumNArgs(1),
		Long: "export hands one event to the agent. It is on disk before export says so; then it waits for the connections that take it, or for the named ones,\n" +
			"and only these get it. The exit code is 2 if one of them has not delivered it in time.",
		Example: `  siemd export '{"event_type":"alert","severity":"high","title":"test"}' --connection splunk-prod`,
		RunE: func(cmd *cobra.Command, args []string) error {
			arg := ""
			if len(args) == 1 {
				arg = args[0]
			}
			events, err := readEvents(arg, std.in)
			if err != nil {
				return err
			}
			if len(events) != 1 {
				return fmt.Errorf("export takes one event, not %d; 'siemd send' takes many", len(events))
			}
			if !json.Valid(events[0]) {
				return errors.New("the event is not JSON; 'siemd explain' says where")
			}
			in := map[string]any{"event_type": typ, "event_source": source, "event_data": json.RawMessage(events[0])}
			if typ == "" {
				var own struct {
					Type string `json:"event_type"`
				}
				if json.Unmarshal(events[0], &own) != nil || own.Type == "" {
					return errors.New("the event has no event_type: add one, or say --type")
				}
				in["event_type"] = own.Type
			}
			if len(connections) > 0 {
				in["connections"] = connections
			}
			var a exported
			stop := progress(std.err, func() string { return "waiting for connections" })
			err = r.do(cmd.Context(), http.MethodPost, "/export", url.Values{"wait": {agent.Duration(wait).String()}}, in, &a)
			stop()
			if err != nil {
				return err
			}
			return a.print(std, r.json)
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&connections, "connection", nil, "only to these connections")
	f.StringVar(&typ, "type", "", "event type, if the event has none")
	f.StringVar(&source, "source", "", "source, if the event has none")
	f.Var(durationFlag{&wait}, "wait", "how long to wait, at most 60s")
	return cmd
}

// exported is the API's answer to an export.
type exported struct {
	Message string            `json:"message"`
	EventID string            `json:"event_id"`
	Seq     uint64            `json:"seq"`
	Results map[string]bool   `json:"results"`
	Details map[string]string `json:"details,omitempty"`
}

func (a *exported) print(std streams, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(std.out).Encode(a); err != nil {
			return exit(exitIO, err)
		}
	} else {
		fmt.Fprintf(std.out, "event %s, number %d: %s\n", visible([]byte(a.EventID)), a.Seq, a.Message)
	}
	all := true
	for _, name := range sortedNames(a.Results) {
		all = all && a.Results[name]
		if asJSON {
			continue
		}
		result := "delivered"
		if !a.Results[name] {
			result = visible([]byte(a.Details[name]))
		}
		fmt.Fprintf(std.out, "%s: %s\n", name, result)
	}
	if !all {
		return exit(exitFound, nil)
	}
	return nil
}
