package main

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

const quick = "batch: {max_wait: 20ms}, retry: {initial: 20ms, max: 100ms}"

// awaitFault waits until a mock has done something wrong.
func awaitFault(t *testing.T, r *plugintest.Receiver) {
	t.Helper()
	eventually(t, 20*time.Second, "a fault has struck", func() bool { return r.Stats().Faults > 0 })
}

// What waits when siemd is told to stop is sent after the next start, and what was sent is not sent again.
func TestBacklogOutlivesAStop(t *testing.T) {
	t.Parallel()
	well := startReceiver(t, "splunk", plugintest.Options{})
	ill := startReceiver(t, "elastic", plugintest.Options{Fault: "503"})
	mute := startReceiver(t, "http", plugintest.Options{Fault: "hang"})
	gone := startReceiver(t, "syslog", plugintest.Options{Fault: "refuse"})
	b := startBench(t, fmt.Sprintf(`shutdown_timeout: 500ms
outputs:
  well: {type: splunk, endpoint: %q, token: x, %[5]s}
  ill: {type: elastic, endpoint: %[2]q, %[5]s}
  mute: {type: http, endpoint: %[3]q, %[5]s}
  gone: {type: syslog, endpoint: %[4]q, %[5]s}
`, well.URL(), ill.URL(), mute.URL(), gone.URL(), quick))
	lines, ids := generate(1, "STOP-", 500)
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, b)
	if _, err := w.await(20*time.Second, "well", "all is sent", func(c connection) bool { return c.Sent == len(ids) }); err != nil {
		t.Fatal(err)
	}
	awaitFault(t, ill)
	awaitFault(t, mute)
	w.stop()
	began := time.Now()
	b.stop()
	if took := time.Since(began); took > 15*time.Second { // it would be 20 s without
		t.Errorf("a stop took %v, shutdown_timeout is 500ms", took)
	}
	for _, r := range []*plugintest.Receiver{ill, mute, gone} {
		if err := r.SetFault(""); err != nil {
			t.Fatal(err)
		}
	}
	b.restart()
	w = startWatch(t, b)
	for name, r := range map[string]*plugintest.Receiver{"well": well, "ill": ill, "mute": mute, "gone": gone} {
		if _, err := w.await(20*time.Second, name, "all is sent", func(c connection) bool { return c.figures() == figures{Sent: len(ids)} }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		eventually(t, 20*time.Second, name+" has read everything", func() bool { return r.Stats().Distinct >= int64(len(ids)) })
		if n, err := repeats(r, ids); n != 0 || err != nil {
			t.Errorf("%s: %d events came again, %v", name, n, err)
		}
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}

// ended waits for the end of the process, and returns its exit code.
func (d *daemon) ended(within time.Duration) (int, error) {
	done := make(chan error, 1)
	go func() { done <- d.cmd.Wait() }()
	select {
	case err := <-done:
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			return 0, err
		}
		return d.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		return 0, fmt.Errorf("still there after %v", within)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	mute := startReceiver(t, "splunk", plugintest.Options{Fault: "hang"})
	b := startBench(t, fmt.Sprintf("shutdown_timeout: 10m\noutputs: {mute: {type: splunk, endpoint: %q, token: x, timeout: 5m, %s}}\n", mute.URL(), quick))
	lines, ids := generate(1, "TWO-", 200)
	if err := b.post(lines); err != nil {
		t.Fatal(err)
	}
	awaitFault(t, mute)
	term := func() {
		t.Helper()
		if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	term()
	eventually(t, 20*time.Second, "the intake is closed", func() bool {
		c, err := net.Dial("tcp", b.ingest)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	term()
	code, err := b.ended(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if code == 0 {
		t.Error("exit code 0, and something was left unsent in a hurry")
	}
	if err := mute.SetFault(""); err != nil {
		t.Fatal(err)
	}
	b.restart()
	eventually(t, 20*time.Second, "all arrived", func() bool { return mute.Stats().Distinct >= int64(len(ids)) })
	if n, err := repeats(mute, ids); n != 0 || err != nil {
		t.Errorf("%d events came again, %v", n, err)
	}
	b.stop()
}

// SIGHUP changes what was changed; the rest does not notice.
func TestReloadLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	kept := startReceiver(t, "syslog", plugintest.Options{})
	busy := startReceiver(t, "splunk", plugintest.Options{})
	changed := startReceiver(t, "elastic", plugintest.Options{})
	removed := startReceiver(t, "http", plugintest.Options{})
	added := startReceiver(t, "cef", plugintest.Options{})
	const keptOutputs = `outputs:
  kept: {type: syslog, endpoint: %q, %[3]s}
  busy: {type: splunk, endpoint: %[2]q, token: x, %[3]s}
`
	base := fmt.Sprintf(keptOutputs, kept.URL(), busy.URL(), quick)
	b := startBench(t, base+fmt.Sprintf("  changed: {type: elastic, endpoint: %q, %s}\n  removed: {type: http, endpoint: %q, %s}\n", changed.URL(), quick, removed.URL(), quick))
	w := startWatch(t, b)
	before, ids := generate(1, "OLD-", 300)
	if err := b.post(before); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "busy", "changed", "removed"} {
		if _, err := w.await(20*time.Second, name, "the first are sent", func(c connection) bool { return c.Sent == len(ids) }); err != nil {
			t.Fatal(err)
		}
	}
	// A request is under way while the config changes.
	if err := busy.SetFault("slow=1s:n=1"); err != nil {
		t.Fatal(err)
	}
	slow, more := generate(2, "SLOW-", 10)
	ids = append(ids, more...)
	if err := b.post(slow); err != nil {
		t.Fatal(err)
	}
	awaitFault(t, busy)
	hup := func() {
		t.Helper()
		if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	head := fmt.Sprintf("data_dir: %s/state\napi: {listen: []}\ninputs: {ingest: {type: http, listen: %q}}\n", b.dir, b.ingest)
	writeFile(t, b.conf(), head+base+fmt.Sprintf(`  changed: {type: elastic, endpoint: %q, batch: {max_events: 7, max_wait: 10ms}}
  added: {type: cef, endpoint: %q, start: oldest, %s}
`, changed.URL(), added.URL(), quick))
	hup()
	eventually(t, 20*time.Second, "the config is reloaded", func() bool { return b.log("config reloaded") != "" })
	after, more := generate(3, "NEW-", 300)
	ids = append(ids, more...)
	if err := b.post(after); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*plugintest.Receiver{"kept": kept, "busy": busy, "changed": changed, "added": added} {
		if _, err := w.await(20*time.Second, name, "all is sent", func(c connection) bool { return c.figures() == figures{Sent: len(ids)} }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		eventually(t, 20*time.Second, name+" has read everything", func() bool { return r.Stats().Distinct >= int64(len(ids)) })
		if n, err := repeats(r, ids); n != 0 || err != nil {
			t.Errorf("%s: %d events came again, %v", name, n, err)
		}
	}
	if n := kept.Stats().Requests; n != 1 {
		t.Errorf("the untouched syslog output made %d connections", n)
	}
	if n := removed.Stats().Events; n > 310 {
		t.Errorf("the removed output got %d events", n)
	}

	// A config that is wrong in one place changes nothing at all.
	writeFile(t, b.conf(), head+fmt.Sprintf("outputs:\n  kept: {type: syslog, endpoint: %q, framing: nonsense}\n  another: {type: http, endpoint: %q}\n", kept.URL(), removed.URL()))
	hup()
	eventually(t, 20*time.Second, "the config is refused", func() bool { return strings.Contains(b.log("level=ERROR"), "refused") })
	if n, err := b.metric("siemd_config_last_reload_success"); err != nil || n != 0 {
		t.Errorf("siemd_config_last_reload_success is %v, %v", n, err)
	}
	all, err := b.connections()
	if err != nil || len(all) != 4 || all["another"].Name != "" {
		t.Errorf("the connections are %v, %v", all, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
	if _, _, code := runSiemd(t, "", "check", "-c", filepath.Join(b.dir, "siemd.yaml")); code != 78 {
		t.Errorf("check of the wrong config exits with %d", code)
	}
}
