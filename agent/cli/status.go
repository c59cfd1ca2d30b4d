package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/history"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

func newStatus(std streams) *cobra.Command {
	var r remote
	var files bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "what flows: inputs, log, connections, backlog, health",
		Long: "status shows the agent at this moment. RATE/s is the mean of the last minute; PENDING is the lag of a connection in events, LAG the age of the\n" +
			"oldest of them.",
		Example: `  siemd status
  siemd status --files
  siemd status --json -c siemd.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			var st supervisor.Status
			if err := c.Get(cmd.Context(), "/api/v1/siem/status", &st); err != nil {
				return remoteError(err)
			}
			if files {
				if err := c.Get(cmd.Context(), "/api/v1/siem/inputs?files=true", &st.Inputs); err != nil {
					return remoteError(err)
				}
			}
			if r.json {
				return json.NewEncoder(std.out).Encode(st)
			}
			var past history.Report
			if err := c.Get(cmd.Context(), "/api/v1/siem/history", &past); err != nil {
				return remoteError(err)
			}
			now := time.Now()
			printStatus(std.out, st, rates{past, now}, now)
			if files {
				printFiles(std.out, st.Inputs)
			}
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&files, "files", false, "also the files that are read: offset, size and lag of each")
	return cmd
}

// printFiles lists what inputs read, the file that is furthest behind first.
func printFiles(w io.Writer, inputs []supervisor.InputStatus) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nINPUT\tOFFSET\tSIZE\tLAG\tSTATE\tFILE")
	for _, in := range inputs {
		slices.SortStableFunc(in.Files, func(a, b agent.FileStatus) int { return cmp.Compare(b.Lag, a.Lag) })
		for _, f := range in.Files {
			state := f.State
			if f.Error != "" {
				state += ": " + f.Error
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\n", in.Name, f.Offset, f.Size, f.Lag, state, f.Path)
		}
	}
	_ = t.Flush() // w's errors are seen by whoever owns it
}

func printStatus(w io.Writer, st supervisor.Status, rate rates, now time.Time) {
	fmt.Fprintf(w, "siemd %s, up %s, intake %s\n", st.Version, ago(now, st.Started), st.Ready)
	if st.Problem != "" {
		fmt.Fprintf(w, "CONFIG NOT APPLIED, an older one runs (generation %d): %s; 'siemd check' has the details\n", st.Generation, visible([]byte(st.Problem)))
	}
	fmt.Fprintf(w, "log: %s of %s, events %d to %d", agent.Bytes(st.Log.Bytes).Short(), agent.Bytes(st.Log.MaxBytes).Short(), st.Log.FirstSeq, st.Log.NextSeq-1)
	if st.Log.CorruptBlocks > 0 || st.Log.LostEvents > 0 {
		fmt.Fprintf(w, ", DAMAGED: %d blocks, %d events lost", st.Log.CorruptBlocks, st.Log.LostEvents)
	}
	if st.Log.Quarantined > 0 {
		fmt.Fprintf(w, "\nquarantine: %s of damaged bytes and unfinished writes (%s), %s by their headers; 'siemd wal verify' tells of the log", count(st.Log.Quarantined, "file"),
			agent.Bytes(st.Log.QuarantinedBytes).Short(), count(int(st.Log.QuarantinedEvents), "event"))
	}
	if st.Refused.Lines > 0 {
		fmt.Fprintf(w, "\nrefused: %d lines kept (%s)", st.Refused.Lines, agent.Bytes(st.Refused.Bytes).Short())
		if st.Refused.Dropped > 0 {
			fmt.Fprintf(w, ", %d older ones gone at the limit", st.Refused.Dropped)
		}
		fmt.Fprint(w, "; 'siemd failed ls --refused' lists them")
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "INPUT\tTYPE\tRATE/s\tEVENTS\tSIZE\tREFUSED\tSTATE")
	for _, in := range st.Inputs {
		state := "reading"
		switch {
		case in.Ended:
			state = "at the end of its source"
		case in.LastError != "":
			state = in.LastError
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%d\t%s\n", in.Name, in.Type, rate.input(in), in.Events, agent.Bytes(in.Bytes).Short(), in.Refused, state)
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "CONNECTION\tTYPE\tRATE/s\tSENT\tPENDING\tFAILED\tFILTERED\tEXPIRED\tLAG\tHEALTH\tLAST ERROR")
	for _, o := range st.Outputs {
		last := o.LastError
		if last != "" {
			last = ago(now, o.LastErrorAt) + " ago: " + visible([]byte(last))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", o.Name, o.Type, rate.output(o), o.Sent, o.Pending, o.Failed, o.Filtered, o.Expired, lag(o.LagSeconds), o.Health, last)
	}
	_ = t.Flush() // w's errors are seen by whoever owns it
	for _, c := range st.Disabled {
		fmt.Fprintf(w, "\n%s is disabled: %d events wait until it is enabled, beside %d failed ones\n", c.Name, c.Pending, c.Counts.Failed)
	}
	for _, c := range st.Orphans {
		fmt.Fprintf(w, "\norphan %s: %d events wait for an output that is gone, beside %d failed ones; it goes on when it comes back, 'siemd purge %s' ends it\n", c.Name, c.Pending, c.Counts.Failed, c.Name)
	}
}

// lag is a delay as exact as people want it.
func lag(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// ago is the time since t in the two largest units.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 24*time.Hour:
		return agent.Duration(d.Round(time.Minute)).String()
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
