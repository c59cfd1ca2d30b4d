package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// background runs a command until stop.
func (r *running) background(args ...string) (out, diag *syncBuffer, stop func() int) {
	r.t.Helper()
	out, diag = &syncBuffer{}, &syncBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(args, "-c", r.conf), streams{in: strings.NewReader(""), out: out, err: diag})
	}()
	r.t.Cleanup(cancel)
	return out, diag, func() int { cancel(); return <-ended }
}

func TestTap(t *testing.T) {
	siem := receiver(t, "splunk", plugintest.Options{})
	a := startSiemd(t, `
inputs:
  web: {type: http, listen: `+plugintest.FreeAddr(t)+`}
  files: {type: tail, paths: ["{dir}/*.jsonl"]}
outputs:
  splunk: {type: splunk, endpoint: "`+siem.URL()+`", token: T, filter: {event_types: [alert]}}
`)
	// feed sends until the taps have seen something: they show what comes after they began.
	feed := func(done func() bool) {
		t.Helper()
		eventually(t, "the tap shows something", func() bool {
			a.siemd("{\"event_id\":\"e-1\",\"event_type\":\"alert\",\"severity\":\"high\",\"title\":\"\\u001b[31m\"}\n{\"event_type\":\"telemetry\"}\n", "send").want(t, exitOK)
			return done()
		})
	}
	all, _, stopAll := a.background("tap")
	rendered, _, stopRendered := a.background("tap", "splunk")
	other, _, stopOther := a.background("tap", "files")
	feed(func() bool {
		return strings.Contains(all.String(), `"event_type":"telemetry"`) && strings.Contains(rendered.String(), "e-1")
	})
	if !strings.HasPrefix(rendered.String(), `{"time":`) || strings.Contains(rendered.String(), `telemetry`) {
		t.Errorf("not as it is sent: %s", rendered)
	}
	if strings.Contains(all.String(), "\x1b") || other.String() != "" {
		t.Errorf("%q %q", all, other)
	}
	_, _, stopEarly := a.background("tap", "files") // it asks what files is, or not even that
	for _, stop := range []func() int{stopEarly, stopAll, stopRendered, stopOther} {
		if code := stop(); code != exitOK {
			t.Errorf("exit %d after Ctrl-C", code)
		}
	}

	limited, _, stopLimited := a.background("tap", "--limit", "2", "--json", "--type", "alert", "--severity", "high", "--match", "e-1", "--max-age", "1h")
	feed(func() bool { return strings.Count(limited.String(), "\n") == 2 })
	if code := stopLimited(); code != exitOK {
		t.Errorf("exit %d", code)
	}
	for line := range strings.Lines(limited.String()) {
		var e tapEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.EventID != "e-1" || e.Input != "web" || e.Seq == 0 {
			t.Errorf("%v %s", err, line)
		}
	}
	a.siemd("", "tap", "wbe").want(t, exitUsage, `did you mean "web"`)
	a.siemd("", "tap", "web", "--input", "web").want(t, exitUsage, "not both")
	a.siemd("", "tap", "--severity", "loud").want(t, exitUsage, "severity")
	a.siemd("", "tap", "--connection", "nope").want(t, exitFailure, "no such connection")
	_, diag, stopped := a.background("tap")
	a.stop()
	eventually(t, "the tap says that the agent stops", func() bool { return diag.String() != "" })
	if code := stopped(); code != exitOK && code != exitFailure && code != exitUnreachable {
		t.Errorf("exit %d: %s", code, diag)
	}
	a.siemd("", "tap", "web").want(t, exitUnreachable)
}

