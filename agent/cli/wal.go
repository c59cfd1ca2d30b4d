package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/wal"
)

// walCommand finds the log: by --dir, else by the config.
type walCommand struct {
	remote
	dir string
	std streams
}

func newWAL(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wal ls|verify|dump|repair",
		Short: "look into the write-ahead log, of a running or a stopped agent",
		Example: `  siemd wal ls
  siemd wal verify --dir /var/lib/siemd
  siemd wal dump --from 1000 --to 1010`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand(std),
	}
	w := &walCommand{std: std}
	pf := cmd.PersistentFlags()
	pf.StringVar(&w.dir, "dir", "", "the agent's data_dir; default: that of the config")
	pf.StringVarP(&w.conf, "config", "c", defaultConfig(), "config of the agent")
	pf.BoolVar(&w.json, "json", false, "print JSON")
	cmd.AddCommand(w.ls(), w.verify(), w.dump(), w.repair())
	return cmd
}

func (w *walCommand) where() (string, error) {
	if w.dir != "" {
		return w.dir, nil
	}
	return w.dataDir()
}

// walError gives a failure to read the log its exit code.
func walError(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case errors.Is(err, wal.ErrNewer):
		return exit(exitFailure, err)
	}
	return exit(exitIO, err)
}

func (w *walCommand) ls() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "list the segments and what they hold; exit code 2 if headers tell of damage", Args: cobra.NoArgs,
		Example: `  siemd wal ls --json | jq '.[].events'`,
		RunE: func(*cobra.Command, []string) error {
			dir, err := w.where()
			if err != nil {
				return err
			}
			list, missing, err := wal.List(dir)
			if err != nil {
				return walError(err)
			}
			if w.json {
				err = json.NewEncoder(w.std.out).Encode(list)
				printDamage(w.std.err, missing)
			} else {
				err = w.table(list)
				printDamage(w.std.out, missing)
			}
			if err != nil {
				return exit(exitIO, err)
			}
			if len(missing) > 0 || slices.ContainsFunc(list, func(s wal.SegmentInfo) bool { return len(s.Damage) > 0 }) {
				return exit(exitFound, nil)
			}
			return nil
		},
	}
}

func (w *walCommand) table(list []wal.SegmentInfo) error {
	t := tabwriter.NewWriter(w.std.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "SEGMENT\tSIZE\tRAW\tBLOCKS\tEVENTS\tFIRST\tLAST\tWRITTEN")
	for _, s := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", s.Name, agent.Bytes(s.Size).Short(), agent.Bytes(s.Raw).Short(),
			s.Blocks, s.Events, s.FirstSeq, s.LastSeq, s.Begun.UTC().Format(time.RFC3339))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range list {
		printDamage(w.std.out, s.Damage)
	}
	return nil
}

// printDamage writes a line for each place.
func printDamage(out io.Writer, damage []wal.Damage) {
	for _, d := range damage {
		fmt.Fprint(out, "DAMAGE ")
		if d.Segment != "" {
			fmt.Fprintf(out, "%s bytes %d to %d: ", d.Segment, d.From, d.To)
		}
		fmt.Fprint(out, d.Reason)
		if d.FirstSeq > 0 {
			fmt.Fprintf(out, "; events %d to %d are lost", d.FirstSeq, d.LastSeq)
		}
		fmt.Fprintln(out)
	}
}

func (w *walCommand) verify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "check every byte; exit code 2 if something is damaged", Args: cobra.NoArgs,
		Example: `  siemd wal verify --dir /var/lib/siemd --json`,
		RunE: func(*cobra.Command, []string) error {
			dir, err := w.where()
			if err != nil {
				return err
			}
			var r *wal.Report
			if err := busy(w.std, "every byte of the log is read", func() (err error) { r, err = wal.Verify(dir); return err }); err != nil {
				return walError(err)
			}
			if w.json {
				if err := json.NewEncoder(w.std.out).Encode(r); err != nil {
					return exit(exitIO, err)
				}
			} else {
				w.report(r)
			}
			if !r.Clean() {
				return exit(exitFound, nil)
			}
			return nil
		},
	}
}

