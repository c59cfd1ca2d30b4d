package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// explainCommand is the flags of siemd explain.
type explainCommand struct {
	std         streams
	path, input string
	connections []string
	at          string
	json, raw   bool
	noSecrets   bool
}

func newExplain(std streams) *cobra.Command {
	c := &explainCommand{std: std}
	cmd := &cobra.Command{
		Use:   "explain [FILE | '{...}']",
		Short: "what would become of an event: each step, and the exact bytes for each connection",
		Long: "explain takes an event from the argument, a file or stdin, and shows what the input makes of it, which connections take it and why,\n" +
			"and the exact bytes that each of them would get. Nothing is stored or sent, and no agent need run.\n" +
			"Several lines are several events. The sequence number is that of the first event, and an id that has to be made is the same each time;\n" +
			"what separates events in a request is as in the middle of one.",
		Example: `  siemd explain '{"event_type":"alert","severity":"high","title":"test"}'
  siemd explain event.json --input apps --connection splunk-prod
  siemd explain event.json --connection syslog --raw | xxd
  tail -1 /var/log/apps/app.jsonl | siemd explain --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			arg := ""
			if len(args) == 1 {
				arg = args[0]
			}
			return c.run(arg)
		},
	}
	configFlag(cmd, &c.path)
	f := cmd.Flags()
	f.StringVar(&c.input, "input", "", "name of the input that takes the event; default: the first of the config")
	f.StringSliceVar(&c.connections, "connection", nil, "only these connections")
	f.StringVar(&c.at, "at", "", "time of receipt, as 2026-01-31T08:00:00Z; default: now")
	f.BoolVar(&c.json, "json", false, "print JSON, one object for each event")
	f.BoolVar(&c.raw, "raw", false, "print the bytes and nothing else; for one connection")
	f.BoolVar(&c.noSecrets, "no-secrets", false, "do not resolve ${env:}, ${file:} and ${cred:}")
	return cmd
}

func (c *explainCommand) run(arg string) error {
	received := time.Now()
	if c.at != "" {
		var err error
		if received, err = time.Parse(time.RFC3339, c.at); err != nil {
			return fmt.Errorf("%q is no time: want something like 2026-01-31T08:00:00Z", c.at)
		}
	}
	if c.raw && (c.json || len(c.connections) != 1) {
		return errors.New("--raw wants exactly one --connection, and no --json")
	}
	cfg, err := loadOffline(c.std, c.path, c.noSecrets)
	if err != nil {
		return err
	}
	x, err := newExplainer(cfg, c.connections)
	if err != nil {
		return err
	}
	in, err := x.input(c.input)
	if err != nil {
		return err
	}
	lines, err := readEvents(arg, c.std.in)
	if err != nil {
		return err
	}
	taken := false
	for i, line := range lines {
		ex := x.explain(in, line, received)
		taken = taken || ex.Refused == nil
		if err := c.print(ex, i); err != nil {
			return exit(exitIO, err)
		}
	}
	if !taken {
		return exit(exitFound, nil)
	}
	return nil
}

// loadOffline loads a config for a command that never connects. If secrets are
// not at hand, stand-ins take their place.
func loadOffline(std streams, path string, noSecrets bool) (*config.Config, error) {
	cfg, problems := config.Load(path, config.Options{NoSecrets: noSecrets})
	if cfg == nil && !noSecrets {
		if again, _ := config.Load(path, config.Options{NoSecrets: true}); again != nil {
			fmt.Fprintln(std.err, "siemd: some values from elsewhere are not at hand, stand-ins take their place")
			return again, nil
		}
	}
	if cfg == nil {
		config.Print(std.err, problems)
		return nil, exit(exitConfig, nil)
	}
	return cfg, nil
}

// maxExplained is the most that explain reads, bytes.
const maxExplained = 64 << 20

// readEvents gives the events in arg: JSON itself, the name of a file, or "" and - for stdin.
func readEvents(arg string, stdin io.Reader) ([][]byte, error) {
	var data []byte
	switch {
	case strings.HasPrefix(strings.TrimSpace(arg), "{"):
		data = []byte(arg)
	default:
		in := stdin
		if arg != "" && arg != "-" {
			f, err := os.Open(arg)
			if err != nil {
				return nil, exit(exitIO, err)
			}
			defer f.Close()
			in = f
		}
		var err error
		if data, err = io.ReadAll(io.LimitReader(in, maxExplained+1)); err != nil {
			return nil, exit(exitIO, err)
		}
		if len(data) > maxExplained {
			return nil, exit(exitIO, fmt.Errorf("more than %s to explain", agent.Bytes(maxExplained)))
		}
	}
	lines := splitEvents(data)
	if len(lines) == 0 {
		return nil, errors.New("there is no event: give it as an argument, a file or on stdin")
	}
	return lines, nil
}

// splitEvents cuts data into lines, but for one JSON text over several lines.
func splitEvents(data []byte) [][]byte {
	if text := bytes.TrimSpace(data); json.Valid(text) {
		return [][]byte{text}
	}
	var lines [][]byte
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func (c *explainCommand) print(ex explanation, n int) error {
	switch {
	case c.raw:
		if len(ex.Connections) == 0 {
			return nil
		}
		_, err := c.std.out.Write(ex.Connections[0].wire)
		return err
	case c.json:
		enc := json.NewEncoder(c.std.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(ex)
	}
	var b bytes.Buffer
	if n > 0 {
		b.WriteByte('\n')
	}
	writeExplanation(&b, ex)
	_, err := c.std.out.Write(b.Bytes())
	return err
}

// writeExplanation is an explanation for people.
func writeExplanation(w *bytes.Buffer, ex explanation) {
	if ex.Input == "" {
		fmt.Fprintln(w, "input: the config has none; an input without keys is assumed")
	} else {
		fmt.Fprintf(w, "input %s (%s)\n", ex.Input, ex.InputType)
	}
	if ex.Refused != nil {
		fmt.Fprintf(w, "  REFUSED, %s: %s\n", ex.Refused.Reason, visible([]byte(ex.Refused.Detail)))
		fmt.Fprintln(w, "  the line is kept with the refused lines: siemd failed ls --refused")
		return
	}
	if len(ex.Steps) == 0 {
		fmt.Fprintln(w, "  taken as it is")
	}
	for _, s := range ex.Steps {
		fmt.Fprintf(w, "  - %s\n", s)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nevent")
	for _, f := range [][2]string{
		{"event_id", ex.Event.ID},
		{"event_type", ex.Event.Type},
		{"source", ex.Event.Source},
		{"severity", ex.Event.Severity.String()},
		{"time", ex.Event.Time.Format(time.RFC3339Nano)},
		{"body", ex.Event.Body},
	} {
		fmt.Fprintf(t, "  %s\t%s\n", f[0], strings.ReplaceAll(visible([]byte(f[1])), "\t", `\t`))
	}
	_ = t.Flush() // w is a buffer
	for _, d := range ex.Connections {
		fmt.Fprintf(w, "\nconnection %s (%s): %s", d.Connection, d.Type, d.Decision)
		if d.Size > 0 {
			fmt.Fprintf(w, ", %s", count(d.Size, "byte"))
		}
		fmt.Fprintf(w, "\n  because %s\n", visible([]byte(d.Why)))
		writeBytes(w, d.wire)
	}
	if len(ex.Connections) == 0 {
		fmt.Fprintln(w, "\nno connection: the event stays in the log until there is one")
	}
}

// writeBytes shows text line by line, so that nothing in it can act on a terminal.
func writeBytes(w *bytes.Buffer, text []byte) {
	for line := range bytes.Lines(text) {
		end := ""
		if len(line) > 0 && line[len(line)-1] == '\n' {
			line, end = line[:len(line)-1], `\n`
		}
		fmt.Fprintf(w, "  | %s%s\n", visible(line), end)
	}
}

// visible writes control characters and bytes that are no UTF-8 as escapes.
func visible(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.Write(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}
