package tail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
)

// A relay passes whole lines on, and takes out those that are too long.
type relay struct {
	limit    int
	refused  chan agent.Refusal // lines that were too long
	partial  []byte             // a line that has not ended
	skipping bool               // until the end of a line that was too long
	taken    int64              // bytes of the stream before what is passed on next
	passed   int64              // bytes written
	places   places
}

// Places tell where in the stream a line began, of which only the place in what
// was passed on is known. The relay adds to them, the reader of the lines asks.
type places struct {
	mu    sync.Mutex
	leads []lead // guarded by mu: the last one that was asked for, and those behind it
}

// A lead is by how much the place in the stream is behind the place from.
type lead struct{ from, by int64 }

func (p *places) add(l lead) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.leads) - 1; last >= 0 && p.leads[last].from == l.from {
		p.leads = p.leads[:last] // nothing was passed on since: of no line
	}
	p.leads = append(p.leads, l)
}

// of is where the line that was passed on at place began. Places do not go back.
func (p *places) of(place int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.leads) > 1 && p.leads[1].from <= place {
		p.leads = p.leads[1:]
	}
	if len(p.leads) > 0 && p.leads[0].from <= place {
		place += p.leads[0].by
	}
	return place
}

func (r *relay) run(ctx context.Context, fifo *os.File, to io.Writer) error {
	stop := context.AfterFunc(ctx, func() { fifo.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer close(r.refused)
	raw, err := fifo.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.read(raw, buf)
		if err := r.pass(buf[:n], to); err != nil {
			return err
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return r.flush(to)
		case err != nil:
			return errors.Join(err, r.flush(to))
		case n == 0: // the last writer has gone
			if err := r.flush(to); err != nil {
				return err
			}
		}
	}
}

// read waits until there is something to read, or until the last writer has gone and left half a line. Without
// a writer a pipe is at its end at once, again and again; the poller tells when one has come and written. That takes
// no right to write, as a writing end of our own would.
func (r *relay) read(raw syscall.RawConn, buf []byte) (n int, err error) {
	polled := raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), buf)
			if err != unix.EINTR {
				break
			}
		}
		if err == unix.EAGAIN {
			n, err = 0, nil
			return false
		}
		return n > 0 || err != nil || len(r.partial) > 0 || r.skipping
	})
	n = max(n, 0)
	if polled != nil {
		err = polled
	}
	return n, err
}

func (r *relay) pass(b []byte, to io.Writer) error {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		piece := b
		if end >= 0 {
			piece = b[:end+1]
		}
		b = b[len(piece):]
		begin := r.taken - int64(len(r.partial))
		if !r.skipping && len(r.partial)+len(bytes.TrimSuffix(piece, []byte("\n"))) > r.limit {
			r.partial = append(r.partial, piece...)
			r.refused <- agent.Refusal{
				Text: bytes.Clone(r.partial[:r.limit]), Offset: begin,
				Reason: agent.ReasonTooLong, Detail: "the line is longer than max_line; this is its beginning",
			}
			r.partial, r.skipping = nil, true
		}
		switch {
		case r.skipping:
			r.taken += int64(len(piece))
			if r.skipping = end < 0; !r.skipping {
				r.places.add(lead{r.passed, r.taken - r.passed})
			}
		case end < 0:
			r.partial = append(r.partial, piece...)
			r.taken += int64(len(piece))
		default:
			// Whole lines that follow each other go in one write.
			r.taken += int64(len(piece))
			if len(r.partial) == 0 {
				if last := bytes.LastIndexByte(b, '\n'); last >= 0 && last < r.limit {
					piece, b = piece[:len(piece)+last+1], b[last+1:]
					r.taken += int64(last + 1)
				}
			} else {
				r.partial = append(r.partial, piece...)
				piece = r.partial
			}
			if _, err := to.Write(piece); err != nil {
				return err
			}
			r.passed += int64(len(piece))
			r.partial = r.partial[:0]
		}
	}
	return nil
}

// flush ends the line that has not ended. If it is half of one, intake keeps
// it with the refused lines.
func (r *relay) flush(to io.Writer) error {
	if len(r.partial) == 0 && !r.skipping {
		return nil
	}
	var err error
	if len(r.partial) > 0 {
		_, err = to.Write(append(r.partial, '\n'))
		r.passed += int64(len(r.partial)) + 1
	}
	r.partial, r.skipping = r.partial[:0], false
	r.places.add(lead{r.passed, r.taken - r.passed})
	return err
}
