package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A storm is a writer, an agent that reads its log, and what the agent wrote.
type storm struct {
	*testing.T
	style  stormStyle
	dir    string // of the log
	conf   string
	out    string
	agent  *daemon
	writer *exec.Cmd
	orders io.WriteCloser
	says   *bufio.Scanner
}

func startStorm(t *testing.T, style stormStyle) *storm {
	dir := t.TempDir()
	s := &storm{T: t, style: style, dir: filepath.Join(dir, "log"), conf: filepath.Join(dir, "siemd.yaml"), out: filepath.Join(dir, "out.jsonl")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.conf, fmt.Sprintf(`data_dir: %s/state
api: {listen: []}
inputs: {apps: {type: tail, paths: [%q]%s}}
outputs: {all: {type: file, path: %q, batch: {max_wait: 20ms}}}
`, dir, filepath.Join(s.dir, style.paths), style.keys, s.out))
	s.writer = exec.Command(os.Args[0], s.dir, style.name)
	s.writer.Env = append(os.Environ(), "SIEMD_TEST_WRITER=1")
	s.writer.Stderr = os.Stderr
	var err error
	if s.orders, err = s.writer.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	said, err := s.writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.says = bufio.NewScanner(said)
	if err := s.writer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.orders.Close()
		if err := s.writer.Wait(); err != nil {
			t.Error(err)
		}
	})
	if s.heard() != "ready" {
		t.Fatal("the writer did not start")
	}
	s.agent = startDaemon(t, s.conf, nil)
	eventually(t, 20*time.Second, "the log is found", func() bool {
		return metric(t, s.conf, `siemd_input_files{input="apps"}`) == "1"
	})
	return s
}

// order has the writer rotate so often; heard waits for it.
func (s *storm) order(rotations int) { fmt.Fprintln(s.orders, rotations, s.agent.cmd.Process.Pid) }

func (s *storm) heard() string {
	if !s.says.Scan() {
		s.Fatal("the writer has ended")
	}
	return s.says.Text()
}

func (s *storm) written() int {
	n, err := strconv.Atoi(s.heard())
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// all waits until the log holds n lines and the output has them all. The log
// must not hold more: then it took a line twice.
func (s *storm) all(n int) {
	s.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for agentStatus(s.T, s.conf).Accepted < n || metric(s.T, s.conf, `siemd_output_pending_events{output="all"}`) != "0" {
		if time.Now().After(deadline) {
			s.blame()
			lost, repeated, first := s.count(n)
			s.Fatalf("the log has not all %d lines: %d are lost, %d repeated; %s", n, lost, repeated, first)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// count is how often each line is in the output.
func (s *storm) count(n int) (lost, repeated int, first string) {
	s.Helper()
	data, err := os.ReadFile(s.out)
	if err != nil {
		s.Fatal(err)
	}
	seen := make([]int, n)
	for line := range bytes.Lines(data) {
		_, rest, _ := bytes.Cut(line, []byte(`"n":`))
		digits, _, _ := bytes.Cut(rest, []byte(","))
		i, err := strconv.Atoi(string(digits))
		if err != nil || i < 0 || i >= n {
			s.Fatalf("odd line %q", line)
		}
		seen[i]++
	}
	for i, times := range seen {
		if times == 0 && (i == 0 || seen[i-1] != 0) {
			first += fmt.Sprintf(" from %d", i)
		} else if times != 0 && i > 0 && seen[i-1] == 0 {
			first += fmt.Sprintf(" to %d,", i-1)
		}
		if times == 0 {
			lost++
		}
		repeated += max(0, times-1)
	}
	return lost, repeated, first
}

// Whatever the style of rotation, each line of a real writer comes once: two
// hundred rotations at 20,000 lines a second, while the agent is stopped and
// started, and killed. A kill may repeat deliveries, but puts no line into the log twice.
func TestRotationStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, style := range stormStyles {
		t.Run(style.name, func(t *testing.T) {
			t.Parallel()
			s := startStorm(t, style)
			rng := rand.New(rand.NewPCG(1, uint64(len(style.name))))
			const bursts, rotations = 10, 20
			n := 0
			began := time.Now()
			var writing time.Duration
			for burst := range bursts {
				kill := burst >= bursts/2
				started := time.Now()
				s.order(rotations)
				if style.away && burst%2 == 0 {
					time.Sleep(time.Duration(100+rng.IntN(200)) * time.Millisecond) // a moment in the middle of the burst
					s.end(kill)
					time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
					s.agent = startDaemon(t, s.conf, nil)
				}
				n = s.written()
				writing += time.Since(started)
				if !style.away && burst%2 == 0 {
					s.all(n) // what is deleted while nobody looks is gone
					s.end(kill)
					s.agent = startDaemon(t, s.conf, nil)
				}
				if burst == bursts/2-1 {
					s.all(n)
					if lost, repeated, first := s.count(n); lost+repeated > 0 {
						s.blame()
						t.Fatalf("without kills, of %d lines %d are lost and %d repeated: %s", n, lost, repeated, first)
					}
				}
			}
			s.all(n)
			lost, repeated, first := s.count(n)
			accepted := agentStatus(t, s.conf).Accepted
			if lost > 0 || accepted != n {
				s.blame()
				t.Errorf("of %d lines %d are lost; the log took %d; %s", n, lost, accepted, first)
			}
			if got := metric(t, s.conf, `siemd_input_suspected_losses_total{input="apps"}`); got != "0" {
				t.Errorf("%s losses are suspected", got)
			}
			t.Attr("trials", fmt.Sprint(bursts*rotations))
			t.Logf("%d lines, %d rotations, %.0f lines/s; %d lost, %d deliveries repeated after kills, all in %v",
				n, bursts*rotations, float64(n)/writing.Seconds(), lost, repeated, time.Since(began).Round(time.Millisecond))
			s.agent.stop()
		})
	}
}

func (s *storm) end(kill bool) {
	if kill {
		s.agent.kill()
	} else {
		s.agent.stop()
	}
}

// blame says what the agent knows of its files.
func (s *storm) blame() {
	out, _, _ := runSiemd(s.T, "", "status", "--files", "-c", s.conf)
	names, err := filepath.Glob(filepath.Join(s.dir, "*"))
	s.Logf("%s\n%s %v", out, strings.Join(names, "\n"), err)
}
