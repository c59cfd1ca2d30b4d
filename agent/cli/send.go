package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
)

// sendCommand is siemd send.
type sendCommand struct {
	conf, socket, input, url, tokenFile string

	json  bool
	batch int
	std   streams
}

// sent is the result of siemd send.
type sent struct {
	Lines    int        `json:"lines"` // that were not blank
	Accepted int        `json:"accepted"`
	Refused  int        `json:"refused_count"`
	Rejected []rejected `json:"refused"` // the first of them
	FirstSeq uint64     `json:"first_seq"`
	LastSeq  uint64     `json:"last_seq"`
}

// A rejected line, counted from 1, blank lines included.
type rejected struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

const (
	sendBatchBytes = 1 << 20
	maxSendLine    = 16 << 20
	maxRejected    = 1000 // that are listed
)

func newSend(std streams) *cobra.Command {
	c := &sendCommand{std: std}
	cmd := &cobra.Command{
		Use:   "send [FILE]",
		Short: "post JSONL from a file or stdin to a running agent",
		Long: "send posts events, one a line, to the agent's http input: the first of the config, the one that --input names, or the one at --url.\n" +
			"It ends when all of them are on the agent's disk, or refused. While the agent's log is full it waits. A batch that is posted again after a\n" +
			"broken connection is stored once. The exit code is 2 if lines were refused, and 69 if no agent answers.",
		Example: `  siemd send events.jsonl
  some-app | siemd send
  siemd send events.jsonl --url https://gateway.example.com:8088 --token-file /etc/siemd/gateway.token`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := std.in
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return exit(exitIO, err)
				}
				defer f.Close()
				in = f
			}
			return c.run(cmd.Context(), in)
		},
	}
	configFlag(cmd, &c.conf)
	f := cmd.Flags()
	f.StringVar(&c.socket, "socket", "", "the agent's socket, in place of its config")
	f.StringVar(&c.input, "input", "", "name of the http input in the config; default: the first")
	f.StringVar(&c.url, "url", "", "post there, whatever the config says")
	f.StringVar(&c.tokenFile, "token-file", "", "file with the token for --url")
	f.IntVar(&c.batch, "batch", 1000, "events in a request")
	f.BoolVar(&c.json, "json", false, "print the result as JSON")
	return cmd
}

func (c *sendCommand) run(ctx context.Context, in io.Reader) error {
	if c.batch < 1 {
		return errors.New("--batch must be at least 1")
	}
	if c.socket != "" && c.url != "" {
		return errors.New("--socket and --url both say where to post")
	}
	if c.socket != "" {
		// The agent knows where its config is.
		agent := remote{socket: c.socket}
		var running struct {
			Files []string `json:"files"`
		}
		if err := agent.get(ctx, "/config", nil, &running); err != nil {
			return err
		}
		if len(running.Files) > 0 {
			c.conf = running.Files[0]
		}
	}
	p, err := c.poster()
	if err != nil {
		return err
	}
	r := sent{Rejected: []rejected{}}
	var lines, accepted, refused atomic.Int64
	stop := progress(c.std.err, func() string {
		return fmt.Sprintf("%d lines, %d accepted, %d refused", lines.Load(), accepted.Load(), refused.Load())
	})
	err = eachBatch(in, c.batch, func(b *sendBatch) error {
		lines.Add(int64(len(b.numbers)))
		answer, err := p.post(ctx, b.text)
		if err != nil {
			return err
		}
		r.note(b, answer)
		accepted.Store(int64(r.Accepted))
		refused.Store(int64(r.Refused))
		return nil
	})
	stop()
	if err != nil && r.Lines == 0 {
		return err
	}
	if printErr := r.print(c.std, c.json); printErr != nil {
		return exit(exitIO, printErr)
	}
	switch {
	case err != nil:
		return err
	case r.Refused > 0:
		return exit(exitFound, nil)
	}
	return nil
}

// note adds what became of a batch.
func (r *sent) note(b *sendBatch, a *postAnswer) {
	r.Lines += len(b.numbers)
	r.Accepted += a.Accepted
	r.Refused += max(len(a.Rejected), a.RejectedCount)
	for _, x := range a.Rejected {
		if len(r.Rejected) == maxRejected {
			break
		}
		if 1 <= x.Line && x.Line <= len(b.numbers) {
			x.Line = b.numbers[x.Line-1]
		}
		r.Rejected = append(r.Rejected, x)
	}
	if r.FirstSeq == 0 {
		r.FirstSeq = a.FirstSeq
	}
	if a.LastSeq > 0 {
		r.LastSeq = a.LastSeq
	}
}

func (r *sent) print(std streams, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	for _, x := range r.Rejected {
		fmt.Fprintf(std.err, "siemd: line %d is refused: %s\n", x.Line, visible([]byte(x.Error)))
	}
	if n := r.Refused - len(r.Rejected); n > 0 {
		fmt.Fprintf(std.err, "siemd: and %d more\n", n)
	}
	_, err := fmt.Fprintf(std.out, "%s: %d accepted, %d refused", count(r.Lines, "line"), r.Accepted, r.Refused)
	if r.FirstSeq > 0 {
		fmt.Fprintf(std.out, "; events %d to %d", r.FirstSeq, r.LastSeq)
	}
	fmt.Fprintln(std.out)
	return err
}

// sendBatch are lines for one request, and where each stood in the source.
type sendBatch struct {
	text    []byte
	numbers []int
}

// eachBatch reads lines and calls f for each full batch. A batch also ends when
// the source has nothing more at the moment, so that a pipe is not held up.
func eachBatch(in io.Reader, most int, f func(*sendBatch) error) error {
	r := bufio.NewReaderSize(in, 256<<10)
	b := &sendBatch{}
	flush := func() error {
		if len(b.numbers) == 0 {
			return nil
		}
		err := f(b)
		b.text, b.numbers = b.text[:0], b.numbers[:0]
		return err
	}
	var long []byte
	for n := 1; ; {
		piece, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, piece...); len(long) > maxSendLine {
				return exit(exitIO, fmt.Errorf("line %d is longer than %d MiB", n, maxSendLine>>20))
			}
			continue
		}
		line := piece
		if long != nil {
			line, long = append(long, piece...), nil
		}
		if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
			if len(b.text)+len(line) > sendBatchBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			b.text = append(append(b.text, line...), '\n')
			b.numbers = append(b.numbers, n)
		}
		n++
		if len(b.numbers) >= most || r.Buffered() == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return flush()
		case err != nil:
			return exit(exitIO, errors.Join(err, flush()))
		}
	}
}
