package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newFailedShow(std streams) *cobra.Command {
	c := &failedCommand{std: std}
	cmd := &cobra.Command{
		Use: "show ID", Short: "show one failed event, its answer and its body", Args: cobra.ExactArgs(1),
		Example: `  siemd failed show 0000000000000001 --connection splunk-prod`,
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			_, err := c.pages(cmd.Context(), "/failed", c.query(args[0]), 0, func(item json.RawMessage) error {
				n++
				if c.json {
					return c.lineWriter()(item)
				}
				return c.show(item, n)
			})
			if err == nil && n == 0 {
				return exit(exitFailure, fmt.Errorf("there is no failed event %q", args[0]))
			}
			return err
		},
	}
	c.remote.flags(cmd)
	cmd.Flags().StringVar(&c.connection, "connection", "", "only of this connection: each numbers its own")
	return cmd
}

func (c *failedCommand) show(item json.RawMessage, n int) error {
	var e failedEvent
	if err := json.Unmarshal(item, &e); err != nil {
		return exit(exitFailure, err)
	}
	var b bytes.Buffer
	if n > 1 {
		b.WriteByte('\n')
	}
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, f := range [][2]string{
		{"id", e.ID},
		{"connection", e.ConnectionID},
		{"refused", e.Time.UTC().Format(time.RFC3339)},
		{"endpoint", e.Endpoint},
		{"status", status(e.Status)},
		{"answer", e.Answer},
		{"attempts", strconv.Itoa(e.Attempts)},
		{"seq", strconv.FormatUint(e.Seq, 10)},
		{"event_id", e.EventID},
		{"event_type", e.EventType},
	} {
		fmt.Fprintf(t, "%s\t%s\n", f[0], visible([]byte(f[1])))
	}
	_ = t.Flush() // b is a buffer
	var pretty bytes.Buffer
	if json.Indent(&pretty, e.Event, "", "  ") != nil {
		pretty.Write(e.Event)
	}
	b.WriteString("event\n")
	for line := range bytes.Lines(pretty.Bytes()) {
		b.WriteString("  " + visible(bytes.TrimSuffix(line, []byte("\n"))) + "\n")
	}
	_, err := c.std.out.Write(b.Bytes())
	if err != nil {
		return exit(exitIO, err)
	}
	return nil
}

func newFailedExport(std streams) *cobra.Command {
	c := &failedCommand{std: std}
	var bodies bool
	cmd := &cobra.Command{
		Use: "export [FILE]", Short: "write failed events as JSONL, and keep them", Args: cobra.MaximumNArgs(1),
		Example: `  siemd failed export failed.jsonl
  siemd failed export --events --connection splunk-prod | siemd send`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var buf bytes.Buffer
			n := 0
			_, err := c.pages(cmd.Context(), "/failed", c.query(), c.limit, func(item json.RawMessage) error {
				if bodies {
					var e failedEvent
					if err := json.Unmarshal(item, &e); err != nil {
						return exit(exitFailure, err)
					}
					item = e.Event
				}
				n++
				buf.Write(item)
				buf.WriteByte('\n')
				return nil
			})
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] != "-" {
				if err := writeNew(args[0], buf.Bytes()); err != nil {
					return err
				}
				fmt.Fprintf(c.std.err, "siemd: %s in %s\n", count(n, "event"), args[0])
				return nil
			}
			if _, err := c.std.out.Write(buf.Bytes()); err != nil {
				return exit(exitIO, err)
			}
			return nil
		},
	}
	c.remote.flags(cmd)
	c.selection.flags(cmd, 0, "at most so many; 0: all")
	cmd.Flags().BoolVar(&bodies, "events", false, "only the events as their sender wrote them")
	return cmd
}

// writeNew makes a file that must not be there, readable by its owner only:
// events are nobody else's business.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return exit(exitCannotMake, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return exit(exitIO, err)
	}
	return nil
}
