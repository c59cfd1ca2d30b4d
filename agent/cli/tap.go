package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// tapCommand is siemd tap.
type tapCommand struct {
	remote
	std         streams
	input       string
	connection  string
	typ, match  string
	severity    string
	maxAge      time.Duration
	limit, rate int
}

func newTap(std streams) *cobra.Command {
	c := &tapCommand{std: std}
	cmd := &cobra.Command{
		Use:   "tap [CONNECTION | INPUT]",
		Short: "a live copy of what flows",
		Long: "tap shows events as they come in: what an input took, or what a connection takes, as it sends it. It slows nothing down: what is too much\n" +
			"for --rate is counted and passed over. It ends with Ctrl-C, after --limit events, or with the agent.",
		Example: `  siemd tap
  siemd tap splunk-prod --severity high
  siemd tap apps --match mac-7 --limit 10 --json | jq .event`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.tap(cmd.Context(), args)
			if cmd.Context().Err() != nil {
				return nil // Ctrl-C is how it ends, whatever it was at
			}
			return err
		},
	}
	c.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.connection, "connection", "", "what this connection takes, as it sends it")
	f.StringVar(&c.input, "input", "", "what this input took")
	f.StringVar(&c.typ, "type", "", "only events of this type")
	f.StringVar(&c.severity, "severity", "", "only events of at least this severity")
	f.StringVar(&c.match, "match", "", "only events that hold this text, in any case")
	f.Var(durationFlag{&c.maxAge}, "max-age", "only events that happened in the last so long")
	f.IntVarP(&c.limit, "limit", "n", 0, "end after so many events; 0: never")
	f.IntVar(&c.rate, "rate", 1000, "most events in a second")
	return cmd
}

func (c *tapCommand) tap(ctx context.Context, args []string) error {
	if len(args) == 1 {
		if c.connection != "" || c.input != "" {
			return errors.New("name the component as an argument or with a flag, not both")
		}
		if err := c.component(ctx, args[0]); err != nil {
			return err
		}
	}
	return c.run(ctx)
}

// component finds out whether name is an input or a connection.
func (c *tapCommand) component(ctx context.Context, name string) error {
	var st struct {
		Inputs  []struct{ Name string }
		Outputs []struct{ Name string }
	}
	if err := c.get(ctx, "/status", nil, &st); err != nil {
		return err
	}
	var names []string
	for _, o := range st.Outputs {
		if o.Name == name {
			c.connection = name
			return nil
		}
		names = append(names, o.Name)
	}
	for _, in := range st.Inputs {
		if in.Name == name {
			c.input = name
			return nil
		}
		names = append(names, in.Name)
	}
	return unknownName("connection or input", name, names)
}

// tapEvent is one event of the stream.
type tapEvent struct {
	Seq       uint64          `json:"seq"`
	Time      time.Time       `json:"time"`
	Received  time.Time       `json:"received"`
	EventID   string          `json:"event_id"`
	EventType string          `json:"event_type"`
	Severity  string          `json:"severity"`
	Input     string          `json:"input"`
	Event     json.RawMessage `json:"event"`
	Rendered  string          `json:"rendered"`
	Error     string          `json:"error"`
}

func (c *tapCommand) run(ctx context.Context) error {
	q := url.Values{"rate": {strconv.Itoa(c.rate)}}
	for key, value := range map[string]string{"connection": c.connection, "input": c.input, "type": c.typ, "severity": c.severity, "match": c.match} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if c.limit > 0 && c.maxAge == 0 { // else we count ourselves
		q.Set("limit", strconv.Itoa(c.limit))
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	resp, err := client.Open(ctx, http.MethodGet, apiPrefix+"/tap?"+q.Encode(), nil)
	if err != nil {
		return remoteError(err)
	}
	defer resp.Body.Close()
	return c.follow(resp.Body)
}

// follow shows a stream of server-sent events.
func (c *tapCommand) follow(body io.Reader) error {
	r := bufio.NewReaderSize(body, 64<<10)
	kind, shown := "", 0
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the agent closed the connection")
			}
			return exit(exitFailure, err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if text, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			kind = string(text)
			continue
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		switch {
		case !ok:
		case kind == "event":
			more, err := c.show(data)
			if err != nil {
				return err
			}
			if more {
				shown++
			}
			if c.limit > 0 && shown == c.limit {
				return nil
			}
		case kind == "skipped":
			var s struct{ Events uint64 }
			if json.Unmarshal(data, &s) == nil {
				fmt.Fprintf(c.std.err, "siemd: %d events were too many for --rate and are not shown\n", s.Events)
			}
		case kind == "end":
			var s struct{ Reason string }
			_ = json.Unmarshal(data, &s) // without a reason it ends all the same
			if s.Reason != "limit" {
				fmt.Fprintf(c.std.err, "siemd: %s\n", visible([]byte(s.Reason)))
			}
			return nil
		}
	}
}

// show prints one event, unless it is too old.
func (c *tapCommand) show(data []byte) (shown bool, err error) {
	var e tapEvent
	if err := json.Unmarshal(data, &e); err != nil {
		return false, exit(exitFailure, fmt.Errorf("the agent's answer: %w", err))
	}
	if c.maxAge > 0 && time.Since(e.Time) > c.maxAge {
		return false, nil
	}
	var b bytes.Buffer
	switch {
	case c.json:
		b.Write(data)
		b.WriteByte('\n')
	case e.Error != "":
		fmt.Fprintf(&b, "%d cannot be sent: %s: %s\n", e.Seq, visible([]byte(e.Error)), visible(e.Event))
	case e.Rendered != "":
		for line := range bytes.Lines([]byte(e.Rendered)) {
			b.WriteString(visible(bytes.TrimSuffix(line, []byte("\n"))) + "\n")
		}
	default:
		b.WriteString(visible(e.Event) + "\n")
	}
	if _, err := c.std.out.Write(b.Bytes()); err != nil {
		return false, exit(exitIO, err)
	}
	return true, nil
}
