package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestNetworkFaults runs the agent and its receivers in network namespaces of
// their own and takes the network between them away in every way that needs no
// cooperation from either: nothing may be lost. Six times in short, two
// hundred with SIEMD_TORTURE.
func TestNetworkFaults(t *testing.T) {
	trials := 6
	if os.Getenv("SIEMD_TORTURE") != "" {
		trials = 200
	}
	a, b := newNamespace(t), newNamespace(t)
	a.ip("link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", strconv.Itoa(b.pid))
	a.up("va", "192.0.2.1/24")
	b.up("vb", "192.0.2.2/24")

	dir := t.TempDir()
	received := map[string]*collector{}
	outputs := ""
	for name, o := range map[string]struct{ kind, port, conf string }{
		"splunk":  {"splunk", "8088", "type: splunk, endpoint: 'http://192.0.2.2:8088', token: T0K"},
		"elastic": {"elastic", "9200", "type: elastic, endpoint: 'http://192.0.2.2:9200', index: events"},
		"syslog":  {"syslog", "6514", "type: syslog, endpoint: '192.0.2.2:6514'"},
	} {
		received[name] = b.collect(t, "sink", o.kind, "--listen", "192.0.2.2:"+o.port)
		outputs += fmt.Sprintf("  %s: {%s, timeout: 2s, batch: {max_wait: 20ms}, retry: {initial: 50ms, max: 500ms}}\n", name, o.conf)
	}
	conf, input := filepath.Join(dir, "siemd.yaml"), filepath.Join(dir, "app.jsonl")
	writeFile(t, conf, fmt.Sprintf("data_dir: %[1]s/state\napi: {listen: []}\ninputs:\n  apps: {type: tail, paths: [%[1]s/*.jsonl]}\noutputs:\n%s", dir, outputs))
	d := startDaemonAs(t, a.command(siemd("run", "-c", conf)), conf, nil)

	faults := []struct {
		name        string
		begin, heal func()
	}{
		{"link down", func() { a.ip("link", "set", "va", "down") }, func() { a.ip("link", "set", "va", "up") }},
		{"peer's link down", func() { b.ip("link", "set", "vb", "down") }, func() { b.ip("link", "set", "vb", "up") }},
		{"swallowed on the way out", func() { a.ip("route", "add", "blackhole", "192.0.2.2/32") }, func() { a.ip("route", "del", "blackhole", "192.0.2.2/32") }},
		{"swallowed on the way back", func() { b.ip("route", "add", "blackhole", "192.0.2.1/32") }, func() { b.ip("route", "del", "blackhole", "192.0.2.1/32") }},
		{"unreachable", func() { a.ip("route", "add", "unreachable", "192.0.2.2/32") }, func() { a.ip("route", "del", "unreachable", "192.0.2.2/32") }},
		{"peer has no address", func() { b.ip("addr", "del", "192.0.2.2/24", "dev", "vb") }, func() { b.ip("addr", "add", "192.0.2.2/24", "dev", "vb") }},
	}
	f, err := os.OpenFile(input, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := plugintest.NewGenerator(1)
	g.Prefix = "NET-"
	n := 0
	feed := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			var lines []byte
			for range 10 {
				lines = g.Append(lines)
				n++
			}
			if _, err := f.Write(lines); err != nil {
				t.Fatal(err)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 3))
	for i := range trials {
		fault := faults[i%len(faults)]
		t.Logf("%d: %s", i, fault.name)
		feed(time.Duration(rng.IntN(300)) * time.Millisecond)
		fault.begin()
		feed(time.Duration(100+rng.IntN(1500)) * time.Millisecond)
		fault.heal()
	}
	feed(100 * time.Millisecond)
	t.Attr("trials", strconv.Itoa(trials))
	for name, c := range received {
		eventually(t, 3*time.Minute, name+" has all events", func() bool { return c.distinct() >= n })
	}
	d.stop()
	t.Logf("%d events, %d trials: %d, %d and %d arrivals at Splunk, Elasticsearch and syslog", n, trials,
		received["splunk"].arrivals(), received["elastic"].arrivals(), received["syslog"].arrivals())
}

// namespace is a network of its own, held by a sleeping process.
type namespace struct {
	t   *testing.T
	pid int
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	skip := func(why string) {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	for _, tool := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(tool + " is not installed: network faults are not tried (apt-get install iproute2 util-linux)")
		}
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	cmd := exec.Command("unshare", "--net", "sh", "-c", "echo ready; exec sleep 3600")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		skip("there can be no network namespace here: " + line)
	}
	return &namespace{t, cmd.Process.Pid}
}

// command makes cmd run in the namespace.
func (n *namespace) command(cmd *exec.Cmd) *exec.Cmd {
	inside := exec.Command("nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", n.pid), "--", cmd.Path}, cmd.Args[1:]...)...)
	inside.Env = cmd.Env
	return inside
}

func (n *namespace) ip(args ...string) {
	n.t.Helper()
	if out, err := n.command(exec.Command("ip", args...)).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (n *namespace) up(device, addr string) {
	n.t.Helper()
	n.ip("link", "set", "lo", "up")
	n.ip("addr", "add", addr, "dev", device)
	n.ip("link", "set", device, "up")
}

// collector counts the events that a receiver prints.
type collector struct {
	mu   sync.Mutex
	seen map[string]int
	all  int
}

var netID = regexp.MustCompile(`NET-\d{10}`)

// collect runs a siemd command in the namespace until the test ends.
func (n *namespace) collect(t *testing.T, args ...string) *collector {
	t.Helper()
	c := &collector{seen: map[string]int{}}
	cmd := n.command(siemd(args...))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	diag, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	lines := bufio.NewReader(diag)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "listens on") {
		t.Fatalf("%v: %s %v", args, line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	go func() {
		in := bufio.NewScanner(out)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			if id := netID.FindString(in.Text()); id != "" {
				c.mu.Lock()
				c.seen[id]++
				c.all++
				c.mu.Unlock()
			}
		}
	}()
	return c
}

func (c *collector) distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *collector) arrivals() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
