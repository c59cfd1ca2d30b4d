package stdin

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A reader reads a file of any kind, a terminal or a pipe for instance, and
// can be stopped while it waits. The file's mode is left alone: others share it.
type reader struct {
	fd      int
	ctx     context.Context
	wake    [2]*os.File // a pipe whose end of file ends the wait
	release func() bool
}

func newReader(ctx context.Context, f *os.File) (*reader, error) {
	r := &reader{ctx: ctx}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := raw.Control(func(fd uintptr) { r.fd = int(fd) }); err != nil {
		return nil, err
	}
	if r.wake[0], r.wake[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	r.release = context.AfterFunc(ctx, func() { r.wake[1].Close() })
	return r, nil
}

func (r *reader) close() {
	if r.release() {
		r.wake[1].Close()
	}
	r.wake[0].Close()
}

// Read waits until there is something to read or ctx ends.
func (r *reader) Read(p []byte) (int, error) {
	wake, err := r.wake[0].SyscallConn()
	if err != nil {
		return 0, err
	}
	for {
		if r.ctx.Err() != nil {
			return 0, r.ctx.Err()
		}
		ready := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Events: unix.POLLIN}}
		if ctlErr := wake.Control(func(fd uintptr) {
			ready[1].Fd = int32(fd)
			_, err = unix.Poll(ready, -1)
		}); ctlErr != nil {
			return 0, ctlErr
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if ready[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(r.fd, p)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
