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
)

func newExport(std streams) *cobra.Command {
	var r remote
	var connections []string
	var typ, source string
	wait := 5 * time.Second
	cmd := &cobra.Command{
		Use: "export [FILE | '{...}']", Short: "store one event and say which connections have delivered it", Args: cobra.MaximumNArgs(1),
		Long: "export hands one event to the agent. It is on disk before export says so; then it waits for the connections that take it, or for the named ones,\n" +
			"and only these get it. The exit code is 2 if one of them has not delivered it in time.",
		Example: `  siemd export '{"event_type":"alert","severity":"high","title":"test"}' --connection splunk-prod
  siemd export alert.json --key "$JOB_ID"    # again and again, stored once`,
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
	r.keyFlag(cmd)
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