func TestConnections(t *testing.T) {
	siem := receiver(t, "splunk", plugintest.Options{Token: "s3cret-1234"})
	a := startSiemd(t, `
  allowed_destinations: [loopback]
outputs:
  from-file: {type: file, path: "{dir}/out"}
`)
	secret := tempFile(t, "token", "s3cret-1234\n")
	a.siemd("", "connections", "ls").want(t, exitOK, "from-file", "file", "MANAGED BY")
	added := a.siemd("", "connections", "add", "name=lab", "siem_type=splunk", "endpoint="+siem.URL(), "use_ssl=false", "auth_type=token", "auth_token=@"+secret,
		"enabled_event_types=alert,anomaly", "options.compression=gzip", "batch_interval_seconds=0.05").want(t, exitOK, "SIEM-CONN-", "is made; 'siemd test SIEM-CONN-")
	id, _, _ := strings.Cut(added.out, " ")
	shown := a.siemd("", "connections", "show", id).want(t, exitOK, `"name": "lab"`, `"auth_token": "***"`, `"compression": "gzip"`, `"managed_by": "api"`)
	if strings.Contains(shown.out, "s3cret") {
		t.Errorf("%s", shown.out)
	}
	a.siemd("", "test", id).want(t, exitOK, "ok    auth")
	a.siemd("", "connections", "ls", "--json").want(t, exitOK, id)
	a.siemd("", "connections", "set", id, "min_severity=high", "options.max_age=1d").want(t, exitOK, "is changed")
	a.siemd("", "connections", "show", id).want(t, exitOK, `"min_severity": "high"`, `"max_age": "1d"`)
	a.siemd(`{"enabled": false}`, "connections", "set", id, "--file", "-", "--json").want(t, exitOK, `"enabled": false`)
	if got := a.siemd("", "connections", "ls", "--enabled").want(t, exitOK); strings.Contains(got.out, id) {
		t.Errorf("%s", got.out)
	}
	a.siemd("", "connections", "set", "from-file", "enabled=false").want(t, exitFailure, a.conf+":")
	a.siemd("", "connections", "set", id).want(t, exitUsage, "no fields")
	a.siemd("", "connections", "set", id, "enabled").want(t, exitUsage, "not name=value")
	a.siemd("", "connections", "set", id, "auth_token=@/nonexistent/token").want(t, exitIO)
	a.siemd("", "connections", "add", "--file", tempFile(t, "c.json", "[]")).want(t, exitUsage, "not a JSON object")
	a.siemd("", "connections", "add", "name=x").want(t, exitUsage, "siem_type")
	a.siemd("", "connections", "add", "name=x", "siem_typ=splunk").want(t, exitUsage, `siem_type`)
	a.siemd("", "connections", "show", "nope").want(t, exitFailure, "no such connection")
	a.siemd("", "connections", "rm", "from-file").want(t, exitFailure, a.conf+":")
	a.siemd("", "connections", "rm", id).want(t, exitOK)
	a.siemd("", "connections", "rm", id).want(t, exitFailure, "no such connection")

	a.siemd("", "audit").want(t, exitOK, "create connection", "change connection", "delete connection "+id)
	if got := a.siemd("", "audit", "--limit", "1", "--json").want(t, exitOK); strings.Count(got.out, "\n") != 1 || !json.Valid([]byte(got.out)) {
		t.Errorf("%s", got.out)
	}
	follow, _, stop := a.background("audit", "--follow", "--action", "reload")
	a.siemd("", "reload").want(t, exitOK)
	eventually(t, "the reload is in the audit log", func() bool { return strings.Contains(follow.String(), "reload") })
	if code := stop(); code != exitOK || strings.Contains(follow.String(), "connection") {
		t.Errorf("exit %d: %s", code, follow)
	}
	a.siemd("", "audit", "--actor", "nobody-at-all").want(t, exitOK)
	siemd(t, "", "audit", "--socket", "/nonexistent/siemd.sock").want(t, exitIO, "no agent has run")
	log, err := os.ReadFile(filepath.Join(filepath.Dir(a.conf), "state", "audit.jsonl"))
	if err != nil || strings.Contains(string(log), "s3cret") {
		t.Errorf("%v %s", err, log)
	}
}

func TestPurgeAndFlush(t *testing.T) {
	a := startSiemd(t, `
inputs: {web: {type: http, listen: `+plugintest.FreeAddr(t)+`}}
outputs:
  file: {type: file, path: "{dir}/out", batch: {max_wait: 1h}}
  gone: {type: syslog, endpoint: "`+plugintest.FreeAddr(t)+`"}
`)
	a.siemd("{}\n{}\n", "send").want(t, exitOK)
	a.siemd("", "flush", "--connection", "file").want(t, exitOK, "file: 2 sent, 0 failed")
	a.siemd("", "flush", "--connection", "gone", "--wait", "50ms", "--json").want(t, exitFound, `"details":{"gone":`)
	a.siemd("", "flush", "--connection", "nope").want(t, exitFailure)
	a.siemd("", "purge", "gone", "--yes").want(t, exitFailure, "only what is gone can be purged")
	conf, err := os.ReadFile(a.conf)
	if err != nil {
		t.Fatal(err)
	}
	without, _, _ := strings.Cut(string(conf), "  gone:")
	a.write(without)
	a.siemd("", "reload").want(t, exitOK, "- output gone")
	a.siemd("", "status").want(t, exitOK, "orphan gone: 2 events wait", "siemd purge gone")
	a.siemd("", "purge", "gone").want(t, exitUsage, "--yes")
	a.siemd("", "purge", "gone", "--yes").want(t, exitOK, "gone: 2 events were given up")
	a.siemd("", "purge", "gone", "--yes", "--json").want(t, exitFailure, "no such connection")
}
