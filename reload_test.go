package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adrian207/siemd/agent/plugintest"
)

// Systemd hears when a reload begins, by its own clock, and when it has ended,
// whoever asked for it and whatever became of it.
func TestSystemdHearsOfReloads(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	hear := func(want string) string {
		t.Helper()
		buf := make([]byte, 4096)
		if err := ln.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := ln.Read(buf)
		for err == nil && (bytes.HasPrefix(buf[:n], []byte("STATUS=")) || bytes.HasPrefix(buf[:n], []byte("WATCHDOG="))) {
			n, err = ln.Read(buf) // told now and then
		}
		if err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			t.Fatalf("heard %q, %v, want %q", buf[:n], err, want)
		}
		return string(buf[:n])
	}
	clock := func() int64 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		return now.Nano() / 1000
	}
	b := startBench(t, "")
	hear("READY=1")
	good, err := os.ReadFile(b.conf())
	if err != nil {
		t.Fatal(err)
	}
	reload := func(what string, ask func(), status string) {
		t.Helper()
		before := clock()
		ask()
		_, since, ok := strings.Cut(hear("RELOADING=1\n"), "MONOTONIC_USEC=")
		at, err := strconv.ParseInt(strings.TrimSpace(since), 10, 64)
		if !ok || err != nil || at < before || at > clock() {
			t.Errorf("%s: since %q, %v", what, since, err)
		}
		if said := hear("READY=1\nSTATUS="); !strings.Contains(said, status) {
			t.Errorf("%s: %q, want %q", what, said, status)
		}
	}
	hup := func() {
		t.Helper()
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	reload("SIGHUP", hup, "config generation 2 runs")
	reload("the command", func() {
		if stdout, stderr, code := runSiemd(t, "", "reload", "-c", b.conf()); code != 0 || !strings.Contains(stdout, "nothing has changed, generation 3") {
			t.Errorf("reload: %d %s%s", code, stdout, stderr)
		}
	}, "config generation 3 runs")
	reload("an edit", func() { writeFile(t, b.conf(), string(good)+"shutdown_timeout: 5s\n") }, "config generation 4 runs")
	reload("a wrong edit", func() { writeFile(t, b.conf(), string(good)+"nonsense: 1\n") }, "reload refused, config generation 4 runs on: the config has an error")
	reload("the command again", func() {
		_, stderr, code := runSiemd(t, "", "reload", "--socket", filepath.Join(b.dir, "state", "siemd.sock"))
		if code != 78 || !strings.Contains(stderr, fmt.Sprintf("%s:%d:1: error: unknown key \"nonsense\"", b.conf(), strings.Count(string(good), "\n")+1)) || !strings.Contains(stderr, "^^^^^^^^") {
			t.Errorf("reload: %d %s", code, stderr)
		}
	}, "reload refused")
	var st struct {
		Problem string `json:"config_problem"`
	}
	if err := b.call("GET", "/api/v1/siem/status", &st); err != nil || st.Problem != "the config has an error" {
		t.Errorf("%+v, %v", st, err)
	}
	// Each is in the audit log, with who asked.
	data, err := os.ReadFile(filepath.Join(b.dir, "state", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var audited []string
	for line := range strings.Lines(string(data)) {
		var r struct{ Actor, Action, Result string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		actor, _, _ := strings.Cut(r.Actor, " ")
		if actor != "SIGHUP" && actor != "edit" {
			actor = "socket"
		}
		audited = append(audited, actor+" "+r.Action+" "+r.Result)
	}
	if got, want := strings.Join(audited, ", "), "SIGHUP reload ok, socket reload ok, edit reload ok, edit reload refused, socket reload refused"; got != want {
		t.Errorf("audited: %s\nwant: %s", got, want)
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	if err := b.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The text of the config stays the same, and a file that it names changes: its
// user alone is started anew, without anybody asking.
func TestRotatedFilesRestartTheirUsersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	trust := func(list ...*authority) {
		t.Helper()
		var text []byte
		for _, a := range list {
			text = append(text, a.pem...)
		}
		writeFile(t, ca+".new", string(text))
		if err := os.Rename(ca+".new", ca); err != nil {
			t.Fatal(err)
		}
	}
	trust(first)
	writeFile(t, token, "one\n")
	kept := startReceiver(t, "syslog", plugintest.Options{})
	bearer := startReceiver(t, "splunk", plugintest.Options{})
	b := startBench(t, fmt.Sprintf(`shutdown_timeout: 200ms
outputs:
  kept: {type: syslog, endpoint: %q, %[4]s}
  bearer: {type: splunk, endpoint: %[2]q, token: "${file:%[5]s}", %[4]s}
  trusting: {type: http, endpoint: "https://127.0.0.1:1/x", tls: {ca_file: %[3]s}, %[4]s}
`, kept.URL(), bearer.URL(), ca, quick, token))
	reloaded := func(n int, change func(), want string) {
		t.Helper()
		change()
		eventually(t, 30*time.Second, "it is noticed", func() bool { return strings.Count(b.log("config reloaded"), "by=edit") == n })
		data, err := os.ReadFile(filepath.Join(b.dir, "state", "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, `"change":{"outputs":[{"name":"`+want+`","action":"restart"}]}`) {
			t.Errorf("audited: %s", last)
		}
	}
	reloaded(1, func() { trust(first, second) }, "trusting")
	reloaded(2, func() { writeFile(t, token, "two\n") }, "bearer")
	lines, ids := generate(1, "R-", 50)
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*plugintest.Receiver{"kept": kept, "bearer": bearer} {
		eventually(t, 30*time.Second, name+" has all", func() bool { return r.Stats().Distinct == int64(len(ids)) })
	}
	if n := kept.Stats().Requests; n != 1 {
		t.Errorf("the untouched output made %d connections", n)
	}
	// What cannot be used is refused, with its place, and the old one stays.
	writeFile(t, ca, "nonsense\n")
	eventually(t, 30*time.Second, "it is refused", func() bool { return strings.Contains(b.log("config mistake"), "holds no certificate in PEM") })
	_, stderr, code := runSiemd(t, "", "check", "-c", b.conf())
	if code != 78 || !strings.Contains(stderr, ":76: error: "+ca+" holds no certificate in PEM") {
		t.Errorf("check: %d %s", code, stderr)
	}
	trust(second)
	eventually(t, 30*time.Second, "it is mended", func() bool { return strings.Count(b.log("config reloaded"), "by=edit") == 3 })
	b.stop()
}

// An output that is taken out of the config keeps its place and its failed
// events, is told of, and goes on where it left when it comes back.
func TestOrphanComesBack(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, "elastic", plugintest.Options{Fault: "item=400:match=POISON-"})
	output := fmt.Sprintf("outputs:\n  gone: {type: elastic, endpoint: %q, %s}\n", r.URL(), quick)
	b := startBench(t, output, "--watch=false")
	with, err := os.ReadFile(b.conf())
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, b)
	lines, ids := generate(1, "FIRST-", 20)
	bad, _ := generate(2, "POISON-", 2)
	if err := b.post(append(bytes.Clone(lines), bad...)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.await(30*time.Second, "gone", "all is settled", func(c connection) bool { return c.Sent == 20 && c.Failed == 2 }); err != nil {
		t.Fatal(err)
	}
	reload := func(text string) string {
		t.Helper()
		writeFile(t, b.conf(), text)
		stdout, stderr, code := runSiemd(t, "", "reload", "-c", b.conf())
		if code != 0 {
			t.Fatalf("reload: %d %s", code, stderr)
		}
		return stdout
	}
	without := strings.Replace(string(with), output, "outputs: {}\n", 1)
	if said := reload(without); !strings.Contains(said, "- output gone") {
		t.Errorf("reload: %s", said)
	}
	more, moreIDs := generate(3, "MORE-", 30)
	if err := b.post(more); err != nil {
		t.Fatal(err)
	}
	stdout, _, _ := runSiemd(t, "", "status", "-c", b.conf())
	if !strings.Contains(stdout, "orphan gone: 30 events wait") || !strings.Contains(stdout, "2 failed") {
		t.Errorf("status: %s", stdout)
	}
	if entries, err := b.failed("gone"); err != nil || len(entries) != 2 {
		t.Errorf("%d failed events, %v", len(entries), err)
	}
	reload(string(with))
	if _, err := w.await(30*time.Second, "gone", "the rest is sent", func(c connection) bool { return c.Sent == 50 && c.Failed == 2 && c.Pending == 0 }); err != nil {
		t.Fatal(err)
	}
	if n, err := repeats(r, append(ids, moreIDs...)); n != 0 || err != nil {
		t.Errorf("%d came again, %v", n, err)
	}
	// Purged, it begins like a new one.
	reload(without)
	if err := b.post(more); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := runSiemd(t, "", "purge", "gone", "-c", b.conf()); code != 64 || !strings.Contains(stderr, "--yes") {
		t.Errorf("purge: %d %s", code, stderr)
	}
	if stdout, _, code := runSiemd(t, "", "purge", "gone", "--yes", "-c", b.conf()); code != 0 || !strings.Contains(stdout, "gone") {
		t.Errorf("purge: %d %s", code, stdout)
	}
	if stdout, _, _ = runSiemd(t, "", "status", "-c", b.conf()); strings.Contains(stdout, "orphan") {
		t.Errorf("status: %s", stdout)
	}
	if entries, err := b.failed("gone"); err != nil || len(entries) != 0 {
		t.Errorf("%d failed events, %v", len(entries), err)
	}
	reload(string(with))
	if all, err := b.connections(); err != nil || all["gone"].figures() != (figures{}) {
		t.Errorf("%+v, %v", all["gone"], err)
	}
	w.stop()
	b.stop()
}
