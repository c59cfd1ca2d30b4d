package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/nxadm/tail"
	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent"
)

// Pipes reads named pipes, each in two goroutines. nxadm/tail cuts the stream
// into lines. What it lacks is done by a relay before it: a line has a bound
// (it collects one of any length in memory), opening does not wait for a
// writer, the end of a writer ends its last line, and reading stops when it
// should, with nothing left in a buffer. The relay's own end is the only end
// of file that the library sees, so that it never starts a watcher: those end
// the process when inotify is used up.
type pipes struct {
	r      *run
	ctx    context.Context // of the run; only serve reads it, in the run's goroutine
	broken chan error
	wait   sync.WaitGroup
	open   map[string]openPipe // in the run's goroutine alone
}

type openPipe struct {
	id   identity
	stop context.CancelFunc
}

const (
	pipeBatch  = 1 << 20              // bytes of one batch
	pipeLinger = 2 * time.Millisecond // a batch goes when no line came for so long
	pipeEnd    = 5 * time.Second      // to store what was read when the run ends
)

func (p *pipes) start(ctx context.Context, r *run) {
	p.r, p.ctx, p.broken, p.open = r, ctx, make(chan error, 1), map[string]openPipe{}
}

// serve reads the pipe fo from now on, unless it is read already.
func (p *pipes) serve(fo found) {
	old, ok := p.open[fo.path]
	if ok && old.id == fo.info.id {
		return
	}
	if ok {
		old.stop()
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.open[fo.path] = openPipe{id: fo.info.id, stop: stop}
	p.wait.Go(func() {
		if err := p.read(ctx, fo); err != nil && ctx.Err() == nil {
			select {
			case p.broken <- fmt.Errorf("read the named pipe %s: %w", fo.path, err):
			default:
			}
		}
	})
}

func (p *pipes) close() error {
	for _, o := range p.open {
		o.stop()
	}
	p.wait.Wait()
	select {
	case err := <-p.broken:
		return err
	default:
		return nil
	}
}

func (p *pipes) read(ctx context.Context, fo found) error {
	fifo, err := openFIFO(fo)
	if err != nil {
		return err
	}
	defer fifo.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	lines, err := tail.TailFile(fmt.Sprintf("/proc/self/fd/%d", out.Fd()), tail.Config{
		MustExist: true, Pipe: true, CompleteLines: true, Logger: tail.DiscardingLogger,
	})
	if err != nil {
		in.Close()
		return err
	}
	relay := &relay{limit: int(p.r.t.config.MaxLine), refused: make(chan []byte, 1)}
	var relayed error
	var wait sync.WaitGroup
	wait.Go(func() {
		defer in.Close()
		relayed = relay.run(ctx, fifo, in)
	})
	b := &pipeBatcher{p: p, ctx: ctx, path: fo.path}
	b.run(lines.Lines, relay.refused)
	wait.Wait()
	lines.Stop() // never Cleanup: that deafens the next tail of the same path
	return relayed
}

func openFIFO(fo found) (*os.File, error) {
	rel, _ := below(fo.pattern.base, fo.path)
	f, err := openBeneath(fo.pattern.base, rel, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	i, err := statFIFO(f)
	if err == nil && (!i.fifo() || i.id != fo.info.id) {
		err = errReplaced
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// statFIFO is statFile without taking the file from the poller.
func statFIFO(f *os.File) (i info, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return info{}, err
	}
	ctlErr := raw.Control(func(fd uintptr) { i, err = statx(int(fd), "", unix.AT_EMPTY_PATH) })
	return i, errors.Join(ctlErr, err)
}

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

// A pipeBatcher gathers lines and stores them. While it does, nobody reads the
// pipe, so a slow disk holds the writer back.
type pipeBatcher struct {
	p     *pipes
	ctx   context.Context
	path  string
	batch agent.Batch
	bytes int
}

func (b *pipeBatcher) run(lines <-chan *tail.Line, refused <-chan []byte) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for lines != nil || refused != nil {
		select {
		case line, ok := <-lines:
			if !ok {
				lines = nil
				break
			}
			b.batch.Lines = append(b.batch.Lines, []byte(line.Text))
			b.bytes += len(line.Text)
		case text, ok := <-refused:
			if !ok {
				refused = nil
				break
			}
			b.batch.Refused = append(b.batch.Refused, agent.Refusal{
				Text: text, Reason: agent.ReasonTooLong, Detail: "the line is longer than max_line; this is its beginning",
			})
			b.bytes += len(text)
		case <-timer.C:
			b.store()
			continue
		}
		if b.bytes >= pipeBatch || len(b.batch.Lines) >= maxLines {
			b.store()
		} else {
			timer.Reset(pipeLinger)
		}
	}
	b.store()
}

// store keeps trying until the lines are on disk. They have left the pipe, so
// at the end of the run there is a little time left for them.
func (b *pipeBatcher) store() {
	if len(b.batch.Lines)+len(b.batch.Refused) == 0 {
		return
	}
	b.batch.File = b.path
	log, pause, failed := b.p.r.log, b.p.r.t.timing.retry, false
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.ctx))
	defer cancel()
	stop := context.AfterFunc(b.ctx, func() {
		t := time.NewTimer(pipeEnd)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-ctx.Done():
		}
	})
	defer stop()
	for {
		_, err := b.p.r.sink.Emit(ctx, b.batch)
		if err == nil {
			if failed {
				log.Info("the log takes lines again", "path", b.path)
			}
			break
		}
		if ctx.Err() != nil || errors.Is(err, agent.ErrClosed) {
			b.p.r.meters.losses.Inc()
			log.Error("lines from a named pipe could not be stored before the end", "path", b.path, "lines", len(b.batch.Lines), "err", err)
			break
		}
		if !failed {
			failed = true
			log.Warn("the log did not take lines, trying again", "path", b.path, "err", err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		pause = min(2*pause, 30*time.Second)
	}
	b.batch = agent.Batch{Lines: b.batch.Lines[:0]}
	b.bytes = 0
}