func (w *walCommand) report(r *wal.Report) {
	fmt.Fprintf(w.std.out, "%s, %s, events %d to %d, %s; state %s\n",
		count(r.Segments, "segment"), count(r.Blocks, "block"), r.FirstSeq, r.NextSeq-1, agent.Bytes(r.Bytes).Short(), r.State)
	if r.Unfinished > 0 {
		fmt.Fprintf(w.std.out, "%d bytes of a write that was never acknowledged: no damage\n", r.Unfinished)
	}
	printDamage(w.std.out, r.Damage)
	for _, name := range r.Strays {
		fmt.Fprintf(w.std.out, "DAMAGE %s holds no block of the log\n", name)
	}
	if r.LostBefore > 0 {
		fmt.Fprintf(w.std.out, "%s lost to damage that has been repaired\n", count(int(r.LostBefore), "event"))
	}
	if r.Files > 0 {
		fmt.Fprintf(w.std.out, "quarantine: %s, %s, %s by their headers\n", count(r.Files, "file"), agent.Bytes(r.FileBytes).Short(), count(int(r.FileEvents), "event"))
	}
	if r.Clean() {
		fmt.Fprintln(w.std.out, "clean")
	}
}

func (w *walCommand) dump() *cobra.Command {
	var in wal.Range
	var since, until string
	cmd := &cobra.Command{
		Use: "dump", Short: "write events as JSONL, as they were taken; exit code 2 if some are damaged", Args: cobra.NoArgs,
		Example: `  siemd wal dump --from 1000 --to 2000
  siemd wal dump --since 2026-01-31T08:00:00Z --json`,
		RunE: func(*cobra.Command, []string) error {
			dir, err := w.where()
			if err != nil {
				return err
			}
			for _, t := range []struct {
				text string
				into *time.Time
			}{{since, &in.Since}, {until, &in.Until}} {
				if t.text == "" {
					continue
				}
				if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
					return fmt.Errorf("%q is no time: want something like 2026-01-31T08:00:00Z", t.text)
				}
			}
			out := bufio.NewWriterSize(w.std.out, 64<<10)
			damage, err := wal.Dump(dir, in, func(e *agent.Event) error { return w.dumpEvent(out, e) })
			if err == nil {
				err = out.Flush()
			}
			if err != nil {
				return walError(err)
			}
			if len(damage) > 0 {
				printDamage(w.std.err, damage)
				return exit(exitFound, errors.New("what is damaged was left out"))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&in.FirstSeq, "from", 0, "first sequence number")
	f.Uint64Var(&in.LastSeq, "to", 0, "last sequence number")
	f.StringVar(&since, "since", "", "received at or after this time")
	f.StringVar(&until, "until", "", "received before this time")
	return cmd
}

// dumped is an event with what the log knows beside its body.
type dumped struct {
	Seq      uint64          `json:"seq"`
	Received time.Time       `json:"received"`
	Time     time.Time       `json:"time"`
	ID       string          `json:"event_id"`
	Type     string          `json:"event_type"`
	Severity agent.Severity  `json:"severity"`
	Input    string          `json:"input"`
	Event    json.RawMessage `json:"event"`
}

func (w *walCommand) dumpEvent(out *bufio.Writer, e *agent.Event) error {
	if !w.json {
		out.Write(e.Body) //nolint:errcheck // a bufio.Writer keeps its error for Flush
		return out.WriteByte('\n')
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(dumped{
		Seq: e.Seq, Received: time.Unix(0, e.Received).UTC(), Time: agent.When(e.Time), ID: string(e.ID), Type: string(e.Type),
		Severity: e.Severity, Input: e.Input, Event: e.Body,
	})
}

func (w *walCommand) repair() *cobra.Command {
	return &cobra.Command{
		Use: "repair", Short: "move damaged bytes aside; the agent must be stopped", Args: cobra.NoArgs,
		Long:    "repair does what the agent does when it starts: what is damaged is moved to wal/quarantine/ and counted, good blocks behind it are kept.\nNothing is deleted.",
		Example: `  systemctl stop siemd && siemd wal repair`,
		RunE: func(*cobra.Command, []string) error {
			dir, err := w.where()
			if err != nil {
				return err
			}
			stop := progress(w.std.err, func() string { return "the log is repaired" })
			done, err := wal.Repair(dir, slog.New(slog.DiscardHandler))
			stop()
			var locked *wal.LockedError
			if errors.As(err, &locked) {
				return exit(exitCannotMake, fmt.Errorf("%w; a running agent repairs its log by itself", err))
			}
			if err != nil {
				return walError(err)
			}
			if w.json {
				if err := json.NewEncoder(w.std.out).Encode(done); err != nil {
					return exit(exitIO, err)
				}
			} else {
				for _, a := range done.Actions {
					fmt.Fprintln(w.std.out, a)
				}
				w.report(done.After)
			}
			if !done.After.Clean() {
				return exit(exitFound, nil)
			}
			return nil
		},
	}
}
