package exec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/adrian207/siemd/agent"
)

// A process is a running connector, in a process group of its own.
type process struct {
	cmd    *osexec.Cmd
	in     *os.File // its standard input
	out    *os.File // its standard output
	errs   *os.File // its standard error
	reader *bufio.Reader
	atEnd  bool           // standard output has been read to its end
	exited chan struct{}  // closed when it is gone and reaped
	logged chan struct{}  // closed when standard error is at its end
	work   sync.WaitGroup // the goroutines that close these
}

// maxAnswer is the longest line of a connector.
const maxAnswer = 64 << 10

// inherited are the variables that a connector shares with siemd, whose others
// may hold secrets that are none of its business.
var inherited = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"}

func startProcess(c Config, env agent.Env, clean func([]byte, int) string) (*process, error) {
	cmd := osexec.Command(c.Command[0], c.Command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{"SIEMD_OUTPUT=" + env.Name}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	for name, v := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+v.Reveal())
	}

	var ends []*os.File // all six
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe()
		if err == nil {
			ends = append(ends, r, w)
		}
		return r, w, err
	}
	inR, inW, err1 := pipe()
	outR, outW, err2 := pipe()
	errR, errW, err3 := pipe()
	err := errors.Join(err1, err2, err3)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
		err = cmd.Start()
	}
	if err != nil {
		for _, f := range ends {
			f.Close()
		}
		return nil, fmt.Errorf("start the connector: %w", err)
	}
	inR.Close()
	outW.Close()
	errW.Close()

	p := &process{cmd: cmd, in: inW, out: outR, errs: errR, reader: bufio.NewReaderSize(outR, maxAnswer), exited: make(chan struct{}), logged: make(chan struct{})}
	p.work.Go(func() {
		defer close(p.exited)
		p.cmd.Wait() // its result is in ProcessState
	})
	p.work.Go(func() {
		defer close(p.logged)
		p.logErrors(env, clean)
	})
	return p, nil
}

// within ends reads and writes when ctx does. The returned function lifts that again.
func (p *process) within(ctx context.Context) (lift func()) {
	p.in.SetWriteDeadline(time.Time{})
	p.out.SetReadDeadline(time.Time{})
	var interrupted sync.WaitGroup
	interrupted.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer interrupted.Done()
		p.interrupt()
	})
	return func() {
		if !stop() {
			interrupted.Wait()
		}
	}
}

func (p *process) interrupt() {
	past := time.Unix(1, 0)
	p.in.SetWriteDeadline(past)
	p.out.SetReadDeadline(past)
}

// readLine returns the next line of standard output; it is valid until the next call.
func (p *process) readLine() ([]byte, error) {
	line, err := p.reader.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("the connector wrote a line of more than %d bytes", maxAnswer)
	case errors.Is(err, io.EOF):
		p.atEnd = true
		return nil, errors.New("the connector ended, or closed its standard output, before it had answered everything")
	}
	return nil, fmt.Errorf("read from the connector: %w", err)
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// reap is how long a killed process may take to be gone, and one that closed
// its output to exit by itself, so that its exit code is known.
const reap = 500 * time.Millisecond

// kill ends the process and its children, and says how it ended.
func (p *process) kill() (code int, state string) {
	if p.atEnd {
		await(p.exited, reap)
	}
	killed := !p.ended()
	p.signal(syscall.SIGKILL)
	if !await(p.exited, 10*reap) {
		// It hangs in the kernel. Closing its pipes is all that can be done.
		p.release()
		return -1, "it cannot be killed"
	}
	await(p.logged, reap) // what it said last matters most
	p.release()
	p.work.Wait()
	if killed {
		return -1, "it was ended"
	}
	return p.cmd.ProcessState.ExitCode(), p.cmd.ProcessState.String()
}

// finish closes standard input and gives the process time to exit.
func (p *process) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p.in.Close()
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.signal(syscall.SIGTERM)
		await(p.exited, 2*reap)
	}
	p.kill()
}

func await(done chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// signal reaches the whole process group, of which the connector may be gone already.
func (p *process) signal(s syscall.Signal) { syscall.Kill(-p.cmd.Process.Pid, s) }

// release closes our ends of the pipes, which ends all that reads and writes them.
func (p *process) release() {
	p.in.Close()
	p.out.Close()
	p.errs.Close()
}

// maxLogged is the longest line of standard error that is logged in full.
const maxLogged = 2048

// logErrors carries standard error to the log, ten lines a second after the first fifty.
func (p *process) logErrors(env agent.Env, clean func([]byte, int) string) {
	limit := rate.NewLimiter(10, 50)
	r := bufio.NewReaderSize(p.errs, 2*maxLogged)
	suppressed := 0
	for {
		line, err := r.ReadSlice('\n')
		text := clean(bytes.TrimRight(line, "\r\n"), maxLogged)
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = r.ReadSlice('\n')
		}
		switch {
		case text == "":
		case limit.Allow():
			env.Log.Info("connector says", "line", text, "suppressed", suppressed)
			suppressed = 0
		default:
			suppressed++
		}
		if err != nil {
			if suppressed > 0 {
				env.Log.Info("connector said more", "suppressed", suppressed)
			}
			return
		}
	}
}
