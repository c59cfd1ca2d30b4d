package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// connection is what a table shows of a connection object.
type connection struct {
	ID        string `json:"connection_id"`
	Name      string `json:"name"`
	Type      string `json:"siem_type"`
	Endpoint  string `json:"endpoint"`
	Enabled   bool   `json:"enabled"`
	Health    string `json:"health_status"`
	ManagedBy string `json:"managed_by"`
	Sent      uint64 `json:"total_events_sent"`
	Failed    uint64 `json:"total_events_failed"`
}

func newConnections(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "connections ls|show|add|set|rm",
		Aliases: []string{"connection"},
		Short:   "the agent's connections: those of the config, and those made through its API",
		Long: "Connections of the config file can be seen here and are changed there. Those made with add live in the agent's data_dir, secrets encrypted.\n" +
			"Fields are given as name=value, as in the REST API: 'siemd connections add --help' lists the usual ones. A value @FILE is read from a file,\n" +
			"@- from stdin: secrets do not belong on command lines.",
		Example: `  siemd connections ls
  siemd connections add name=splunk-lab siem_type=splunk endpoint=splunk.lab auth_type=token auth_token=@hec.token enabled_event_types=alert,anomaly
  siemd connections set SIEM-CONN-1A2B3C4D enabled=false
  siemd connections rm SIEM-CONN-1A2B3C4D`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand(std),
	}
	cmd.AddCommand(newConnectionsLs(std), newConnectionsShow(std), newConnectionsAdd(std), newConnectionsSet(std), newConnectionsRm(std))
	return cmd
}

func newConnectionsLs(std streams) *cobra.Command {
	var r remote
	var enabled bool
	cmd := &cobra.Command{
		Use: "ls", Short: "list all connections", Args: cobra.NoArgs,
		Example: `  siemd connections ls --json | jq -r '.[] | select(.health_status == "failed") | .connection_id'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if enabled {
				q.Set("enabled_only", "true")
			}
			var raw json.RawMessage
			if err := r.get(cmd.Context(), "/connections", q, &raw); err != nil {
				return err
			}
			if r.json {
				return printRaw(std.out, raw)
			}
			var list []connection
			if err := json.Unmarshal(raw, &list); err != nil {
				return exit(exitFailure, err)
			}
			t := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "CONNECTION\tNAME\tTYPE\tENDPOINT\tENABLED\tHEALTH\tSENT\tFAILED\tMANAGED BY")
			for _, c := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%v\t%s\t%d\t%d\t%s\n", c.ID, short(c.Name, 40), c.Type, short(c.Endpoint, 60), c.Enabled, c.Health, c.Sent, c.Failed, c.ManagedBy)
			}
			if err := t.Flush(); err != nil {
				return exit(exitIO, err)
			}
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&enabled, "enabled", false, "leave out those that are disabled")
	return cmd
}

func newConnectionsShow(std streams) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use: "show CONNECTION", Short: "everything about one connection, secrets hidden, as JSON", Args: cobra.ExactArgs(1),
		Example: `  siemd connections show splunk-prod`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := r.get(cmd.Context(), "/connections/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			return printRaw(std.out, raw)
		},
	}
	r.flags(cmd)
	return cmd
}

const connectionFieldsHelp = `Fields: name, siem_type (splunk, elastic, syslog, cef, qradar, http), endpoint, port, use_ssl, verify_ssl, auth_type (token, basic, apikey;
for syslog, cef and qradar udp, tcp or tls), auth_token, username, password, index_name, source_type, facility, severity_mapping,
enabled_event_types (a,b,c or *), min_severity, batch_size, batch_interval_seconds, max_retries, retry_delay_seconds, enabled, and
options.KEY for any other key of the output. Values that are JSON are taken as such. --file takes the whole object as JSON.`

func newConnectionsAdd(std streams) *cobra.Command {
	var r remote
	var file string
	cmd := &cobra.Command{
		Use: "add NAME=VALUE...", Short: "make a connection", Args: cobra.ArbitraryArgs,
		Long: "add makes a connection, which begins at once. It needs name, siem_type, endpoint and enabled_event_types, and auth_type where the target wants it.\n\n" +
			connectionFieldsHelp,
		Example: `  siemd connections add name=es siem_type=elastic endpoint=https://es.example.com:9200 auth_type=apikey auth_token=@es.key 'enabled_event_types=*'
  siemd connections add --file connection.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			fields, err := connectionFields(std, file, args)
			if err != nil {
				return err
			}
			return changeConnection(cmd, &r, std, http.MethodPost, "/connections", fields, "made")
		},
	}
	r.flags(cmd)
	r.keyFlag(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file with the object as JSON; - for stdin")
	return cmd
}

