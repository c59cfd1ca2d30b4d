package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/client"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

func newTop(std streams) *cobra.Command {
	var r remote
	var every time.Duration
	var frames int
	cmd := &cobra.Command{
		Use:   "top",
		Short: "live rates, lag, backlog and health",
		Long:  "top shows what flows, once a second. Keys: n p l s r sort by name, pending, lag, sent, rate; space pauses; q ends.\nWithout a terminal it prints one plain line per input and connection each time.",
		Example: `  siemd top
  siemd top --every 5s -n 3 | tee rates.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			t := &top{client: c, out: std.out, every: max(every, 100*time.Millisecond), frames: frames, sort: 'n'}
			return t.run(cmd.Context(), std.in)
		},
	}
	r.flags(cmd)
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often")
	cmd.Flags().IntVarP(&frames, "frames", "n", 0, "how many times; 0: until q or Ctrl-C")
	return cmd
}

// top is the live view.
type top struct {
	client *client.Client
	out    io.Writer
	every  time.Duration
	frames int
	live   bool
	paused bool
	sort   byte

	last     supervisor.Status
	lastTime time.Time
}

func (t *top) run(ctx context.Context, in io.Reader) error {
	keys := make(chan byte)
	inFile, inOK := in.(*os.File)
	outFile, outOK := t.out.(*os.File)
	if inOK && outOK && term.IsTerminal(int(inFile.Fd())) && term.IsTerminal(int(outFile.Fd())) {
		old, err := term.MakeRaw(int(inFile.Fd()))
		if err != nil {
			return exit(exitIO, err)
		}
		t.live = true
		fmt.Fprint(t.out, "\x1b[?1049h\x1b[?25l")
		defer func() {
			fmt.Fprint(t.out, "\x1b[?25h\x1b[?1049l")
			_ = term.Restore(int(inFile.Fd()), old) // the terminal is gone, or back
		}()
		go readKeys(inFile, keys) // ends with the process: a read of a terminal cannot be interrupted
	}
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for n := 1; ; n++ {
		if !t.paused {
			if err := t.frame(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return remoteError(err)
			}
		}
		if t.frames > 0 && n > t.frames {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case k := <-keys:
			switch k {
			case 'q', 3: // Ctrl-C does not raise a signal in raw mode
				return nil
			case ' ':
				t.paused = !t.paused
			default:
				t.sort = k
			}
		}
	}
}

func readKeys(f *os.File, keys chan<- byte) {
	var b [1]byte
	for {
		if _, err := f.Read(b[:]); err != nil {
			return
		}
		keys <- b[0]
	}
}

// frame asks and draws. The first one without a terminal draws nothing: there are no rates yet.
func (t *top) frame(ctx context.Context) error {
	var st supervisor.Status
	if err := t.client.Get(ctx, "/api/v1/siem/status", &st); err != nil {
		return err
	}
	now := time.Now()
	since := now.Sub(t.lastTime).Seconds()
	first := t.lastTime.IsZero()
	before := t.last
	t.last, t.lastTime = st, now
	if first && !t.live {
		return nil
	}
	if first {
		before, since = st, 1
	}
	var b bytes.Buffer
	rows := t.rates(before, st, since)
	if t.live {
		t.draw(&b, st, before, rows, since, now)
		text := bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\x1b[K\r\n"))
		_, err := t.out.Write(append(append([]byte("\x1b[H"), text...), "\x1b[J"...))
		return err
	}
	for _, in := range st.Inputs {
		fmt.Fprintf(&b, "%s input=%s rate=%.0f/s events=%d refused=%d\n", now.UTC().Format(time.RFC3339), in.Name,
			float64(in.Events-inputEvents(before, in.Name))/since, in.Events, in.Refused)
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "%s connection=%s rate=%.0f/s sent=%d pending=%d failed=%d lag=%.1fs health=%s\n", now.UTC().Format(time.RFC3339),
			r.Name, r.rate, r.Sent, r.Pending, r.Failed, r.LagSeconds, r.Health)
	}
	_, err := t.out.Write(b.Bytes())
	return err
}

// row is a connection with its rate since the last frame.
type row struct {
	supervisor.OutputStatus
	rate float64
}

func (t *top) rates(before, st supervisor.Status, since float64) []row {
	rows := make([]row, 0, len(st.Outputs))
	for _, o := range st.Outputs {
		r := row{OutputStatus: o}
		for _, b := range before.Outputs {
			if b.Name == o.Name && o.Sent >= b.Sent {
				r.rate = float64(o.Sent-b.Sent) / since
			}
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		switch t.sort {
		case 'p':
			return cmp.Compare(b.Pending, a.Pending)
		case 'l':
			return cmp.Compare(b.LagSeconds, a.LagSeconds)
		case 's':
			return cmp.Compare(b.Sent, a.Sent)
		case 'r':
			return cmp.Compare(b.rate, a.rate)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return rows
}

func inputEvents(st supervisor.Status, name string) uint64 {
	for _, in := range st.Inputs {
		if in.Name == name {
			return in.Events
		}
	}
	return 0
}

func (t *top) draw(w io.Writer, st, before supervisor.Status, rows []row, since float64, now time.Time) {
	fmt.Fprintf(w, "siemd %s  up %s  intake %s  log %s of %s\n", st.Version, ago(now, st.Started), st.Ready,
		agent.Bytes(st.Log.Bytes).Short(), agent.Bytes(st.Log.MaxBytes).Short())
	fmt.Fprint(w, "sort: n p l s r   space: pause   q: end\n\n")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "INPUT\tTYPE\tRATE/s\tEVENTS\tREFUSED")
	for _, in := range st.Inputs {
		fmt.Fprintf(tw, "%s\t%s\t%.0f\t%d\t%d\n", in.Name, in.Type, float64(in.Events-inputEvents(before, in.Name))/since, in.Events, in.Refused)
	}
	fmt.Fprintln(tw, "\nCONNECTION\tTYPE\tRATE/s\tSENT\tPENDING\tFAILED\tLAG\tHEALTH\tLAST ERROR")
	for _, r := range rows {
		lag := time.Duration(r.LagSeconds * float64(time.Second)).Round(100 * time.Millisecond)
		fmt.Fprintf(tw, "%s\t%s\t%.0f\t%d\t%d\t%d\t%s\t%s\t%.60s\n", r.Name, r.Type, r.rate, r.Sent, r.Pending, r.Failed, lag, r.Health, r.LastError)
	}
	_ = tw.Flush() // w is a buffer
}
