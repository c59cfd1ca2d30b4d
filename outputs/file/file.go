// Package file appends events to a file, one JSON object a line, or writes them
// to standard output.
//
// Write returns when the lines are on disk (fsync). A batch that could not be
// written or synced is taken back out of the file, and the end of a line that a
// crash cut in half is removed when the file is opened, so that a file holds
// whole lines only. What was acknowledged is never touched.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/raw"
)

func init() {
	agent.RegisterOutput("file", defaults, func(c Config, env agent.Env) (agent.Output, error) { return build(c, env) })
}

func build(c Config, env agent.Env) (agent.Output, error) {
	if c.Path == "-" {
		return newPipe("-"), nil
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	return &output{path: path, mode: fs.FileMode(c.Mode), rotate: c.Rotate, now: time.Now, env: env}, nil
}

// An output is agent.Output, Encoder, Prober and Closer.
type output struct {
	raw.Codec
	path   string
	mode   fs.FileMode
	rotate Rotate
	now    func() time.Time
	env    agent.Env

	mu   sync.Mutex // guards the rest
	pipe *pipe      // if path is no regular file
	f    *os.File   // nil: to be opened
	info fs.FileInfo
	size int64
	born time.Time
	buf  []byte
}

// Write appends the events and syncs the file. Lines that do not fit the
// present file go to the next; if that fails, a PartialError names them.
func (o *output) Write(ctx context.Context, events []agent.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if info, err := os.Stat(o.path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		if o.pipe == nil {
			o.drop()
			o.pipe = newPipe(o.path)
		}
		return o.pipe.Write(ctx, events)
	}
	done := 0
	for done < len(events) {
		n, err := o.some(ctx, events[done:])
		if err != nil {
			return undelivered(done, len(events), err)
		}
		done += n
	}
	return nil
}

// some writes as many events as go into one file, at least one.
func (o *output) some(ctx context.Context, events []agent.Event) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := o.open(); err != nil {
		return 0, err
	}
	if o.due(len(line(&events[0]))) {
		if err := o.turn(); err != nil {
			return 0, err
		}
	}
	o.buf = o.buf[:0]
	for n < len(events) {
		l := line(&events[n])
		if n > 0 && o.over(len(o.buf)+len(l)) {
			break
		}
		o.buf = append(o.buf, l...)
		n++
	}
	if err := o.append(o.buf); err != nil {
		return 0, err
	}
	return n, nil
}

func line(e *agent.Event) []byte {
	if e.Wire != nil {
		return e.Wire
	}
	b, _ := raw.Codec{}.Encode(nil, e) // never fails
	return b
}

// append writes and syncs p, or takes back what it wrote of it.
func (o *output) append(p []byte) error {
	_, err := o.f.Write(p)
	if err == nil {
		err = o.f.Sync()
	}
	if err == nil {
		o.size += int64(len(p))
		return nil
	}
	err = fmt.Errorf("write %s: %w", o.path, err)
	// If this fails too, open finds the rest of a line and cuts it.
	if e := o.f.Truncate(o.size); e != nil {
		err = errors.Join(err, fmt.Errorf("take back what was written: %w", e))
	}
	// A failed fsync says nothing about a second one: begin anew.
	o.drop()
	return err
}

// open opens the file unless it is open and as we left it: others may have
// renamed, removed, emptied or written it.
func (o *output) open() error {
	info, err := os.Stat(o.path)
	if o.f != nil && err == nil && os.SameFile(info, o.info) && info.Size() == o.size {
		return nil
	}
	o.drop()
	f, err := os.OpenFile(o.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, o.mode)
	if err != nil {
		return err
	}
	if err := o.take(f); err != nil {
		f.Close()
		return fmt.Errorf("open %s: %w", o.path, err)
	}
	return nil
}

// take makes f the file to append to.
func (o *output) take(f *os.File) error {
	// Two outputs, or two agents, would cut each other's lines.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errors.New("another output or agent writes to it")
		}
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size, err := mend(f, info.Size())
	if err != nil {
		return err
	}
	if cut := info.Size() - size; cut > 0 {
		o.env.Log.Warn("removed an unfinished line from the end of the file", "path", o.path, "bytes", cut)
	}
	o.born = madeAt(f, info)
	if size == 0 {
		o.born = o.now()
		// A new file's name must survive a power cut as surely as what is in it.
		if err := syncDir(filepath.Dir(o.path)); err != nil {
			return err
		}
	}
	o.f, o.info, o.size = f, info, size
	return nil
}

func (o *output) drop() {
	if o.f != nil {
		o.f.Close()
		o.f = nil
	}
}

// mend cuts what follows the last line feed, if anything: the beginning of a
// line that was never acknowledged. A whole JSON object that merely lacks its
// line feed was not written by us; it gets one. The result is the file's size.
func mend(f *os.File, size int64) (int64, error) {
	const step = 64 << 10
	end := size
	var tail []byte
	for at := size; at > 0; {
		n := min(at, step)
		buf := make([]byte, n, int(n)+len(tail))
		if _, err := f.ReadAt(buf, at-n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		at -= n
		i := bytes.LastIndexByte(buf, '\n')
		tail = append(buf[i+1:], tail...)
		end = at + int64(i) + 1
		if i >= 0 {
			break
		}
		if len(tail) > maxTail {
			return 0, errors.New("its last 16 MiB hold no line feed: this is no file of events")
		}
	}
	if len(tail) == 0 {
		return size, nil
	}
	if whole(tail) {
		if _, err := f.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		return size + 1, f.Sync()
	}
	if err := f.Truncate(end); err != nil {
		return 0, err
	}
	return end, f.Sync()
}

// maxTail is longer than any event.
const maxTail = 16 << 20

func undelivered(done, n int, err error) error {
	if done == 0 {
		return err
	}
	p := &agent.PartialError{}
	for i := done; i < n; i++ {
		p.Failed = append(p.Failed, agent.EventError{Index: i, Err: err})
	}
	return p
}

// Probe checks that the file can be written, without writing to it.
func (o *output) Probe(_ context.Context, report func(agent.Step)) error {
	info, err := os.Stat(o.path)
	detail := o.path + " will be made"
	switch {
	case err == nil && info.IsDir():
		err = fmt.Errorf("%s is a directory", o.path)
	case err == nil:
		detail = fmt.Sprintf("%s has %d bytes", o.path, info.Size())
		err = unix.Access(o.path, unix.W_OK)
	case errors.Is(err, fs.ErrNotExist):
		detail = o.path + " will be made"
		if _, err = os.Stat(filepath.Dir(o.path)); err == nil {
			err = unix.Access(filepath.Dir(o.path), unix.W_OK)
		}
	}
	s := agent.Step{Name: "permission", Detail: detail, Err: err}
	if err != nil {
		s.Fix = "make the directory, and let the user that siemd runs as write there (under systemd also ReadWritePaths=)"
	}
	report(s)
	return err
}

// Close closes the file. All in it is on disk.
func (o *output) Close(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
	if o.pipe != nil {
		return o.pipe.Close(ctx)
	}
	return nil
}