func newConnectionsSet(std streams) *cobra.Command {
	var r remote
	var file string
	cmd := &cobra.Command{
		Use: "set CONNECTION NAME=VALUE...", Short: "change fields of a connection that was made here", Args: cobra.MinimumNArgs(1),
		Long:    "set changes the given fields and keeps the others, secrets included. A new host wants its secret again.\n\n" + connectionFieldsHelp,
		Example: `  siemd connections set SIEM-CONN-1A2B3C4D min_severity=high options.compression=gzip`,
		RunE: func(cmd *cobra.Command, args []string) error {
			fields, err := connectionFields(std, file, args[1:])
			if err != nil {
				return err
			}
			return changeConnection(cmd, &r, std, http.MethodPut, "/connections/"+url.PathEscape(args[0]), fields, "changed")
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file with the fields as JSON; - for stdin")
	return cmd
}

func changeConnection(cmd *cobra.Command, r *remote, std streams, method, path string, fields map[string]any, what string) error {
	if len(fields) == 0 {
		return errors.New("there are no fields: give them as name=value")
	}
	var raw json.RawMessage
	err := busy(std, "the agent builds the connection", func() error { return r.do(cmd.Context(), method, path, nil, fields, &raw) })
	if err != nil {
		return err
	}
	if r.json {
		return printRaw(std.out, raw)
	}
	var c connection
	if err := json.Unmarshal(raw, &c); err != nil {
		return exit(exitFailure, err)
	}
	fmt.Fprintf(std.out, "%s is %s; 'siemd test %s' checks it\n", c.ID, what, c.ID)
	return nil
}

func newConnectionsRm(std streams) *cobra.Command {
	var r remote
	var force bool
	cmd := &cobra.Command{
		Use: "rm CONNECTION", Short: "remove a connection that was made here", Args: cobra.ExactArgs(1),
		Long:    "rm refuses as long as events wait for the connection: 'siemd drain' sends them, --force gives them up.",
		Example: `  siemd drain SIEM-CONN-1A2B3C4D && siemd connections rm SIEM-CONN-1A2B3C4D`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{}
			if force {
				q.Set("force", "true")
			}
			var a struct {
				Message string `json:"message"`
				ID      string `json:"connection_id"`
				GivenUp uint64 `json:"pending_events"`
				Failed  uint64 `json:"failed_events"`
			}
			err := busy(std, "the agent removes the connection", func() error {
				return r.do(cmd.Context(), http.MethodDelete, "/connections/"+url.PathEscape(args[0]), q, nil, &a)
			})
			if err != nil {
				return err
			}
			if r.json {
				return json.NewEncoder(std.out).Encode(a)
			}
			fmt.Fprintln(std.out, visible([]byte(a.Message)))
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also if events wait for it, which are given up")
	return cmd
}

// connectionFields makes the object of a request from a file and name=value words.
func connectionFields(std streams, file string, words []string) (map[string]any, error) {
	fields := map[string]any{}
	if file != "" {
		data, err := readArg(std, file)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, fmt.Errorf("%s: not a JSON object: %w", file, err)
		}
	}
	for _, w := range words {
		name, text, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not name=value", w)
		}
		if from, ok := strings.CutPrefix(text, "@"); ok {
			data, err := readArg(std, from)
			if err != nil {
				return nil, err
			}
			setField(fields, name, strings.TrimRight(string(data), "\r\n"))
			continue
		}
		setField(fields, name, fieldValue(name, text))
	}
	return fields, nil
}

// textFields are never taken for JSON: a token may consist of digits.
var textFields = map[string]bool{
	"name": true, "siem_type": true, "endpoint": true, "auth_type": true, "auth_token": true, "username": true, "password": true,
	"index_name": true, "source_type": true, "facility": true, "min_severity": true,
}

func fieldValue(name, text string) any {
	switch {
	case textFields[name]:
		return text
	case name == "enabled_event_types" && !strings.HasPrefix(text, "["):
		return strings.Split(text, ",")
	}
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

// setField sets a field; "options.KEY.KEY" goes into objects.
func setField(fields map[string]any, name string, v any) {
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		fields[name] = v
		return
	}
	inner, _ := fields[head].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		fields[head] = inner
	}
	setField(inner, rest, v)
}

// readArg reads a file that an argument names, or stdin for -.
func readArg(std streams, name string) (data []byte, err error) {
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(std.in, 1<<20))
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, exit(exitIO, err)
	}
	return data, nil
}

// printRaw prints an answer of the agent, indented.
func printRaw(w io.Writer, raw json.RawMessage) error {
	data, err := json.MarshalIndent(raw, "", "  ")
	if err != nil {
		return exit(exitFailure, err)
	}
	if _, err := w.Write(append(data, '\n')); err != nil {
		return exit(exitIO, err)
	}
	return nil
}
