package tail

import (
	"context"
	"errors"
	"fmt"
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
	relay := &relay{limit: int(p.r.t.config.MaxLine), refused: make(chan agent.Refusal, 1)}
	var relayed error
	var wait sync.WaitGroup
	wait.Go(func() {
		defer in.Close()
		relayed = relay.run(ctx, fifo, in)
	})
	b := &pipeBatcher{p: p, ctx: ctx, path: fo.path, places: &relay.places}
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

// A pipeBatcher gathers lines and stores them. While it does, nobody reads the
// pipe, so a slow disk holds the writer back.
type pipeBatcher struct {
	p      *pipes
	ctx    context.Context
	path   string
	places *places
	passed int64 // bytes of the lines that came
	batch  agent.Batch
	bytes  int
}

func (b *pipeBatcher) run(lines <-chan *tail.Line, refused <-chan agent.Refusal) {
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
			b.batch.Offsets = append(b.batch.Offsets, b.places.of(b.passed))
			b.passed += int64(len(line.Text)) + 1
			b.bytes += len(line.Text)
		case refusal, ok := <-refused:
			if !ok {
				refused = nil
				break
			}
			b.batch.Refused = append(b.batch.Refused, refusal)
			b.bytes += len(refusal.Text)
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
	b.batch = agent.Batch{Lines: b.batch.Lines[:0], Offsets: b.batch.Offsets[:0]}
	b.bytes = 0
}
