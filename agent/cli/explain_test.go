package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
)

const explainConfig = `
data_dir: /nonexistent/siemd
identity: {host: agent01}
inputs:
  zz-first: {type: tail, paths: ["/var/log/apps/*.jsonl"], fields: {site: berlin}, max_line: 2KiB}
  a-second: {type: http, listen: "127.0.0.1:8088", event_type: telemetry, severity: low}
outputs:
  splunk: {type: splunk, endpoint: "https://splunk.example.com:8088", token: "${env:SIEMD_TEST_UNSET}", filter: {min_severity: high}}
  elastic: {type: elastic, endpoint: "https://elastic.example.com:9200", api_key: "${env:SIEMD_TEST_UNSET}", index: "zt-{event_type}"}
  syslog: {type: syslog, endpoint: "syslog.example.com", transport: tls, tls: {ca_file: /nonexistent/ca.pem, cert_file: /nonexistent/c.pem, key_file: /nonexistent/k.pem}}
  cef: {type: cef, endpoint: "cef.example.com", filter: {event_types: [anomaly, alert], min_severity: low}}
  leef: {type: leef, endpoint: "qradar.example.com", enabled: false}
  api: {type: http, endpoint: "https://api.example.com/in", tls: {ca_file: /nonexistent/ca.pem}}
  file: {type: file, path: /nonexistent/out.jsonl}
  exec: {type: exec, command: [/nonexistent/connector]}
`

const explainEvent = `{"event_id":"e-1","timestamp":"2026-01-31T08:00:00Z","event_type":"alert","source":"mac-7","severity":"high","title":"T"}`

func TestExplainGolden(t *testing.T) {
	conf := tempFile(t, "siemd.yaml", explainConfig)
	f := func(name, event string, args ...string) {
		t.Helper()
		r := siemd(t, "", append([]string{"explain", event, "-c", conf, "--at", "2026-02-01T00:00:00Z"}, args...)...)
		r.want(t, exitOK)
		golden(t, "explain/"+name+".txt", r.out)
	}
	f("plain", explainEvent)
	f("second-input", `{"title":"no type, no id, no time"}`, "--input", "a-second")
	f("raw-record", `{"event_type":"anomaly","anomaly_id":"an-1","detected_at":"2026-01-31T08:00:00Z","device_id":"mac-7","anomaly_type":"network","anomaly_severity":"critical","anomaly_score":97.5,"confidence":0.9,"title":"beacon"}`)
	f("hostile", `{"event_id":"e-2","event_type":"alert","severity":"high","title":"a\u001b[31mb\u0000|=c\r\n<134>1 forged","source":"x y"}`)
	f("bad-utf8", "{\"event_id\":\"e-3\",\"event_type\":\"alert\",\"severity\":\"high\",\"title\":\"\xff\",\"title\":\"two\"}")
}

func TestExplainJSON(t *testing.T) {
	conf := tempFile(t, "siemd.yaml", explainConfig)
	r := siemd(t, explainEvent+"\n\nnot json\n", "explain", "--json", "-c", conf, "--connection", "file,splunk").want(t, exitOK)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("want two explanations, got\n%s", r.out)
	}
	var ex explanation
	if err := json.Unmarshal([]byte(lines[0]), &ex); err != nil {
		t.Fatal(err)
	}
	if ex.Input != "zz-first" || ex.Event.ID != "e-1" || ex.Event.Severity != agent.High || len(ex.Connections) != 2 {
		t.Errorf("%+v", ex)
	}
	wire := strings.TrimSuffix(explainEvent, "}") + `,"site":"berlin"}` + "\n"
	if d := ex.Connections[0]; d.Connection != "file" || d.Decision != decisionSent || d.Bytes != wire || d.Size != len(wire) {
		t.Errorf("%+v", d)
	}
	ex = explanation{}
	if err := json.Unmarshal([]byte(lines[1]), &ex); err != nil {
		t.Fatal(err)
	}
	if ex.Refused == nil || ex.Refused.Reason != agent.ReasonNotJSON || ex.Event != nil {
		t.Errorf("%+v", ex)
	}
}

