package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

func emptyConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg, problems := config.Load(tempFile(t, "siemd.yaml", "{}"), config.Options{})
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

func TestCheck(t *testing.T) {
	good := tempFile(t, "siemd.yaml", explainConfig)
	bad := tempFile(t, "siemd.yaml", "inputs:\n  a: {type: tail, pahts: [/x]}\noutputs:\n  o: {type: file, path: /x, enabled: yes}\n")
	siemd(t, "", "check", "-c", good).want(t, exitConfig, "SIEMD_TEST_UNSET is not set")
	siemd(t, "", "check", "-c", good, "--no-secrets").want(t, exitOK, "is valid: 2 inputs, 8 outputs")
	siemd(t, "", "check", good, "--no-secrets").want(t, exitOK, "is valid")
	elsewhere := tempFile(t, "siemd.yaml", "outputs:\n  a: {type: splunk, endpoint: '${env:SIEMD_TEST_UNSET}', token: '${env:SIEMD_TEST_UNSET}', timeout: '${env:SIEMD_TEST_UNSET}'}\n"+
		"  b: {type: syslog, endpoint: ['${env:SIEMD_TEST_UNSET}:514'], facility: '${env:SIEMD_TEST_UNSET}'}\n")
	siemd(t, "", "check", elsewhere, "--no-secrets").want(t, exitOK, "is valid")
	siemd(t, "", "explain", "{}", "-c", elsewhere).want(t, exitOK, "connection a (splunk): sent", "connection b (syslog): sent")
	siemd(t, "", "check", bad).want(t, exitConfig, bad+`:2:19: error: unknown key "pahts"`, `did you mean "paths"?`, "write true or false")
	siemd(t, "", "check", "-c", "/nonexistent/siemd.yaml").want(t, exitConfig, "no such file")
	siemd(t, "", "check", "a", "b").want(t, exitUsage)
	siemd(t, "", "check", "--nonsense").want(t, exitUsage)

	r := siemd(t, "", "check", bad, "--json").want(t, exitConfig)
	var c checked
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || c.OK || len(c.Problems) < 2 || c.Problems[0].Line != 2 {
		t.Errorf("%v %+v", err, c)
	}
	r = siemd(t, "", "check", good, "--json", "--no-secrets").want(t, exitOK)
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || !c.OK || c.Problems == nil {
		t.Errorf("%v %+v", err, c)
	}
	r = siemd(t, "", "check", bad, "--github").want(t, exitConfig, "::error file=", `,line=2,col=19::unknown key "pahts"%0Ahint: did you mean "paths"?`)
	if strings.Contains(r.err, "pahts") {
		t.Errorf("told twice: %s", r.err)
	}
}

const configTests = `
tests:
  - name: alerts reach all
    event: {event_id: e-1, event_type: alert, severity: high, timestamp: 2026-01-31T08:00:00Z, n: 1.50}
    expect:
      splunk: {contains: '"n":1.50', lacks: nothing, matches: '^\{"time":1769846400\.000,'}
      cef: sent
      leef: disabled
      file: |
        {"event_id":"e-1","event_type":"alert","severity":"high","timestamp":"2026-01-31T08:00:00Z","n":1.50,"site":"berlin"}
      elastic:
        contains: ['"_index":"zt-alert"', '"_id":"e-1"']
  - name: the rest does not
    input: a-second
    event: '{"event_id":"e-2"}'
    expect: {splunk: filtered, cef: filtered, syslog: {contains: ' test-host zerotrust '}}
  - name: an unquoted line
    event: "{'a': 1}"
    refused: not_json
`

func TestCheckTests(t *testing.T) {
	conf := tempFile(t, "siemd.yaml", strings.Replace(explainConfig, "identity: {host: agent01}\n", "", 1))
	check := func(tests string, code int, want ...string) result {
		t.Helper()
		return siemd(t, "", "check", "--no-secrets", "-c", conf, "--tests", tempFile(t, "tests.yaml", tests)).want(t, code, want...)
	}
	check(configTests, exitOK, "ok    alerts reach all\nok    the rest does not\nok    an unquoted line\n", "is valid")

	one := func(expect string) string {
		return "tests:\n- name: one\n  event: {event_id: e, event_type: alert, severity: high}\n  expect: " + expect + "\n"
	}
	check(one("{file: filtered}"), exitFound, "FAIL  one (", ":2)", "file: is sent, not filtered: the connection has no filter", "it would get, 72 bytes:", `| {"event_id":"e",`, "1 of 1 test failed")
	check(one("{leef: sent}"), exitFound, "leef: is disabled, not sent")
	check(one(`{file: '{"event_id":"f"}'}`), exitFound, "the bytes differ from byte 14 on", `want: {"event_id":"f"} (end)`, `got:  {"event_id":"e"`)
	check(one(`{file: {contains: [event_id, absent]}}`), exitFound, "does not contain absent")
	check(one(`{file: {lacks: event_id}}`), exitFound, "contains event_id")
	check(one(`{file: {matches: '^x'}}`), exitFound, "does not match ^x")
	check("tests: [{name: t, event: 'x', expect: {file: sent}}]", exitFound, "the line is refused, not_json")
	check("tests: [{name: t, event: 'x', refused: not_object}]", exitFound, "refused for not_json, not for not_object")
	check("tests: [{name: t, event: '{}', refused: not_json}]", exitFound, "the line is taken, not refused")

	check(one("{fiel: sent}"), exitConfig, `tests.yaml:4:18: error: there is no connection "fiel": did you mean "file"?`)
	check(one("{file: {contians: x}}"), exitConfig, `unknown key "contians"`)
	check(one("{file: {matches: '('}}"), exitConfig, "no regular expression")
	check(one("{file: [a]}"), exitConfig, "want what the connection gets")
	check("tests: [{name: t, event: [1], expect: {file: sent}}]", exitConfig, "want a map or the text of a line")
	check("tests: [{name: t, event: '{}'}]", exitConfig, "the test expects nothing")
	check("tests: [{event: '{}', expect: {file: sent}}]", exitConfig, `key "name" is missing`)
	check("tests: [{name: t, input: nope, event: '{}', expect: {file: sent}}]", exitConfig, `there is no input "nope"`)
	check("tests: [{name: t, received: noon, event: '{}', expect: {file: sent}}]", exitConfig, `"noon" is no time`)
	check("{}", exitConfig, `key "tests" is missing`)
	check("tests: [", exitConfig, "not valid YAML")

	tests := tempFile(t, "tests.yaml", one("{file: filtered}"))
	siemd(t, "", "check", "--no-secrets", "-c", conf, "--tests", tests, "--github").want(t, exitFound, "::error file="+tests+",line=2::one: file: is sent, not filtered")
	r := siemd(t, "", "check", "--no-secrets", "-c", conf, "--tests", tests, "--json").want(t, exitFound)
	var c checked
	if err := json.Unmarshal([]byte(r.out), &c); err != nil || c.OK || len(c.Tests) != 1 || c.Tests[0].OK || c.Tests[0].Line != 2 {
		t.Errorf("%v %+v", err, c)
	}
}
