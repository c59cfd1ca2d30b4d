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
	"unicode/utf8"

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
		Long:  "top shows what flows, once a second. Keys: n p l s r sort by name, pending, lag, sent, rate; space pauses; q ends. It waits for an agent that restarts.\nWithout a terminal it prints one plain line per input and connection each time.",
		Example: `  siemd top
  siemd top --every 5s -n 3 | tee rates.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			t := &top{client: c, out: std.out, every: max(every, 100*time.Millisecond), frames: frames, sort: 'n', size: func() (int, int) { return 0, 0 }}
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
	size   func() (width, height int) // of the terminal; 0 if that is not known
	paused bool
	sort   byte

	last    supervisor.Status // the latest answer
	before  supervisor.Status // and the one before
	since   float64           // seconds between the two
	at      time.Time         // when the latest came
	fresh   bool              // it is the first
	trouble error             // why there is none since
}

func (t *top) run(ctx context.Context, in io.Reader) error {
	keys := make(chan byte)
	inFile, inOK := fileOf(in)
	outFile, outOK := fileOf(t.out)
	if inOK && outOK && term.IsTerminal(int(inFile.Fd())) && term.IsTerminal(int(outFile.Fd())) {
		old, err := term.MakeRaw(int(inFile.Fd()))
		if err != nil {
			return exit(exitIO, err)
		}
		t.live = true
		t.size = func() (int, int) {
			w, h, err := term.GetSize(int(outFile.Fd()))
			if err != nil {
				return 0, 0
			}
			return w, h
		}
		fmt.Fprint(t.out, "\x1b[?1049h\x1b[?25l")
		defer func() {
			fmt.Fprint(t.out, "\x1b[?25h\x1b[?1049l")
			_ = term.Restore(int(inFile.Fd()), old) // the terminal is gone, or back
		}()
		go readKeys(inFile, keys) // ends with the process: a read of a terminal cannot be interrupted
	}
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	ask := true
	for n := 0; ; {
		if ask {
			n++
			if err := t.ask(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return remoteError(err)
			}
		}
		if err := t.show(ask); err != nil {
			return err
		}
		if t.frames > 0 && n > t.frames {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			ask = !t.paused
		case k := <-keys:
			ask = false // the figures stay as they are
			if t.press(k) {
				return nil
			}
		}
	}
}

// press is what a key does; true means the end.
func (t *top) press(k byte) bool {
	switch {
	case k == 'q', k == 3: // Ctrl-C does not raise a signal in raw mode
		return true
	case k == ' ':
		t.paused = !t.paused
	case slices.ContainsFunc(orders, func(o order) bool { return o.key == k }):
		t.sort = k
	}
	return false
}

// ask fetches the figures. An agent that is gone is waited for where somebody looks on.
func (t *top) ask(ctx context.Context) error {
	var st supervisor.Status
	if err := t.client.Get(ctx, "/api/v1/siem/status", &st); err != nil {
		if t.trouble = err; t.live && !t.at.IsZero() && ctx.Err() == nil {
			return nil
		}
		return err
	}
	now := time.Now()
	t.before, t.since = t.last, now.Sub(t.at).Seconds()
	if t.fresh = t.at.IsZero(); t.fresh {
		t.before, t.since = st, 1
	}
	t.last, t.at, t.trouble = st, now, nil
	return nil
}

// show draws, or without a terminal prints what was asked just now. The first
// time that prints nothing: there are no rates yet.
func (t *top) show(asked bool) error {
	var b bytes.Buffer
	if t.live {
		t.draw(&b)
		_, err := t.out.Write(t.fit(b.Bytes()))
		return err
	}
	if !asked || t.fresh {
		return nil
	}
	at := t.at.UTC().Format(time.RFC3339)
	for _, in := range t.last.Inputs {
		fmt.Fprintf(&b, "%s input=%s rate=%.0f/s events=%d refused=%d\n", at, in.Name, t.inputRate(in), in.Events, in.Refused)
	}
	for _, r := range t.rows() {
		fmt.Fprintf(&b, "%s connection=%s rate=%.0f/s sent=%d pending=%d failed=%d lag=%.1fs health=%s\n", at,
			r.Name, r.rate, r.Sent, r.Pending, r.Failed, r.LagSeconds, r.Health)
	}
	_, err := t.out.Write(b.Bytes())
	return err
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

// An order is what connections can be sorted by.
type order struct {
	key  byte
	name string
	less func(a, b row) int
}

var orders = []order{
	{'n', "name", func(a, b row) int { return cmp.Compare(a.Name, b.Name) }},
	{'p', "pending", func(a, b row) int { return cmp.Compare(b.Pending, a.Pending) }},
	{'l', "lag", func(a, b row) int { return cmp.Compare(b.LagSeconds, a.LagSeconds) }},
	{'s', "sent", func(a, b row) int { return cmp.Compare(b.Sent, a.Sent) }},
	{'r', "rate", func(a, b row) int { return cmp.Compare(b.rate, a.rate) }},
}

// row is a connection with its rate since the answer before.
type row struct {
	supervisor.OutputStatus
	rate float64
}

func (t *top) rows() []row {
	rows := make([]row, 0, len(t.last.Outputs))
	for _, o := range t.last.Outputs {
		r := row{OutputStatus: o}
		for _, b := range t.before.Outputs {
			if b.Name == o.Name && o.Sent >= b.Sent {
				r.rate = float64(o.Sent-b.Sent) / t.since
			}
		}
		rows = append(rows, r)
	}
	for _, o := range orders {
		if o.key == t.sort {
			slices.SortStableFunc(rows, func(a, b row) int { return cmp.Or(o.less(a, b), cmp.Compare(a.Name, b.Name)) })
		}
	}
	return rows
}

func (t *top) inputRate(in supervisor.InputStatus) float64 {
	for _, b := range t.before.Inputs {
		if b.Name == in.Name && in.Events >= b.Events {
			return float64(in.Events-b.Events) / t.since
		}
	}
	return 0
}

func (t *top) draw(w io.Writer) {
	st := t.last
	fmt.Fprintf(w, "siemd %s  up %s  intake %s  log %s of %s", st.Version, ago(t.at, st.Started), st.Ready,
		agent.Bytes(st.Log.Bytes).Short(), agent.Bytes(st.Log.MaxBytes).Short())
	switch {
	case t.trouble != nil:
		fmt.Fprintf(w, "  AS OF %s: %v", t.at.Format(time.TimeOnly), t.trouble)
	case t.paused:
		fmt.Fprintf(w, "  PAUSED at %s", t.at.Format(time.TimeOnly))
	}
	fmt.Fprint(w, "\nsort:")
	for _, o := range orders {
		mark := ""
		if o.key == t.sort {
			mark = "*"
		}
		fmt.Fprintf(w, " %c=%s%s", o.key, o.name, mark)
	}
	fmt.Fprint(w, "  space=pause  q=end\n\n")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "INPUT\tTYPE\tRATE/s\tEVENTS\tREFUSED")
	for _, in := range st.Inputs {
		fmt.Fprintf(tw, "%s\t%s\t%.0f\t%d\t%d\n", in.Name, in.Type, t.inputRate(in), in.Events, in.Refused)
	}
	fmt.Fprintln(tw, "\nCONNECTION\tTYPE\tRATE/s\tSENT\tPENDING\tFAILED\tLAG\tHEALTH\tLAST ERROR")
	for _, r := range t.rows() {
		fmt.Fprintf(tw, "%s\t%s\t%.0f\t%d\t%d\t%d\t%s\t%s\t%s\n", r.Name, r.Type, r.rate, r.Sent, r.Pending, r.Failed, lag(r.LagSeconds), r.Health, visible([]byte(r.LastError)))
	}
	_ = tw.Flush() // w is a buffer
}

// fit makes a screen of text: what does not go on the terminal is cut, so that
// nothing wraps or scrolls, and what was there before is wiped.
func (t *top) fit(text []byte) []byte {
	width, height := t.size()
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	if height > 0 && len(lines) > height {
		more := fmt.Sprintf("... %d more lines", len(lines)-height+1)
		lines = append(lines[:height-1], []byte(more))
	}
	out := []byte("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			out = append(out, '\r', '\n')
		}
		if n := utf8.RuneCount(line); width > 0 && n > width {
			line = []byte(string([]rune(string(line))[:width]))
		}
		out = append(append(out, line...), "\x1b[K"...)
	}
	return append(out, "\x1b[J"...)
}
