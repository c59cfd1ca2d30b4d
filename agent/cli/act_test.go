package cli

import (
	"encoding/json"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
	"github.com/adrian207/siemd/agent/plugintest"
)

// listenOf is the address of an http input.
func listenOf(t *testing.T, conf, name string) string {
	t.Helper()
	cfg, problems := config.Load(conf, config.Options{})
	if cfg == nil {
		t.Fatal(problems)
	}
	return reflect.ValueOf(cfg.Inputs[name].Config).Elem().FieldByName("Listen").String()
}

func TestTest(t *testing.T) {
	r := receiver(t, "splunk", plugintest.Options{Token: "T", Keep: 1})
	a := startSiemd(t, `
outputs:
  good: {type: splunk, endpoint: "`+r.URL()+`", token: T}
  bad: {type: splunk, endpoint: "`+r.URL()+`", token: wrong-token-x}
  picky: {type: splunk, endpoint: "`+r.URL()+`", token: T, filter: {min_severity: critical}}
  other: {type: splunk, endpoint: "`+r.URL()+`", token: T, filter: {event_types: [login, alert], min_severity: low}}
  gone: {type: syslog, endpoint: "`+plugintest.FreeAddr(t)+`"}
`)
	for _, local := range [][]string{nil, {"--local"}} {
		test := func(code int, args []string, want ...string) result {
			t.Helper()
			return a.siemd("", append(append([]string{"test"}, args...), local...)...).want(t, code, want...)
		}
		before := r.Stats().Events
		test(exitOK, []string{"good", "--event=false"}, "ok    tcp", "ok    auth")
		if n := r.Stats().Events; n != before {
			t.Errorf("%d events came without being wanted", n-before)
		}
		test(exitFound, []string{"gone"}, "FAIL  tcp", "fix: ")
		if got := test(exitFound, []string{"bad"}, "ok    tcp", "FAIL  auth", "fix: "); strings.Contains(got.out+got.err, "wrong-token-x") {
			t.Errorf("the token is told: %s", got.out)
		}
		var res tested
		got := test(exitFound, []string{"bad", "--json"})
		if err := json.Unmarshal([]byte(got.out), &res); err != nil || res.OK || len(res.Steps) < 2 || res.Connection != "bad" {
			t.Errorf("%v %s", err, got.out)
		}
		test(exitOK, []string{"good"}, "ok    auth", "ok    event")
		if n := r.Stats().Events; n != before+1 {
			t.Errorf("%d events came", n-before)
		}
	}
	for name, want := range map[string]string{"picky": `"severity":"critical"`, "other": `"event_type":"login"`} {
		a.siemd("", "test", name).want(t, exitOK, "ok    event")
		if last := string(r.Last()[0]); !strings.Contains(last, want) || !strings.Contains(last, `"siemd_test":true`) {
			t.Errorf("%s got %s", name, last)
		}
	}
	a.siemd("", "test", "nope").want(t, exitFailure, "no such connection")
	a.siemd("", "test", "nope", "--local").want(t, exitUsage, "there is no connection")
	a.siemd("", "test").want(t, exitUsage)
	a.stop()
	a.siemd("", "test", "good").want(t, exitUnreachable, "no agent answers")
	a.siemd("", "test", "good", "--local").want(t, exitOK, "ok    auth")
	siemd(t, "", "test", "good", "--local", "-c", tempFile(t, "siemd.yaml", "outputs: 1")).want(t, exitConfig)
}

// What was found is told when the time is up, and what to do about it.
func TestTestTellsInTime(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	r := receiver(t, "splunk", plugintest.Options{Token: "T", Fault: "hec=7:over=10B"})
	a := startSiemd(t, `
outputs:
  mute: {type: syslog, endpoint: "`+mute.Addr().String()+`", transport: tls}
  index: {type: splunk, endpoint: "`+r.URL()+`", token: T, retry: {max: 1s}}
`)
	a.siemd("", "test", "mute", "--wait", "1s").want(t, exitFound, "ok    tcp", "FAIL  tls", "fix: no answer to the handshake")
	a.siemd("", "test", "mute", "--wait", "1s", "--local").want(t, exitFound, "FAIL  tls", "fix: no answer to the handshake")
	a.siemd("", "test", "index", "--wait", "2s").want(t, exitFound, "ok    auth", "FAIL  event", "Incorrect index", "fix: ")
}

