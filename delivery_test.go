package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// fourReceivers are mocks of the four formats and the outputs section that feeds them.
func fourReceivers(t *testing.T) (map[string]*plugintest.Receiver, string) {
	t.Helper()
	rs := map[string]*plugintest.Receiver{
		"splunk":  startReceiver(t, "splunk", plugintest.Options{Token: "T0K"}),
		"elastic": startReceiver(t, "elastic", plugintest.Options{}),
		"syslog":  startReceiver(t, "syslog", plugintest.Options{}),
		"cef":     startReceiver(t, "cef", plugintest.Options{}),
	}
	return rs, fmt.Sprintf(`outputs:
  splunk: {type: splunk, endpoint: %q, token: T0K, batch: {max_wait: 50ms}}
  elastic: {type: elastic, endpoint: %q, index: events, batch: {max_wait: 50ms}}
  syslog: {type: syslog, endpoint: %q, batch: {max_wait: 50ms}}
  cef: {type: cef, endpoint: %q, batch: {max_wait: 50ms}}
`, rs["splunk"].URL(), rs["elastic"].URL(), rs["syslog"].URL(), rs["cef"].URL())
}

func generate(seed uint64, prefix string, n int) (lines []byte, ids []string) {
	g := plugintest.NewGenerator(seed)
	g.Prefix = prefix
	for i := range n {
		lines = g.Append(lines)
		ids = append(ids, g.ID(int64(i)))
	}
	return lines, ids
}

func TestThreeInputsFourOutputsExactlyOnce(t *testing.T) {
	dir := t.TempDir()
	rs, outputs := fourReceivers(t)
	addr := plugintest.FreeAddr(t)
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs:
  apps: {type: tail, paths: ["%[1]s/*.jsonl"]}
  ingest: {type: http, listen: %[2]q}
  pipe: {type: stdin}
%[3]s`, dir, addr, outputs))
	tailed, ids1 := generate(1, "TAIL-", 8000)
	posted, ids2 := generate(2, "HTTP-", 6000)
	piped, ids3 := generate(3, "PIPE-", 6000)
	stdin, feed := io.Pipe()
	d := startDaemon(t, conf, stdin)
	errs := make(chan error, 3)
	go func() { errs <- os.WriteFile(filepath.Join(dir, "app.jsonl"), tailed, 0o600) }()
	go func() {
		_, err := feed.Write(piped)
		feed.Close()
		errs <- err
	}()
	go func() {
		var err error
		for chunk := range chunks(posted, 500) {
			if e := postEvents("http://"+addr+"/v1/events", chunk); e != nil {
				err = e
			}
		}
		errs <- err
	}()
	for range 3 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	all := append(append(ids1, ids2...), ids3...)
	for name, r := range rs {
		eventually(t, 60*time.Second, name+" has all events", func() bool { return r.Stats().Distinct >= int64(len(all)) })
	}
	d.stop()
	for name, r := range rs {
		seen := r.IDs()
		for _, id := range all {
			if seen[id] != 1 {
				t.Errorf("%s got %s %d times", name, id, seen[id])
				break
			}
		}
		if s := r.Stats(); s.Distinct != int64(len(all)) || s.Malformed != 0 {
			t.Errorf("%s: %+v; %s", name, s, r.LastMalformed())
		}
	}
}

func TestKilledFiveTimesNothingIsMissing(t *testing.T) {
	dir := t.TempDir()
	rs, outputs := fourReceivers(t)
	conf := filepath.Join(dir, "siemd.yaml")
	addr := plugintest.FreeAddr(t)
	writeFile(t, conf, fmt.Sprintf(`data_dir: %[1]s/state
api: {listen: []}
inputs:
  apps: {type: tail, paths: ["%[1]s/*.jsonl"]}
  ingest: {type: http, listen: %[2]q}
%[3]s`, dir, addr, outputs))
	const rounds, perRound = 6, 2000
	app, err := os.OpenFile(filepath.Join(dir, "app.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	var want []string
	for round := range rounds {
		d := startDaemon(t, conf, nil)
		tailed, ids := generate(uint64(round), fmt.Sprintf("T%d-", round), perRound)
		want = append(want, ids...)
		for chunk := range chunks(tailed, 100) {
			if _, err := app.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		posted, ids := generate(uint64(round+100), fmt.Sprintf("H%d-", round), 500)
		if err := postEvents("http://"+addr+"/v1/events", posted); err != nil {
			t.Fatal(err)
		}
		want = append(want, ids...) // acknowledged: it has to arrive
		if round < rounds-1 {
			d.kill()
			continue
		}
		for name, r := range rs {
			eventually(t, 60*time.Second, name+" has all events", func() bool { return r.Stats().Distinct >= int64(len(want)) })
		}
		d.stop()
	}
	for name, r := range rs {
		seen := r.IDs()
		for _, id := range want {
			if seen[id] == 0 {
				t.Errorf("%s never got %s", name, id)
				break
			}
		}
		if s := r.Stats(); s.Distinct != int64(len(want)) {
			t.Errorf("%s has %d different events of %d", name, s.Distinct, len(want))
		}
		if name == "elastic" {
			for id, n := range seen {
				if n != 1 {
					t.Errorf("elastic holds %s %d times", id, n)
				}
			}
		}
	}
}

// chunks cuts lines into pieces of n.
func chunks(lines []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(lines) > 0 {
			end := 0
			for range n {
				i := bytes.IndexByte(lines[end:], '\n')
				if i < 0 {
					break
				}
				end += i + 1
			}
			if !yield(lines[:end]) {
				return
			}
			lines = lines[end:]
		}
	}
}

func TestStdinAloneDrainsAndExitsZero(t *testing.T) {
	dir := t.TempDir()
	r := startReceiver(t, "splunk", plugintest.Options{})
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %s/state
api: {listen: []}
inputs: {pipe: {type: stdin}}
outputs: {splunk: {type: splunk, endpoint: %q, token: x, batch: {max_wait: 30s}}}
`, dir, r.URL()))
	lines, ids := generate(1, "S-", 1000)
	_, stderr, code := runSiemd(t, string(lines), "run", "-c", conf)
	if code != 0 {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	if s := r.Stats(); s.Distinct != int64(len(ids)) || s.Repeats != 0 {
		t.Errorf("splunk has %+v, want %d events", s, len(ids))
	}
}

