package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// auditCommand is siemd audit.
type auditCommand struct {
	remote
	std    streams
	follow bool
	limit  int
	action string
	actor  string
}

func newAudit(std streams) *cobra.Command {
	c := &auditCommand{std: std}
	cmd := &cobra.Command{
		Use: "audit", Short: "who changed what, when, and with what result", Args: cobra.NoArgs,
		Long: "audit prints the audit log, which also holds reloads, retries, purges and failed logins. It reads audit.jsonl in the agent's data_dir; no agent need run.",
		Example: `  siemd audit --limit 20
  siemd audit --follow --json | jq 'select(.result != "ok")'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	c.flags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&c.follow, "follow", "f", false, "go on with what comes")
	f.IntVar(&c.limit, "limit", 100, "the last so many; 0: all")
	f.StringVar(&c.action, "action", "", "only this action, as reload")
	f.StringVar(&c.actor, "actor", "", "only by this one")
	return cmd
}

// auditPoll is how often audit --follow looks for more.
const auditPoll = 200 * time.Millisecond

func (c *auditCommand) run(ctx context.Context) error {
	dir, err := c.dataDir()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, supervisor.AuditName)
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case errors.Is(err, fs.ErrNotExist):
		return exit(exitIO, fmt.Errorf("%w: no agent has run with this data_dir", err))
	case err != nil:
		return exit(exitIO, err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	var rest []byte // of a line that is being written
	lines, err := c.read(r, &rest)
	if err != nil {
		return exit(exitIO, err)
	}
	if c.limit > 0 && len(lines) > c.limit {
		lines = lines[len(lines)-c.limit:]
	}
	if err := c.print(lines); err != nil || !c.follow {
		return err
	}
	tick := time.NewTicker(auditPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how it ends
		case <-tick.C:
		}
		if lines, err = c.read(r, &rest); err != nil {
			return exit(exitIO, err)
		}
		if err := c.print(lines); err != nil {
			return err
		}
	}
}

// read gives the lines up to the end that are asked for.
func (c *auditCommand) read(r *bufio.Reader, rest *[]byte) (lines [][]byte, err error) {
	for {
		piece, err := r.ReadBytes('\n')
		*rest = append(*rest, piece...)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		line := bytes.TrimSpace(*rest)
		*rest = nil
		var a supervisor.AuditRecord
		if json.Unmarshal(line, &a) == nil && (c.action == "" || a.Action == c.action) && (c.actor == "" || a.Actor == c.actor) {
			lines = append(lines, line)
		}
	}
}

func (c *auditCommand) print(lines [][]byte) error {
	var b bytes.Buffer
	for _, line := range lines {
		if c.json {
			b.Write(line)
			b.WriteByte('\n')
			continue
		}
		var a supervisor.AuditRecord
		if err := json.Unmarshal(line, &a); err != nil {
			return exit(exitIO, err) // it was read before
		}
		fmt.Fprintf(&b, "%s  %-8s %s", a.Time.UTC().Format(time.RFC3339), a.Result, visible([]byte(a.Action)))
		if a.Target != "" {
			fmt.Fprintf(&b, " %s", visible([]byte(a.Target)))
		}
		fmt.Fprintf(&b, " by %s", visible([]byte(a.Actor)))
		if a.Address != "" && a.Address != "socket" {
			fmt.Fprintf(&b, " from %s", visible([]byte(a.Address)))
		}
		if a.Detail != "" {
			fmt.Fprintf(&b, ": %s", visible([]byte(a.Detail)))
		}
		b.WriteByte('\n')
	}
	if _, err := c.std.out.Write(b.Bytes()); err != nil {
		return exit(exitIO, err)
	}
	return nil
}
