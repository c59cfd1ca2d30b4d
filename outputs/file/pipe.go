package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/raw"
)

// A pipe is standard output, or anything else that is no regular file: a named
// pipe, a terminal, a device. Nothing can be taken back: an event counts as
// sent when its whole line is in the pipe.
type pipe struct {
	raw.Codec
	path string // - is standard output

	mu   sync.Mutex // guards the rest
	fd   int        // -1: to be opened
	rest []byte     // of a line that is in the pipe only in part
}

func newPipe(path string) *pipe { return &pipe{path: path, fd: -1} }

// OneAtATime: a reader that is slow has the whole timeout for each batch.
func (p *pipe) OneAtATime() bool { return true }

// chunk is what a pipe that is ready takes without blocking (PIPE_BUF).
const chunk = 4096

// Write writes one line after the other. A reader that stops reading holds it until ctx ends.
func (p *pipe) Write(ctx context.Context, events []agent.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(); err != nil {
		return err
	}
	// The end of a line comes first, whoever it belonged to: lines stay whole.
	n, err := p.put(ctx, p.rest)
	p.rest = p.rest[n:]
	if err != nil {
		return err
	}
	var buf []byte
	for i := range events {
		buf = append(buf, line(&events[i])...)
	}
	n, err = p.put(ctx, buf)
	if err == nil {
		// Standard output may be a file after all; others have nothing to sync.
		if err := unix.Fsync(p.fd); err != nil && (errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)) {
			return fmt.Errorf("sync %s: %w", p.path, err)
		}
		return nil
	}
	done := bytes.Count(buf[:n], []byte{'\n'})
	whole := bytes.LastIndexByte(buf[:n], '\n') + 1
	if n > whole {
		end := n + bytes.IndexByte(buf[n:], '\n') + 1
		p.rest = append([]byte(nil), buf[n:end]...)
	}
	if p.path != "-" && errors.Is(err, unix.EPIPE) {
		// The reader is gone, and its half line with it.
		p.rest = nil
		p.closeLocked()
	}
	return undelivered(done, len(events), err)
}

// open makes p.fd usable.
func (p *pipe) open() error {
	if p.fd >= 0 {
		return nil
	}
	var err error
	if p.path == "-" {
		// A copy: writing to a broken pipe at descriptor 1 itself would end the process.
		p.fd, err = unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	} else {
		p.fd, err = unix.Open(p.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	}
	if err == nil {
		return nil
	}
	p.fd = -1
	if errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("open %s: nobody reads from it: %w", p.path, err)
	}
	return fmt.Errorf("open %s: %w", p.path, err)
}

// put writes b and returns how much of it is in the pipe.
func (p *pipe) put(ctx context.Context, b []byte) (n int, err error) {
	for n < len(b) {
		if err := ctx.Err(); err != nil {
			return n, fmt.Errorf("%s takes nothing: %w", p.path, err)
		}
		// Descriptor 1 is shared with other programs and stays in blocking
		// mode, so look first, and for a moment only: ctx cannot interrupt a poll.
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLOUT}}
		if _, err := unix.Poll(fds, 50); err != nil && !errors.Is(err, unix.EINTR) {
			return n, fmt.Errorf("write %s: %w", p.path, err)
		}
		if fds[0].Revents == 0 {
			continue
		}
		m, err := unix.Write(p.fd, b[n:min(n+chunk, len(b))])
		if m > 0 {
			n += m
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return n, fmt.Errorf("write %s: %w", p.path, err)
		}
	}
	return n, nil
}

func (p *pipe) closeLocked() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// Close gives the descriptor back. Standard output itself stays open.
func (p *pipe) Close(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked()
	return nil
}

// Probe reports that there is nothing to check.
func (p *pipe) Probe(_ context.Context, report func(agent.Step)) error {
	report(agent.Step{Name: "permission", Detail: "standard output is always there"})
	return nil
}
