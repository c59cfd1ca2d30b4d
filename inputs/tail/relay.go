package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A relay passes whole lines on, and takes out those that are too long.
type relay struct {
	limit    int
	refused  chan []byte // the beginnings of lines that were too long
	partial  []byte      // a line that has not ended
	skipping bool        // until the end of a line that was too long
}

func (r *relay) run(ctx context.Context, fifo *os.File, to io.Writer) error {
	stop := context.AfterFunc(ctx, func() { fifo.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer close(r.refused)
	buf := make([]byte, 64<<10)
	var hold *os.File // our own writing end, while there is no other
	defer func() {
		if hold != nil {
			hold.Close()
		}
	}()
	for {
		n, err := fifo.Read(buf)
		if n > 0 && hold != nil {
			hold.Close()
			hold = nil
		}
		if err := r.pass(buf[:n], to); err != nil {
			return err
		}
		switch {
		case err == io.EOF && hold == nil: // the last writer has gone
			if err := r.flush(to); err != nil {
				return err
			}
			// With a writer there is no end of file, and the next Read waits.
			raw := fmt.Sprintf("/proc/self/fd/%d", fdOf(fifo))
			if hold, err = os.OpenFile(raw, os.O_WRONLY|unix.O_NONBLOCK, 0); err != nil {
				return err
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return r.flush(to)
		case err != nil && err != io.EOF:
			return errors.Join(err, r.flush(to))
		}
	}
}

func fdOf(f *os.File) (fd int) {
	if raw, err := f.SyscallConn(); err == nil {
		raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

func (r *relay) pass(b []byte, to io.Writer) error {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		piece := b
		if end >= 0 {
			piece = b[:end+1]
		}
		b = b[len(piece):]
		if !r.skipping && len(r.partial)+len(bytes.TrimSuffix(piece, []byte("\n"))) > r.limit {
			r.partial = append(r.partial, piece...)
			r.refused <- bytes.Clone(r.partial[:r.limit])
			r.partial, r.skipping = nil, true
		}
		switch {
		case r.skipping:
			r.skipping = end < 0
		case end < 0:
			r.partial = append(r.partial, piece...)
		default:
			// Whole lines that follow each other go in one write.
			if len(r.partial) == 0 {
				if last := bytes.LastIndexByte(b, '\n'); last >= 0 && last < r.limit {
					piece, b = piece[:len(piece)+last+1], b[last+1:]
				}
			} else {
				r.partial = append(r.partial, piece...)
				piece = r.partial
			}
			if _, err := to.Write(piece); err != nil {
				return err
			}
			r.partial = r.partial[:0]
		}
	}
	return nil
}

// flush ends the line that has not ended. If it is half of one, intake keeps
// it with the refused lines.
func (r *relay) flush(to io.Writer) error {
	if len(r.partial) == 0 {
		r.skipping = false
		return nil
	}
	_, err := to.Write(append(r.partial, '\n'))
	r.partial = r.partial[:0]
	return err
}
