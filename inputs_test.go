package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// inputStatus is what `siemd status --files --json` says of one input.
type inputStatus struct {
	Name    string
	Events  int
	Refused int
	Files   []struct {
		Path, State       string
		Offset, Size, Lag int64
	}
}

// agentStatus asks a running agent.
func agentStatus(t *testing.T, conf string) (st struct {
	Accepted int
	Inputs   []inputStatus
},
) {
	t.Helper()
	out, diag, code := runSiemd(t, "", "status", "--files", "--json", "-c", conf)
	if code != 0 {
		t.Fatalf("status: exit %d: %s", code, diag)
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// metric is a sample of the agent's metrics, "" if there is none.
func metric(t *testing.T, conf, name string) string {
	t.Helper()
	resp, err := socketClient(filepath.Join(filepath.Dir(conf), "state", "siemd.sock")).Get("http://siemd/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestStatusListsFiles(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, filepath.Join(dir, "a.log"), "{\"n\":1}\nnot json\n{\"half\":")
	writeFile(t, filepath.Join(dir, "b.log"), "{\"n\":2}\n")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs: {apps: {type: tail, paths: ["%[1]s/*.log"]}}
`, dir))
	d := startDaemon(t, conf, nil)
	var last inputStatus
	eventually(t, 20*time.Second, "both files are read", func() bool {
		last = agentStatus(t, conf).Inputs[0]
		return len(last.Files) == 2 && last.Files[0].Offset == 17 && last.Files[1].Offset == 8
	})
	if a := last.Files[0]; a.Path != filepath.Join(dir, "a.log") || a.Size != 25 || a.Lag != 8 || last.Refused != 1 {
		t.Errorf("%+v", last)
	}
	out, _, code := runSiemd(t, "", "status", "--files", "-c", conf)
	for _, want := range []string{"OFFSET", "17", "25", "a.log", "refused: 1 lines kept"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s", code, want, out)
		}
	}
	for name, want := range map[string]string{
		"siemd_refused_lines": "1", "siemd_refused_dropped_total": "0", `siemd_input_lag_bytes{input="apps"}`: "8", `siemd_input_files{input="apps"}`: "2",
		`siemd_input_refused_total{input="apps",reason="not_json"}`: "1",
	} {
		eventually(t, 20*time.Second, name+" is "+want, func() bool { return metric(t, conf, name) == want })
	}
	d.stop()
}

// The same words in two requests are two events, and have to be two for a receiver that removes repeats by their id.
func TestRequestsOfTheSameWordsAreEventsOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	conf, at := filepath.Join(dir, "siemd.yaml"), plugintest.FreeAddr(t)
	writeFile(t, conf, fmt.Sprintf("data_dir: %s/state\napi: {listen: []}\ninputs: {in: {type: http, listen: %q}}\n", dir, at))
	startDaemon(t, conf, nil)
	for _, to := range []string{"/v1/events", "/v1/events", "/services/collector/raw", "/services/collector/raw"} {
		eventually(t, 20*time.Second, to+" takes it", func() bool {
			resp, err := http.Post("http://"+at+to, "application/json", strings.NewReader(`{"up":true}`))
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == 200
		})
	}
	out, diag, code := runSiemd(t, "", "wal", "dump", "-c", conf)
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		seen[line] = true
	}
	if code != 0 || len(seen) != 4 {
		t.Errorf("exit %d, %d ids for 4 events: %s%s", code, len(seen), out, diag)
	}
}