func TestRefusedLinesAreKept(t *testing.T) {
	dir := t.TempDir()
	r := startReceiver(t, "splunk", plugintest.Options{})
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf(`data_dir: %s/state
api: {listen: []}
inputs: {pipe: {type: stdin}}
outputs: {splunk: {type: splunk, endpoint: %q, token: x}}
`, dir, r.URL()))
	in := "{\"event_id\":\"a\"}\nnot json\n[1]\n{\"event_id\":\"b\",\"x\":\"\xff\"}\n"
	_, stderr, code := runSiemd(t, in, "run", "-c", conf)
	if code != 0 {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	if r.Seen("a") != 1 || r.Seen("b") != 1 || r.Events() != 2 {
		t.Errorf("splunk got %v", r.IDs())
	}
	kept := ""
	files, _ := filepath.Glob(filepath.Join(dir, "state", "refused", "*"))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		kept += string(data)
	}
	for _, want := range []string{"not_json", "not json", "not_object", "[1]"} {
		if !bytes.Contains([]byte(kept), []byte(want)) {
			t.Errorf("refused/ lacks %q:\n%s", want, kept)
		}
	}
}

func TestSecondAgentOnTheSameDirectory(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf("data_dir: %s/state\napi: {listen: []}\ninputs: {t: {type: tail, paths: [%s/x]}}\n", dir, dir))
	d := startDaemon(t, conf, nil)
	_, stderr, code := runSiemd(t, "", "run", "-c", conf)
	if code != 73 || !bytes.Contains([]byte(stderr), fmt.Append(nil, d.cmd.Process.Pid)) {
		t.Errorf("exit %d, want 73 and the holder's pid %d:\n%s", code, d.cmd.Process.Pid, stderr)
	}
	d.stop()
}
