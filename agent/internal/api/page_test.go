package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/statuspage"
	"github.com/adrian207/siemd/agent/plugintest"
)

func TestThePageIsServedWithItsPolicy(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	a := r.want(200, "GET", "/", "", "Authorization", "")
	if !strings.HasPrefix(string(a.body), "<!doctype html>") || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the page is %v %s", a.header, a.body)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": statuspage.Policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if a := r.want(200, "GET", statuspage.Prefix+"app.js", "", "Authorization", ""); a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("a script is %v", a.header)
	}
	r.want(200, "HEAD", "/", "", "Authorization", "")
	r.want(404, "GET", statuspage.Prefix+"nothing.js", "", "Authorization", "")
	r.want(404, "GET", statuspage.Prefix+"..%2fstatuspage.go", "", "Authorization", "")
	r.want(405, "POST", "/", "", "Authorization", "")
	r.want(421, "GET", "/", "", "Host", "evil.example.com")
	r.want(403, "GET", "/", "", "Origin", "https://evil.example.com")
	// A link from elsewhere may lead to it; a frame or a script there may not have it.
	r.want(200, "GET", "/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	r.want(403, "GET", statuspage.Prefix+"app.js", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors")
}

func TestCallerIsToldItsScope(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	for token, want := range map[string]string{readToken: "grafana read", writeToken: "ops write", r.token: TokenName + " write"} {
		a := r.want(200, "GET", "/caller", "", "Authorization", "Bearer "+token)
		if got := fmt.Sprintf("%v %v", a.field("name"), a.field("scope")); got != want {
			t.Errorf("caller = %s, want %s", got, want)
		}
	}
}

func TestHistoryHasThePresentAtOnce(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Fault: "503"})
	r := newRig(t, fmt.Sprintf("outputs: {s: {type: splunk, endpoint: %q, token: t}}\n", splunk.URL()))
	eventually(t, "the first point is there", func() bool {
		a := r.want(200, "GET", "/history", "")
		return a.field("times.0") != nil && a.field("outputs.s.pending.0") == 0.0 && a.field("outputs.s.lag_seconds.0") == 0.0 && a.field("accepted.0") == 0.0
	})
	// Further points come by the clock; what they hold is what status says.
	r.want(200, "POST", "/export?wait=0s", `{"event_type":"alert","event_source":"s","event_data":{"title":"t"}}`)
	s := sampleOf(r.agent.Status(), r.server.now())
	if s.Accepted != 1 || s.Outputs["s"].Pending != 1 {
		t.Errorf("a sample is %+v", s)
	}
}

func TestConfigIsShownWithoutSecrets(t *testing.T) {
	t.Setenv("SIEMD_TEST_TOKEN", "canary-from-the-environment")
	r := newRig(t, "outputs: {s: {type: splunk, endpoint: \"https://siem.example.com:8088\", token: \"${env:SIEMD_TEST_TOKEN}\", index: main}}\n")
	made := r.want(201, "POST", "/connections", `{"name":"made","siem_type":"splunk","endpoint":"siem2.example.com","auth_type":"token","auth_token":"canary-from-the-api","enabled_event_types":["alert"]}`)
	a := r.want(200, "GET", "/config", "", "Authorization", "Bearer "+readToken)
	text := string(a.body)
	for _, secret := range []string{"canary", readToken, writeToken, r.token} {
		if strings.Contains(text, secret) {
			t.Errorf("the config shows %s", secret)
		}
	}
	for _, want := range []string{"${env:SIEMD_TEST_TOKEN}", "index: main", "max_size: 4GiB", made.field("connection_id").(string)} {
		if !strings.Contains(text, want) {
			t.Errorf("the config lacks %s:\n%s", want, text)
		}
	}
	if a.field("generation") != 2.0 || a.field("files.0") != r.conf {
		t.Errorf("generation %v of %v", a.field("generation"), a.field("files"))
	}
}

func TestReloadsAreRemembered(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.want(200, "POST", "/reload", "")
	r.write("outputs: {f: {type: file, path: \"" + r.dir + "/out\"}}\n")
	r.want(200, "POST", "/reload", "", "Authorization", "Bearer "+writeToken)
	r.write("outputs: {f: {type: fil, path: canary}}\n")
	r.want(422, "POST", "/reload", "")
	made := r.want(201, "POST", "/connections", `{"name":"made","siem_type":"syslog","endpoint":"siem.example.com","enabled_event_types":["alert"]}`).field("connection_id")
	a := r.want(200, "GET", "/reloads", "")
	for i, want := range []string{
		fmt.Sprintf("applied 4 create connection %v [start output %v]", made, made), "refused 3 reload <nil> []", "applied 3 reload <nil> [start output f]", "unchanged 2 reload <nil> []", "applied 1 start <nil> []",
	} {
		f := func(name string) any { return a.field(fmt.Sprintf("%d.%s", i, name)) }
		got := fmt.Sprintf("%v %v %v %v %v", f("result"), f("generation"), f("action"), f("target"), f("changes"))
		if got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
	if a.field("2.actor") != "ops" || a.field("2.address") == nil {
		t.Errorf("the reload was by %v from %v", a.field("2.actor"), a.field("2.address"))
	}
	if a.field("1.problems.0.file") != r.conf || a.field("1.problems.0.line") == nil || !strings.Contains(fmt.Sprint(a.field("1.problems.0.hint")), "file") {
		t.Errorf("what was wrong: %v", a.field("1.problems"))
	}
	if strings.Contains(string(a.body), "canary") {
		t.Errorf("it shows values of the config: %s", a.body)
	}
}
