package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// selection are the flags that pick events.
type selection struct {
	connection, typ, match string
	severity               string
	maxAge                 time.Duration
	limit                  int
}

func (s *selection) flags(cmd *cobra.Command, limit int, limitHelp string) {
	f := cmd.Flags()
	f.StringVar(&s.connection, "connection", "", "only of this connection")
	f.StringVar(&s.typ, "type", "", "only events of this type")
	f.StringVar(&s.severity, "severity", "", "only events of at least this severity")
	f.Var(durationFlag{&s.maxAge}, "max-age", "only what was refused in the last so long, as 12h or 7d")
	f.StringVar(&s.match, "match", "", "only events that hold this text, or whose answer does, in any case")
	if limitHelp != "" {
		f.IntVar(&s.limit, "limit", limit, limitHelp)
	}
}

// query is the selection as the API has it.
func (s *selection) query(ids ...string) url.Values {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("connection", s.connection)
	set("event_type", s.typ)
	set("severity", s.severity)
	set("match", s.match)
	if s.maxAge > 0 {
		q.Set("max_age_hours", strconv.FormatFloat(s.maxAge.Hours(), 'f', -1, 64))
	}
	for _, id := range ids {
		q.Add("id", id)
	}
	return q
}

// limited is query with the limit, which is not that of a page.
func (s *selection) limited(ids ...string) url.Values {
	q := s.query(ids...)
	if s.limit != 0 {
		q.Set("limit", strconv.Itoa(s.limit))
	}
	return q
}

// failedEvent is an item of GET /failed.
type failedEvent struct {
	ID           string          `json:"id"`
	Time         time.Time       `json:"time"`
	Seq          uint64          `json:"seq"`
	EventID      string          `json:"event_id"`
	EventType    string          `json:"event_type"`
	ConnectionID string          `json:"connection_id"`
	Endpoint     string          `json:"endpoint"`
	Status       int             `json:"status"`
	Answer       string          `json:"answer"`
	Attempts     int             `json:"attempts"`
	Event        json.RawMessage `json:"event"`
}

// refusedItem is an item of GET /refused.
type refusedItem struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Input  string    `json:"input"`
	File   string    `json:"file"`
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	Line   string    `json:"line"`
}

// failedCommand is siemd failed.
type failedCommand struct {
	remote
	selection
	std streams
}

func newFailed(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failed ls|show|retry|export|purge",
		Short: "the events that a SIEM refused, with its reasons",
		Long: "An event that its SIEM has definitely refused is kept with the answer, until it is sent again, purged, or too old (failed.max_age).\n" +
			"Lines that could not become events at all are listed by ls --refused.",
		Example: `  siemd failed ls
  siemd failed ls --connection splunk-prod --match "invalid index" --json
  siemd failed retry --connection splunk-prod --max-age 12h
  siemd failed export failed.jsonl --type anomaly`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand(std),
	}
	cmd.AddCommand(newFailedLs(std), newFailedShow(std), newFailedRetry(std), newFailedExport(std), newFailedPurge(std))
	return cmd
}

// maxPage is the most items that the API gives at once.
const maxPage = 1000

// pages calls f with each item of a paged list as the agent wrote it, until
// limit (0: no limit) or the end. more says that there are others.
func (r *remote) pages(ctx context.Context, path string, q url.Values, limit int, f func(item json.RawMessage) error) (more bool, err error) {
	if q == nil {
		q = url.Values{}
	}
	for n := 0; ; {
		size := maxPage
		if limit > 0 {
			size = min(size, limit-n)
		}
		q.Set("limit", strconv.Itoa(size))
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  *string           `json:"next"`
		}
		if err := r.get(ctx, path, q, &page); err != nil {
			return false, err
		}
		for _, item := range page.Items {
			if err := f(item); err != nil {
				return false, err
			}
			n++
		}
		switch {
		case page.Next == nil || *page.Next == "":
			return false, nil
		case limit > 0 && n >= limit:
			return true, nil
		}
		q.Set("cursor", *page.Next)
	}
}

