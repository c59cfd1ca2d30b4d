package exec

import (
	"context"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// need skips the test, loudly, if a program is missing; under CI that is a failure.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := osexec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", p)
		}
		t.Skipf("SKIPPED: %s is missing, so this example was not run", p)
	}
}

func example(t *testing.T, name string, args ...string) *output {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../configs/connectors", name))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), "\n") > 45 {
		t.Errorf("%s: %v, or no longer short", name, err)
	}
	o := newOutput(Config{Command: append([]string{path}, args...)}, agent.Env{Name: "example", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(func() { o.Close(context.Background()) })
	return o
}

func bodies(list ...string) []agent.Event {
	events := make([]agent.Event, len(list))
	for i, b := range list {
		events[i] = agent.Event{Seq: uint64(i + 1), Body: []byte(b)}
	}
	return events
}

func TestExampleInPython(t *testing.T) {
	need(t, "python3")
	if err := osexec.Command("python3", "-c", "import sqlite3").Run(); err != nil {
		need(t, "python3 with sqlite3")
	}
	db := filepath.Join(t.TempDir(), "events.db")
	o := example(t, "sqlite.py", db)
	batch := bodies(`{"event_id":"A","event_type":"alert","text":"it's; DROP TABLE events"}`, `{"event_type":"alert"}`, `{"event_id":"B"}`)
	for range 2 { // the repeat changes nothing
		m := failures(t, o.Write(within(t, 20*time.Second), batch))
		if len(m) != 1 || !agent.IsPermanent(m[1]) {
			t.Errorf("failed: %v", m)
		}
	}
	o.Close(within(t, 10*time.Second))
	out, err := osexec.Command("python3", "-c",
		"import sqlite3,sys\nfor r in sqlite3.connect(sys.argv[1]).execute('SELECT id, type FROM events ORDER BY id'): print(*r, sep='|')", db).Output()
	if err != nil || string(out) != "A|alert\nB|\n" {
		t.Errorf("table: %q, %v", out, err)
	}
}

func TestExampleInShell(t *testing.T) {
	need(t, "sh", "jq")
	dir := filepath.Join(t.TempDir(), "by-type")
	o := example(t, "by_type.sh", dir)
	m := failures(t, o.Write(within(t, 20*time.Second), bodies(
		`{"event_type":"alert","n":1}`, `{"event_type":"../../etc/passwd"}`, `{"n":2}`, `{"event_type":"alert","text":"$(reboot) \\n 'q'"}`, `{"event_type":{"a":1}}`)))
	if len(m) != 2 || !agent.IsPermanent(m[1]) || !agent.IsPermanent(m[4]) {
		t.Errorf("failed: %v", m)
	}
	for name, want := range map[string]string{
		"alert.jsonl": `{"event_type":"alert","n":1}` + "\n" + `{"event_type":"alert","text":"$(reboot) \\n 'q'"}` + "\n",
		"none.jsonl":  `{"n":2}` + "\n",
	} {
		if b, _ := os.ReadFile(filepath.Join(dir, name)); string(b) != want {
			t.Errorf("%s: %q, want %q", name, b, want)
		}
	}
	// What it cannot do for now, it is asked again.
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		if err := o.Write(within(t, 20*time.Second), bodies(`{"event_type":"new"}`)); err == nil || agent.IsPermanent(err) {
			t.Errorf("Write: %v", err)
		}
	}
	os.Chmod(dir, 0o700)
}
