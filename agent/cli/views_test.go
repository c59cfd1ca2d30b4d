package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestStatusAndTop(t *testing.T) {
	siem := receiver(t, "splunk", plugintest.Options{})
	a := startSiemd(t, `
inputs: {web: {type: http, listen: `+plugintest.FreeAddr(t)+`}}
outputs:
  splunk: {type: splunk, endpoint: "`+siem.URL()+`", token: T, batch: {max_wait: 10ms}}
  gone: {type: syslog, endpoint: "`+plugintest.FreeAddr(t)+`"}
`)
	a.siemd("{}\n{}\nnot json\n", "send").want(t, exitFound)
	eventually(t, "both are sent", func() bool { return siem.Stats().Events == 2 })
	eventually(t, "an error is told", func() bool { return strings.Contains(a.siemd("", "status").out, "connection refused") })
	a.siemd("", "status").want(t, exitOK, "intake ok", "RATE/s", "web", "splunk", "healthy", "gone", "degraded")
	var st supervisor.Status
	if err := json.Unmarshal([]byte(a.siemd("", "status", "--json").want(t, exitOK).out), &st); err != nil || st.Accepted != 2 || len(st.Outputs) != 2 || st.Inputs[0].Refused != 1 {
		t.Errorf("%v %+v", err, st)
	}
	a.siemd("", "top", "-n", "2", "--every", "100ms").want(t, exitOK, "connection=splunk rate=0/s sent=2", "input=web", "refused=1")
	a.siemd("", "status", "--nonsense").want(t, exitUsage)
	a.stop()
	a.siemd("", "status").want(t, exitUnreachable, "no agent answers")
	a.siemd("", "top").want(t, exitUnreachable)
	siemd(t, "", "status", "-c", tempFile(t, "siemd.yaml", "inputs: 1")).want(t, exitConfig, "--socket")
}

func TestWAL(t *testing.T) {
	a := startSiemd(t, "inputs: {web: {type: http, listen: "+plugintest.FreeAddr(t)+"}}\n")
	a.siemd("{\"event_id\":\"a\"}\n{\"event_id\":\"b\",\"event_type\":\"alert\"}\n", "send").want(t, exitOK)
	a.siemd("", "wal", "ls").want(t, exitOK, "SEGMENT")
	a.siemd("", "wal", "verify").want(t, exitOK, "events 1 to 2", "clean")
	if got := a.siemd("", "wal", "dump").want(t, exitOK); got.out != "{\"event_id\":\"a\"}\n{\"event_id\":\"b\",\"event_type\":\"alert\"}\n" {
		t.Errorf("%q", got.out)
	}
	a.siemd("", "wal", "dump", "--from", "2", "--json").want(t, exitOK, `"seq":2,`, `"event_type":"alert"`)
	a.siemd("", "wal", "dump", "--since", "noon").want(t, exitUsage, "no time")
	a.siemd("", "wal", "repair").want(t, exitCannotMake, "repairs its log by itself")
	a.siemd("", "wal", "verify", "--json").want(t, exitOK, `"`)
	a.stop()
	a.siemd("", "wal", "repair").want(t, exitOK, "clean")
	a.siemd("", "wal", "ls", "--dir", "/nonexistent").want(t, exitIO)
	a.siemd("", "wal").want(t, exitUsage)
}

func TestVersionAndSchema(t *testing.T) {
	siemd(t, "", "version").want(t, exitOK, "siemd dev linux/")
	siemd(t, "", "--version").want(t, exitOK, "siemd dev linux/")
	var v versionInfo
	if err := json.Unmarshal([]byte(siemd(t, "", "version", "--json").want(t, exitOK).out), &v); err != nil || v.Version != "dev" || v.Go == "" {
		t.Errorf("%v %+v", err, v)
	}
	if !json.Valid([]byte(siemd(t, "", "schema").want(t, exitOK).out)) {
		t.Error("the schema is no JSON")
	}
	siemd(t, "", "schema", "x").want(t, exitUsage)
}

func TestSink(t *testing.T) {
	var out, diag syncBuffer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"sink", "splunk", "--token", "T"}, streams{in: &bytes.Buffer{}, out: &out, err: &diag})
	}()
	eventually(t, "it listens", func() bool { return strings.Contains(diag.String(), "listens on ") })
	_, url, _ := strings.Cut(strings.TrimSpace(diag.String()), "listens on ")
	conf := tempFile(t, "siemd.yaml", "outputs: {s: {type: splunk, endpoint: '"+url+"', token: T}}")
	siemd(t, "", "test", "s", "--local", "-c", conf).want(t, exitOK, "ok    event")
	cancel()
	if code := <-ended; code != exitOK || !strings.Contains(out.String(), "siemd_test") || !strings.Contains(diag.String(), "1 events") {
		t.Errorf("exit %d\n%s\n%s", code, &out, &diag)
	}
	siemd(t, "", "sink", "kafka").want(t, exitUsage)
	siemd(t, "", "sink", "splunk", "--listen", "203.0.113.1:1").want(t, exitCannotMake)
}

func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	siemd(t, "", "demo", "--for", "2500ms", "--rate", "200").want(t, exitOK, "lost 0.", "The ledger balances")
}