func newFailedLs(std streams) *cobra.Command {
	c := &failedCommand{std: std}
	var refused bool
	cmd := &cobra.Command{
		Use: "ls", Short: "list failed events, or with --refused the lines that could not become events", Args: cobra.NoArgs,
		Example: `  siemd failed ls --connection splunk-prod --severity high
  siemd failed ls --json --limit 0 | jq -r .answer | sort | uniq -c
  siemd failed ls --refused`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if refused {
				return c.lsRefused(cmd.Context())
			}
			return c.ls(cmd.Context())
		},
	}
	c.remote.flags(cmd)
	c.selection.flags(cmd, 100, "at most so many; 0: all")
	cmd.Flags().BoolVar(&refused, "refused", false, "list refused lines: --connection stands for the input, --type for the reason")
	return cmd
}

// lineWriter writes items, one a line.
func (c *failedCommand) lineWriter() func(json.RawMessage) error {
	return func(item json.RawMessage) error {
		if _, err := c.std.out.Write(append(item, '\n')); err != nil {
			return exit(exitIO, err)
		}
		return nil
	}
}

func (c *failedCommand) ls(ctx context.Context) error {
	if c.json {
		_, err := c.pages(ctx, "/failed", c.query(), c.limit, c.lineWriter())
		return err
	}
	t := tabwriter.NewWriter(c.std.out, 0, 8, 2, ' ', 0)
	n := 0
	more, err := c.pages(ctx, "/failed", c.query(), c.limit, func(item json.RawMessage) error {
		var e failedEvent
		if err := json.Unmarshal(item, &e); err != nil {
			return exit(exitFailure, err)
		}
		if n++; n == 1 {
			fmt.Fprintln(t, "ID\tREFUSED\tCONNECTION\tSTATUS\tATTEMPTS\tTYPE\tEVENT\tANSWER")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.ID, e.Time.UTC().Format(time.RFC3339), e.ConnectionID, status(e.Status), e.Attempts,
			short(e.EventType, 24), short(e.EventID, 40), short(e.Answer, 80))
		return nil
	})
	return c.end(t, n, more, err, "failed event")
}

func (c *failedCommand) lsRefused(ctx context.Context) error {
	q := url.Values{}
	picked := func(l *refusedItem) bool {
		return (c.connection == "" || l.Input == c.connection) && (c.typ == "" || l.Reason == c.typ) &&
			(c.maxAge == 0 || time.Since(l.Time) <= c.maxAge) && containsFold(l.Line, c.match)
	}
	if c.severity != "" {
		return errors.New("refused lines have no severity")
	}
	t := tabwriter.NewWriter(c.std.out, 0, 8, 2, ' ', 0)
	n := 0
	errEnough := errors.New("enough")
	_, err := c.pages(ctx, "/refused", q, 0, func(item json.RawMessage) error {
		var l refusedItem
		if err := json.Unmarshal(item, &l); err != nil {
			return exit(exitFailure, err)
		}
		if !picked(&l) {
			return nil
		}
		if c.limit > 0 && n == c.limit {
			return errEnough
		}
		n++
		if c.json {
			return c.lineWriter()(item)
		}
		if n == 1 {
			fmt.Fprintln(t, "ID\tREFUSED\tINPUT\tFILE\tOFFSET\tREASON\tDETAIL\tLINE")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", l.ID, l.Time.UTC().Format(time.RFC3339), l.Input, short(l.File, 60), l.Offset,
			l.Reason, short(l.Detail, 60), short(l.Line, 60))
		return nil
	})
	more := errors.Is(err, errEnough)
	if more {
		err = nil
	}
	if c.json {
		return err
	}
	return c.end(t, n, more, err, "refused line")
}

// end finishes a table.
func (c *failedCommand) end(t *tabwriter.Writer, n int, more bool, err error, what string) error {
	if err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return exit(exitIO, err)
	}
	switch {
	case more:
		fmt.Fprintf(c.std.err, "siemd: there are more; --limit 0 lists all\n")
	case n == 0:
		fmt.Fprintf(c.std.err, "siemd: no %s\n", what)
	}
	return nil
}

// status is an HTTP status, or - for protocols without.
func status(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