func TestReload(t *testing.T) {
	a := startSiemd(t, "outputs: {one: {type: file, path: '{dir}/one'}, two: {type: file, path: '{dir}/two'}}\n")
	a.siemd("", "reload").want(t, exitOK, "= output one", "= output two", "nothing has changed, generation")
	a.write("data_dir: {dir}/state\napi: {listen: []}\noutputs: {one: {type: file, path: '{dir}/one', mode: '0640'}, three: {type: file, path: '{dir}/three'}}\n")
	a.siemd("", "reload").want(t, exitOK, "~ output one", "- output two", "+ output three", "the new config runs, generation")
	a.write("data_dir: {dir}/state\napi: {listen: []}\noutputs:\n  one: {type: file, paht: '{dir}/one'}\n")
	a.siemd("", "reload", "--socket", strings.TrimSuffix(a.conf, "siemd.yaml")+"state/siemd.sock").want(t, exitConfig,
		a.conf+`:4:21: error: unknown key "paht"`, `did you mean "path"?`, "the config was not applied, the old one runs on")
	var problem struct {
		Status int
		Errors []struct{ Line int }
	}
	got := siemd(t, "", "reload", "--json", "--socket", strings.TrimSuffix(a.conf, "siemd.yaml")+"state/siemd.sock").want(t, exitConfig)
	if err := json.Unmarshal([]byte(got.out), &problem); err != nil || problem.Status != 422 || len(problem.Errors) == 0 {
		t.Errorf("%v %s", err, got.out)
	}
	a.write("data_dir: {dir}/state\napi: {listen: []}\noutputs:\n  one: {type: file, path: '{dir}/one'}\n  in-the-way: {type: syslog, endpoint: x, transport: tls, tls: {ca_file: /nonexistent}}\n")
	a.siemd("", "reload").want(t, exitConfig, "/nonexistent")
	a.write("data_dir: {dir}/state\napi: {listen: []}\noutputs: {one: {type: file, path: '{dir}/one'}}\n")
	got = a.siemd("", "reload", "--json").want(t, exitOK)
	var r supervisor.Reload
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || !r.Changed || len(r.Plan.Outputs) != 2 {
		t.Errorf("%v %s", err, got.out)
	}
	a.stop()
	a.siemd("", "reload").want(t, exitUnreachable)
}

func TestDrainAndExport(t *testing.T) {
	r := receiver(t, "splunk", plugintest.Options{})
	a := startSiemd(t, `
inputs: {web: {type: http, listen: `+plugintest.FreeAddr(t)+`}}
outputs:
  lazy: {type: splunk, endpoint: "`+r.URL()+`", token: T, batch: {max_wait: 1h}}
  gone: {type: syslog, endpoint: "`+plugintest.FreeAddr(t)+`", filter: {event_types: [alert]}, retry: {max: 1s}}
`)
	a.siemd("{\"event_type\":\"telemetry\"}\n", "send").want(t, exitOK)
	a.siemd("", "drain", "lazy").want(t, exitOK, "lazy: nothing waits")
	if r.Stats().Events != 1 {
		t.Errorf("%d events", r.Stats().Events)
	}
	a.siemd("", "export", `{"event_id":"x-1","event_type":"alert"}`, "--wait", "1s").want(t, exitFound, "event x-1, number 2: ", "lazy: delivered", "gone: pending")
	a.siemd("", "drain", "gone", "--wait", "50ms").want(t, exitFound, "gone: 1 events still wait")
	a.siemd("", "drain", "gone", "--wait", "50ms", "--json").want(t, exitFound, `"pending_events":1`)
	a.siemd("", "drain", "nope").want(t, exitFailure, "no such connection")
	a.siemd(`{"title":"t"}`, "export", "--type", "telemetry", "--connection", "lazy", "--json").want(t, exitOK, `"results":{"lazy":true}`)
	a.siemd(`{"title":"t"}`, "export").want(t, exitUsage, "no event_type")
	a.siemd(`{"event_type":"alrt"}`, "export").want(t, exitUsage, `did you mean "alert"`)
	a.siemd("{}\n{}\n", "export").want(t, exitUsage, "one event, not 2")
	a.siemd("", "export", "{'a'}").want(t, exitUsage, "not JSON")
	a.siemd(`{"event_type":"alert"}`, "export", "--connection", "nope").want(t, exitUsage, "no connection")
	a.siemd("", "status").want(t, exitOK, "lazy", "gone")
	a.stop()
	a.siemd(`{"event_type":"alert"}`, "export").want(t, exitUnreachable)
	a.siemd("", "drain", "lazy").want(t, exitUnreachable)
}
