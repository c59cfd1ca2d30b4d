package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// smallDisk mounts a file system of its own at dir, which it makes.
func smallDisk(t *testing.T, dir string, size int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill writes a file until there is no room for another byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2 // what fitted was written
		}
	}
}

// A disk that others fill closes the intake and nothing else: what was
// acknowledged is delivered, through kill -9 and a start on the full disk, and
// when there is room again events are taken again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, "splunk", plugintest.Options{Fault: "503"})
	picky := startReceiver(t, "elastic", plugintest.Options{Fault: "503"})
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	smallDisk(t, state, 24<<20)
	b := &bench{dir: dir, ingest: plugintest.FreeAddr(t), client: socketClient(filepath.Join(state, "siemd.sock"))}
	writeFile(t, b.conf(), fmt.Sprintf(`data_dir: %s
api: {listen: []}
wal: {min_free: 0%%}
inputs: {ingest: {type: http, listen: %q, full_wait: 100ms}}
outputs:
  splunk: {type: splunk, endpoint: %q, token: x, %[5]s}
  picky: {type: elastic, endpoint: %[4]q, %[5]s}
`, state, b.ingest, r.URL(), picky.URL(), quick))
	b.daemon = startDaemon(t, b.conf(), nil)
	var taken []string
	var seed uint64
	post := func(n int) error {
		seed++
		lines, ids := generate(seed, fmt.Sprintf("P%d-", seed), n)
		err := b.post(lines)
		if err == nil {
			taken = append(taken, ids...)
		}
		return err
	}
	if err := post(1000); err != nil {
		t.Fatal(err)
	}
	// It is larger than what a small file that is replaced leaves room for at times.
	odd := fmt.Sprintf(`{"event_id":"ODD-1","event_type":"alert","title":"disliked","description":%q}`, strings.Repeat("odd ", 32<<10))
	if err := b.post([]byte(odd)); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(state, "ballast")
	full := func() {
		t.Helper()
		eventually(t, time.Minute, "the intake is closed", func() bool {
			fill(t, ballast)
			err := post(100)
			if err != nil && !strings.Contains(err.Error(), "503") {
				t.Fatalf("a full disk is answered with %v", err)
			}
			return err != nil
		})
		eventually(t, time.Minute, "readyz says so", func() bool {
			resp, err := b.client.Get("http://siemd/readyz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusServiceUnavailable
		})
	}
	full()
	if err := b.call("GET", "/livez", nil); err != nil {
		t.Errorf("siemd lives, and livez says %v", err)
	}
	// It can be killed and started where nothing can be written.
	b.kill()
	fill(t, ballast)
	d := &daemon{t: t, cmd: siemd("run", "-c", b.conf()), diag: &syncBuffer{}}
	d.cmd.Stderr, d.cmd.Stdout = d.diag, d.diag
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.daemon = d
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			t.Logf("siemd said:\n%s", d.diag.String())
		}
	})
	eventually(t, time.Minute, "siemd lives", func() bool { return b.call("GET", "/livez", nil) == nil })
	if err := r.SetFault(""); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "what was acknowledged is delivered", func() bool { return r.Stats().Distinct >= int64(len(taken)+1) })
	// What is refused cannot be kept now, so it is held; the others are not.
	fill(t, ballast) // the start may have made room
	if err := picky.SetFault("item=400:match=ODD-"); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the rest is delivered", func() bool { return picky.Stats().Distinct >= int64(len(taken)) })
	eventually(t, time.Minute, "siemd says so", func() bool {
		fill(t, ballast)
		return b.log("failed store cannot be written") != ""
	})
	if all, err := b.connections(); err != nil || all["picky"].Failed != 0 || all["picky"].Pending == 0 {
		t.Errorf("picky has %+v, %v", all["picky"], err)
	}
	// There is room again.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "events are taken again", func() bool { return post(100) == nil })
	w := startWatch(t, b)
	for name, r := range map[string]*plugintest.Receiver{"splunk": r, "picky": picky} {
		if _, err := w.await(time.Minute, name, "nothing is pending", func(c connection) bool { return c.Pending == 0 }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen := r.IDs()
		for _, id := range taken {
			if seen[id] == 0 {
				t.Errorf("%s never got %s", name, id)
				break
			}
		}
	}
	if entries, err := b.failed("picky"); err != nil || len(entries) != 1 || entries[0].EventID != "ODD-1" {
		t.Errorf("the failed store has %+v, %v", entries, err)
	}
	if n, err := b.metric("siemd_unaccounted_events"); err != nil || n != 0 {
		t.Errorf("siemd_unaccounted_events is %v, %v", n, err)
	}
	if text := w.trouble(); text != "" {
		t.Error(text)
	}
	w.stop()
	b.stop()
	if out, diag, code := runSiemd(t, "", "wal", "verify", "--dir", state); code != 0 {
		t.Errorf("wal verify: exit %d\n%s%s", code, out, diag)
	}
}
