package packaging_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const unitFile = "systemd/siemd.service"

// setting gives the values of a key of the unit, in order.
func setting(unit, key string) []string {
	var values []string
	for line := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

// stagedUnit is the unit with a drop-in, maybe, and this test in the place of siemd.
func stagedUnit(t *testing.T, dropIn string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "siemd.service")
	write(t, path, strings.ReplaceAll(read(t, unitFile), "/usr/bin/siemd", self))
	if dropIn != "" {
		write(t, filepath.Join(path+".d", filepath.Base(dropIn)), read(t, dropIn))
	}
	return path
}

func dropIns(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../systemd/drop-ins/*.conf")
	if err != nil || len(paths) < 5 {
		t.Fatalf("drop-ins: %v, %v", paths, err)
	}
	for i, p := range paths {
		paths[i] = strings.TrimPrefix(p, "../")
	}
	return paths
}

// systemd takes the unit, with each of the drop-ins, without a word, and finds it little exposed.
func TestUnit(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze")
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	for _, dropIn := range append([]string{""}, dropIns(t)...) {
		t.Run(filepath.Base(dropIn), func(t *testing.T) {
			t.Parallel()
			path := stagedUnit(t, dropIn)
			if r := finish(t, exec.Command(analyze, "verify", "--man=no", path)); r.code != 0 || ownLines(r.err) != "" {
				t.Errorf("verify: exit code %d\n%s", r.code, r.err)
			}
			r := finish(t, exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=19", path))
			m := overall.FindStringSubmatch(r.out)
			if m == nil {
				t.Fatalf("security says nothing:\n%s%s", r.out, r.err)
			}
			t.Logf("exposure %s", m[1])
			limit := 1.5 // 1.3 but for what a drop-in opens
			if dropIn == "" {
				limit = 1.3
			}
			if score, _ := strconv.ParseFloat(m[1], 64); r.code != 0 || score > limit {
				t.Errorf("exposure %s, want at most %v; exit code %d", m[1], limit, r.code)
			}
		})
	}
}

// ownLines are those about siemd; systemd also complains about other units of the machine.
func ownLines(text string) string {
	var own []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "siemd") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

// What the unit relies on is what the command does.
func TestUnitAndCommand(t *testing.T) {
	t.Parallel()
	unit := read(t, unitFile)
	help := helpTexts{t: t}
	for _, key := range []string{"ExecStart", "ExecReload"} {
		for _, line := range setting(unit, key) {
			words := strings.Fields(strings.TrimPrefix(line, "/usr/bin/"))
			if why := help.wrong(words); why != "" {
				t.Errorf("%s=%s: %s", key, line, why)
			}
		}
	}
	// A config with a mistake gives an exit code that is not tried again.
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	write(t, path, "inputs: {x: {type: nothing}}\n")
	prevented := strings.Fields(setting(unit, "RestartPreventExitStatus")[0])
	for _, args := range [][]string{{"run", "-c", path}, {"run", "--nonsense"}} {
		if r := siemd(t, args...); !slices.Contains(prevented, strconv.Itoa(r.code)) {
			t.Errorf("siemd %v: exit code %d is none of %v", args, r.code, prevented)
		}
	}
	// One agent may not start while another one stops.
	stop, err := time.ParseDuration(setting(unit, "TimeoutStopSec")[0])
	if err != nil || stop < 45*time.Second {
		t.Errorf("TimeoutStopSec is %v: not twice shutdown_timeout", stop)
	}
}

// The agent tells systemd that it is ready, feeds the watchdog if the unit has one, and says when it stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	addr := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if len(setting(read(t, unitFile), "WatchdogSec")) != 1 {
		t.Error("the unit has no watchdog")
	}
	a := startAgent(t, "data_dir: DIR/data\napi: {listen: []}\noutputs: {away: {type: syslog, endpoint: '127.0.0.1:9'}}\n", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+addr.Name, "WATCHDOG_USEC=2000000")
	})
	expect(t, conn, "STATUS=opening the log")
	expect(t, conn, "READY=1")
	expect(t, conn, "STATUS=1 connection ok; backlog 0 events, log 0B")
	expect(t, conn, "WATCHDOG=1")
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, "RELOADING=1")
	expect(t, conn, "READY=1")
	expect(t, conn, "WATCHDOG=1")
	a.stop(t)
	expect(t, conn, "STOPPING=1")
}

// expect reads what systemd would be told until a line of it is want.
func expect(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	buf := make([]byte, 4096)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("systemd was not told %s: %v", want, err)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), want) {
			return
		}
	}
}

// Every system call of an agent at work is one that the unit allows, and it writes only where the unit lets it:
// below data_dir, and where an output of type file is told to.
func TestSystemCalls(t *testing.T) {
	t.Parallel()
	strace, analyze := tool(t, "strace"), tool(t, "systemd-analyze")
	allowed := allowedCalls(t, analyze)
	trace := filepath.Join(t.TempDir(), "trace")
	a := startAgent(t, `
data_dir: DIR/data
api: {listen: []}
inputs:
  apps: {type: tail, paths: [DIR/in/*.jsonl]}
  ingest: {type: http, listen: "127.0.0.1:0"}
outputs:
  file: {type: file, path: DIR/out.jsonl, start: oldest, rotate: {max_size: 1KiB, keep: 2}}
  tcp: {type: syslog, endpoint: "127.0.0.1:9", start: oldest}
  udp: {type: syslog, transport: udp, endpoint: "127.0.0.1:9", start: oldest}
  hec: {type: splunk, endpoint: "http://localhost:9", token: secret-of-the-test, start: oldest}
  cat: {type: exec, command: [/bin/cat], start: oldest}
`, func(cmd *exec.Cmd) {
		// -D: the agent is our child and strace its grandchild, for strace keeps signals from what it runs.
		cmd.Args = append([]string{strace, "-D", "-f", "-qq", "-e", "signal=none", "-o", trace, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = strace
	})
	in := filepath.Join(filepath.Dir(a.dir), "in")
	write(t, filepath.Join(in, "a.jsonl"), strings.Repeat(`{"event_type":"alert","severity":"high","title":"hello"}`+"\n", 100))
	waitFor(t, "events have left", func() bool {
		return strings.Contains(a.get(t, "/metrics"), `siemd_output_events_total{output="file",result="sent"} 100`)
	})
	a.stop(t)

	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root := filepath.Dir(a.dir)
	named := regexp.MustCompile(`^\d+ +(openat|mkdirat|mkdir|unlinkat|unlink|renameat2?|rename|linkat|symlinkat|fchmodat|chmod|truncate)\((.*)`)
	quoted := regexp.MustCompile(`"([^"]*)"`)
	written := 0
	call := regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)`)
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := call.FindStringSubmatch(lines.Text()); m != nil {
			seen[m[1]] = true
		}
		m := named.FindStringSubmatch(lines.Text())
		if m == nil || m[1] == "openat" && !strings.Contains(m[2], "O_WRONLY") && !strings.Contains(m[2], "O_RDWR") && !strings.Contains(m[2], "O_CREAT") {
			continue
		}
		for _, path := range quoted.FindAllStringSubmatch(m[2], -1) {
			switch written++; {
			case strings.HasPrefix(path[1], a.dir), strings.HasPrefix(path[1], filepath.Join(root, "out.jsonl")), path[1] == "/dev/null":
			case !strings.HasPrefix(path[1], "/"): // below a folder that is open already
			default:
				t.Errorf("it writes to %s: %s", path[1], lines.Text())
			}
		}
	}
	if len(seen) < 20 {
		t.Fatalf("only %d system calls were seen", len(seen))
	}
	for name := range seen {
		if !allowed[name] {
			t.Errorf("%s is used, and the unit forbids it", name)
		}
	}
	if written < 10 {
		t.Errorf("only %d writes were seen", written)
	}
	t.Logf("%d system calls, all allowed; %d paths written to, all in their place", len(seen), written)
}

// allowedCalls are those that the unit's SystemCallFilter lets through, as systemd applies it.
func allowedCalls(t *testing.T, analyze string) map[string]bool {
	t.Helper()
	sets := map[string][]string{}
	name := ""
	for line := range strings.Lines(finish(t, exec.Command(analyze, "syscall-filter", "--no-pager")).out) {
		word := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(word, "#") || word == "":
		case strings.HasPrefix(line, "@"):
			name = word
		default:
			sets[name] = append(sets[name], word)
		}
	}
	var expand func(set string) []string
	expand = func(set string) []string {
		if !strings.HasPrefix(set, "@") {
			return []string{set}
		}
		var calls []string
		for _, s := range sets[set] {
			calls = append(calls, expand(s)...)
		}
		return calls
	}
	allowed := map[string]bool{}
	for _, filter := range setting(read(t, unitFile), "SystemCallFilter") {
		list, forbid := strings.CutPrefix(filter, "~")
		for _, set := range strings.Fields(list) {
			for _, call := range expand(set) {
				allowed[call] = !forbid
			}
		}
	}
	for _, call := range expand("@default") { // always
		allowed[call] = true
	}
	return allowed
}
