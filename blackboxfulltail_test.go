package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// A batch that finds the log full when it is in line already does not hold its
// input: a reload that exchanges the input, and a stop, end as they do otherwise.
// When there is room again each line comes once.
func TestFullLogLetsGoOfItsInputs(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, "http", plugintest.Options{Fault: "503"})
	b := &bench{dir: t.TempDir()}
	b.client = socketClient(filepath.Join(b.dir, "state", "siemd.sock"))
	conf := fmt.Sprintf(`data_dir: %s/state
api: {listen: []}
shutdown_timeout: 2s
wal: {max_size: 64MiB, compression: none}
inputs: {apps: {type: tail, paths: ["%[1]s/*.log"]}}
outputs: {mute: {type: http, endpoint: %q, start: oldest, %s}}
`, b.dir, r.URL(), quick)
	writeFile(t, b.conf(), conf)
	b.daemon = startDaemonAs(t, siemd("run", "-c", b.conf(), "--watch=false"), b.conf(), nil)
	// One line at a time, so that nothing stands in line behind the one that finds no room.
	file, err := os.OpenFile(filepath.Join(b.dir, "a.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var ids []string
	full := func() bool { return b.call("GET", "/readyz", nil) != nil }
	for !full() {
		id := fmt.Sprintf("FULL-%d", len(ids))
		ids = append(ids, id)
		if _, err := fmt.Fprintf(file, `{"event_id":%q,"event_type":"alert","description":%q}`+"\n", id, strings.Repeat("long ", 160<<10)); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the line is stored, or there is no room for it", func() bool {
			all, err := b.connections()
			return err == nil && all["mute"].Accepted == len(ids) || full()
		})
	}
	writeFile(t, b.conf(), strings.Replace(conf, "type: tail", "type: tail, max_line: 2MiB", 1))
	reloaded := make(chan string, 1)
	go func() {
		stdout, stderr, code := runSiemd(t, "", "reload", "-c", b.conf())
		reloaded <- fmt.Sprintf("%d %s%s", code, stdout, stderr)
	}()
	select {
	case text := <-reloaded:
		if !strings.HasPrefix(text, "0 ") || !strings.Contains(text, "restart") {
			t.Fatalf("reload: %s", text)
		}
	case <-time.After(time.Minute):
		t.Fatal("a reload waits for room in the log")
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, err := b.ended(20 * time.Second); code != 0 || err != nil {
		t.Fatalf("the stop: %d, %v", code, err)
	}
	if err := r.SetFault(""); err != nil {
		t.Fatal(err)
	}
	b.restart()
	w := startWatch(t, b)
	if _, err := w.await(time.Minute, "mute", "all is sent", func(c connection) bool { return c.figures() == figures{Sent: len(ids)} }); err != nil {
		t.Error(err)
	}
	if n, err := repeats(r, ids); n != 0 || err != nil {
		t.Errorf("%d events came again, %v", n, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
}
