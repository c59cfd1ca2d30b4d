package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const ticks = 100 // of /proc, per second

// usage is what a process and its children have used.
type usage struct {
	cpu     float64 // seconds, user and system
	rss     int64   // bytes now
	peak    int64   // highest rss, bytes
	written int64   // bytes handed to the disk
}

// process is one run of an agent, in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at its end
	log  string
	last usage
}

func start(argv []string, dir string) (*process, error) {
	p := &process{done: make(chan struct{}), log: filepath.Join(dir, "agent.log")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process and its group, by force after ten seconds.
func (p *process) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// lines are the latest of its log, for errors.
func (p *process) lines() string {
	b, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(b[max(0, len(b)-1500):]))
}

// sample returns what it has used so far. Of a process that has ended it is
// what the system says at the end, and what was written until the last look.
func (p *process) sample() usage {
	var u usage
	switch ok := u.add(p.cmd.Process.Pid); {
	case ok && u.peak == 0: // a zombie, about to be waited for
		<-p.done
	case ok:
		p.last = u
	}
	if p.ended() {
		if r, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			p.last.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
			p.last.peak = int64(r.Maxrss) << 10
		}
	}
	return p.last
}

// add sums up what /proc says of pid and its descendants.
func (u *usage) add(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return false
	}
	// Behind the name, in parentheses, fields 14 to 17 of proc_pid_stat(5) are
	// the times of the process and of the children it has waited for.
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	for _, field := range f[11:15] {
		n, _ := strconv.ParseInt(string(field), 10, 64)
		u.cpu += float64(n) / ticks
	}
	u.peak += value(dir+"status", "VmHWM:") << 10
	u.rss += value(dir+"status", "VmRSS:") << 10
	u.written += value(dir+"io", "write_bytes:")
	kids, _ := filepath.Glob(dir + "task/*/children")
	for _, k := range kids {
		b, _ := os.ReadFile(k)
		for kid := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(kid); err == nil {
				u.add(n)
			}
		}
	}
	return true
}

// value is the number behind a name in one of the files of /proc.
func value(path, name string) int64 {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

// machineCPU is the seconds that all cores together have been busy.
func machineCPU() float64 {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	var busy int64
	for i, f := range strings.Fields(line) {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i != 4 && i != 5 && i < 9 { // idle, iowait
			busy += n
		}
	}
	return float64(busy) / ticks
}

// ownCPU is the seconds that this process, feeder and receivers, has used.
func ownCPU() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}

// awaitQuiet returns when the machine has used less than a fifth of a core for
// a second, or after limit.
func awaitQuiet(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before := machineCPU()
		time.Sleep(time.Second)
		if machineCPU()-before < 0.2 {
			return
		}
	}
}