func TestExplainCommand(t *testing.T) {
	conf := tempFile(t, "siemd.yaml", explainConfig)
	event := tempFile(t, "event.json", "{\n  \"event_type\": \"alert\",\n  \"severity\": \"low\"\n}\n")
	f := func(stdin string, code int, want string, args ...string) {
		t.Helper()
		siemd(t, stdin, append([]string{"explain", "-c", conf}, args...)...).want(t, code, want)
	}
	f("", exitOK, "filtered\n  because severity low is below filter.min_severity high", event)
	f(explainEvent, exitOK, "event_id    e-1", "-")
	f("[1]", exitFound, "REFUSED, not_object")
	f(`{"a":"`+strings.Repeat("x", 3000)+`"}`, exitFound, "REFUSED, too_long")
	f("", exitUsage, "there is no event")
	f("", exitIO, "no such file", "/nonexistent/event.json")
	f("", exitUsage, `did you mean "splunk"`, "{}", "--connection", "splunc")
	f("", exitUsage, `there is no input "zz-frist": did you mean "zz-first"?`, "{}", "--input", "zz-frist")
	f("", exitUsage, "no time", "{}", "--at", "noon")
	f("", exitUsage, "exactly one", "{}", "--raw")
	f("", exitOK, "stand-ins take their place", "{}")
	siemd(t, "", "explain", "{}", "-c", tempFile(t, "bad.yaml", "inputs: {a: {type: tial}}")).want(t, exitConfig, `did you mean "tail"`)

	r := siemd(t, "", "explain", "-c", conf, explainEvent, "--raw", "--connection", "syslog").want(t, exitOK)
	if !strings.HasPrefix(r.out, "1") || !strings.Contains(r.out, "<131>1 2026-01-31T08:00:00.000Z mac-7 zerotrust") {
		t.Errorf("%q", r.out)
	}
	siemd(t, "", "explain", "-c", tempFile(t, "empty.yaml", "{}"), "{}").want(t, exitOK, "the config has none", "no connection")
}

// picky encodes nothing.
type picky struct{ agent.Output }

func (picky) Encode(dst []byte, _ *agent.Event) ([]byte, error) { return dst, errors.New("no room") }

func TestExplainWhatCannotBeSent(t *testing.T) {
	oc := &config.Output{Name: "o", Kind: "k", Common: delivery.DefaultConfig()}
	e := &agent.Event{Body: []byte("{}")}
	f := func(o explainedOutput, want, why string) {
		t.Helper()
		o.cfg = oc
		if d := o.decide(e); d.Decision != want || !strings.Contains(d.Why, why) || d.wire != nil {
			t.Errorf("%+v", d)
		}
	}
	f(explainedOutput{out: picky{}}, decisionFailed, "it can never be sent and goes to the failed store: no room")
	f(explainedOutput{err: errors.New("bad key")}, decisionFailed, "cannot be built: bad key")
}

// shouting encodes the severity alone.
type shouting struct{ agent.Output }

func (shouting) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	return append(dst, e.Severity.String()...), nil
}

func TestExplainMapsSeverities(t *testing.T) {
	m := &config.Managed{SeverityMapping: map[string]string{"low": "critical"}}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	oc := &config.Output{Name: "o", Kind: "k", Common: delivery.DefaultConfig(), Managed: m}
	oc.Common.Filter.MinSeverity = agent.Low
	e := &agent.Event{Body: []byte("{}"), Severity: agent.Low}
	o := explainedOutput{cfg: oc, out: shouting{}}
	if d := o.decide(e); d.Bytes != "critical" || !strings.Contains(d.Why, "severity low is at least") || !strings.Contains(d.Why, "shows low as critical") || e.Severity != agent.Low {
		t.Errorf("%+v", d)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add([]byte("a\x1b[31m\xff\u202e\n\t\u2028"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := visible(text)
		for _, r := range got {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
				t.Errorf("%q holds %U", got, r)
			}
		}
	})
}

func TestFilterVerdictAgreesWithTheRunner(t *testing.T) {
	for _, types := range [][]string{nil, {"alert"}, {"a", "alert", ""}} {
		for low := agent.Unset; low <= agent.Critical; low++ {
			f := delivery.Filter{EventTypes: types, MinSeverity: low}
			runner := delivery.New(delivery.Options{Config: delivery.Config{Filter: f}, Env: offlineEnv(emptyConfig(t), "x")})
			for _, typ := range []string{"", "alert", "Alert", "other"} {
				for sev := agent.Unset; sev <= agent.Critical; sev++ {
					takes, why := filterVerdict(f, typ, sev)
					if want := runner.Takes([]byte(typ), sev); takes != want || why == "" {
						t.Errorf("%v %q %v: %v %q, the runner says %v", f, typ, sev, takes, why, want)
					}
				}
			}
		}
	}
}
