package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// withFailures is an agent whose splunk connection has refused three of four events.
func withFailures(t *testing.T) (*running, *plugintest.Receiver) {
	t.Helper()
	r := receiver(t, "splunk", plugintest.Options{Fault: "hec=12:match=POISON"})
	a := startSiemd(t, `
inputs:
  web: {type: http, listen: `+plugintest.FreeAddr(t)+`}
outputs:
  splunk: {type: splunk, endpoint: "`+r.URL()+`", token: T, batch: {max_wait: 10ms}, retry: {initial: 10ms, max: 50ms}}
`)
	var events strings.Builder
	for i, typ := range []string{"alert", "telemetry", "alert"} {
		fmt.Fprintf(&events, `{"event_id":"bad-%d","event_type":%q,"severity":"high","title":"POISON \u001b[31m"}`+"\n", i, typ)
	}
	events.WriteString(`{"event_id":"good","event_type":"alert"}` + "\n")
	a.siemd(events.String(), "send").want(t, exitOK, "4 lines: 4 accepted, 0 refused; events 1 to 4")
	eventually(t, "three events are in the failed store", func() bool {
		return strings.Count(a.siemd("", "failed", "ls", "--json").out, "\n") == 3
	})
	return a, r
}

func TestFailed(t *testing.T) {
	a, r := withFailures(t)
	list := a.siemd("", "failed", "ls").want(t, exitOK, "bad-0", "bad-1", "bad-2", "splunk", "400")
	if strings.Contains(list.out, "\x1b") || strings.Contains(list.out, "good") {
		t.Errorf("%q", list.out)
	}
	a.siemd("", "failed", "ls", "--type", "telemetry").want(t, exitOK, "bad-1")
	if got := a.siemd("", "failed", "ls", "--type", "telemetry", "--json").want(t, exitOK); strings.Count(got.out, "\n") != 1 {
		t.Errorf("%s", got.out)
	}
	if got := a.siemd("", "failed", "ls", "--limit", "2", "--json").want(t, exitOK); strings.Count(got.out, "\n") != 2 {
		t.Errorf("%s", got.out)
	}
	a.siemd("", "failed", "ls", "--limit", "2").want(t, exitOK, "there are more")
	a.siemd("", "failed", "ls", "--severity", "critical").want(t, exitOK, "no failed event")
	a.siemd("", "failed", "ls", "--severity", "loud").want(t, exitUsage, "severity")
	a.siemd("", "failed", "ls", "--match", "poison", "--max-age", "1h").want(t, exitOK, "bad-2")
	a.siemd("", "failed", "ls", "--max-age", "yesterday").want(t, exitUsage, "no", "duration")
	a.siemd("", "failed", "ls", "--connection", "nope").want(t, exitFailure, "no such connection")

	var first failedEvent
	line, _, _ := strings.Cut(a.siemd("", "failed", "ls", "--json", "--type", "alert").out, "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || !strings.HasPrefix(first.EventID, "bad-") || first.ConnectionID != "splunk" {
		t.Fatalf("%v %s", err, line)
	}
	shown := a.siemd("", "failed", "show", first.ID).want(t, exitOK, "event_id", first.EventID, "answer", `"title": "POISON \u001b[31m"`)
	if strings.Contains(shown.out, "\x1b") {
		t.Errorf("%q", shown.out)
	}
	if got := a.siemd("", "failed", "show", first.ID, "--connection", "splunk", "--json").want(t, exitOK); got.out != line+"\n" {
		t.Errorf("%s", got.out)
	}
	a.siemd("", "failed", "show", "00000000000000ff").want(t, exitFailure, "no failed event")
	a.siemd("", "failed", "show").want(t, exitUsage)

	file := filepath.Join(t.TempDir(), "failed.jsonl")
	a.siemd("", "failed", "export", file, "--type", "alert").want(t, exitOK, "2 events in")
	if data, err := os.ReadFile(file); err != nil || strings.Count(string(data), "\n") != 2 || !strings.Contains(string(data), `"connection_id":"splunk"`) {
		t.Errorf("%v %s", err, data)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	a.siemd("", "failed", "export", file).want(t, exitCannotMake, "exists")
	if got := a.siemd("", "failed", "export", "--events", "--type", "telemetry").want(t, exitOK); !strings.HasPrefix(got.out, `{"event_id":"bad-1",`) {
		t.Errorf("%s", got.out)
	}

	a.siemd("", "failed", "retry", first.ID, "--connection", "splunk").want(t, exitFound, "splunk: 0 sent, 1 failed")
	a.siemd("", "failed", "retry", first.ID, "00000000000000ff", "--connection", "splunk").want(t, exitFound, "splunk: 0 sent, 1 failed")
	a.siemd("", "failed", "retry", "00000000000000ff").want(t, exitFound, "1 of the 1 events are in no failed store")
	if err := r.SetFault(""); err != nil {
		t.Fatal(err)
	}
	a.siemd("", "failed", "retry", "--type", "telemetry", "--json").want(t, exitOK, `"splunk":[1,0]`)
	a.siemd("", "failed", "purge", "--match", "poison").want(t, exitUsage, "--yes")
	a.siemd("", "failed", "purge", first.ID, "--connection", "splunk", "--yes").want(t, exitOK, "splunk: 1 removed")
	a.siemd("", "failed", "retry").want(t, exitOK, "splunk: 1 sent, 0 failed")
	a.siemd("", "failed", "ls").want(t, exitOK, "no failed event")
	a.siemd("", "failed", "purge", "--yes", "--json").want(t, exitOK, `"removed":{`)
	if code := a.stop(); code != exitOK {
		t.Errorf("exit %d", code)
	}
	a.siemd("", "failed", "ls").want(t, exitUnreachable, "no agent answers")
}

func TestFailedRefused(t *testing.T) {
	a := startSiemd(t, "inputs: {web: {type: http, listen: "+plugintest.FreeAddr(t)+"}}\n")
	a.siemd("{\"a\":1}\n\nnot \x1b json\n[1]\n", "send").want(t, exitFound,
		"siemd: line 3 is refused: not_json", "siemd: line 4 is refused: not_object", "3 lines: 1 accepted, 2 refused; events 1 to 1")
	list := a.siemd("", "failed", "ls", "--refused").want(t, exitOK, "not_json", "not_object", `not \x1b json`)
	if strings.Contains(list.out, "\x1b") {
		t.Errorf("%q", list.out)
	}
	f := func(lines int, args ...string) {
		t.Helper()
		got := a.siemd("", append([]string{"failed", "ls", "--refused", "--json"}, args...)...).want(t, exitOK)
		if strings.Count(got.out, "\n") != lines {
			t.Errorf("%v: %s", args, got.out)
		}
	}
	f(2)
	f(1, "--limit", "1")
	f(1, "--type", "not_json")
	f(1, "--match", "JSON")
	f(2, "--connection", "web", "--max-age", "1h")
	f(0, "--connection", "other")
	a.siemd("", "failed", "ls", "--refused", "--severity", "low").want(t, exitUsage, "no severity")
	a.siemd("", "failed", "ls", "--refused", "--limit", "1").want(t, exitOK, "there are more")
	a.siemd("", "failed", "ls", "--refused", "--type", "too_deep").want(t, exitOK, "no refused line")
}
