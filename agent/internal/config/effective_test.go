package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func effective(t *testing.T, text string) (string, *Config) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "siemd.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := Load(path, Options{})
	if cfg == nil {
		t.Fatal(problems)
	}
	var b strings.Builder
	for _, l := range cfg.Effective() {
		b.WriteString(l.Text + "\n")
	}
	return b.String(), cfg
}

// TestEffectiveHidesWhatCameFromElsewhere: no value of a reference and no
// literal secret is in it, wherever it stood.
func TestEffectiveHidesWhatCameFromElsewhere(t *testing.T) {
	t.Setenv("CANARY_INDEX", "canary-index")
	t.Setenv("CANARY_PW", "pw1")
	t.Setenv("CANARY_HOST", "canary.example.com")
	t.Setenv("CANARY_TOKEN", "canary-token")
	text, _ := effective(t, `
data_dir: DIR/state
identity: {vendor: "${env:CANARY_HOST}"}
api: {listen: ["127.0.0.1:0"], tokens: [{name: a, token: "${env:CANARY_TOKEN}"}, {name: b, token: canary-literal}]}
inputs:
  with.dot: {type: tail, paths: [/a, "/b/${env:CANARY_PW}/*.log"], fields: {x: "${env:CANARY_PW}", where: plain}}
  h: {type: http, listen: "127.0.0.1:18088", tokens: ["${env:CANARY_TOKEN}", canary-literal, {name: somebody, token: "${env:CANARY_TOKEN}"}, {name: else, token: canary-literal}], token_field: sender}
outputs:
  s: {type: splunk, endpoint: "https://${env:CANARY_HOST}:8088", token: "${env:NO_SUCH:-canary-default}", index: "${env:CANARY_INDEX}", fields: {k: "${env:CANARY_INDEX}"}}
  h: {type: http, endpoint: "https://siem.example.com/", proxy: "http://me:canary-proxy@proxy.example.com:3128", headers: {X-Key: "a ${env:CANARY_PW} b"}, auth: {type: bearer, token: canary-bearer}}
`)
	for _, word := range []string{"canary-index", "pw1", "canary.example.com", "canary-token", "canary-literal", "canary-default", "canary-proxy", "canary-bearer"} {
		if strings.Contains(text, word) {
			t.Errorf("%s is shown", word)
		}
	}
	for _, want := range []string{
		`index: "${env:CANARY_INDEX}"`, `"https://${env:CANARY_HOST}:8088"`, `token: "${env:CANARY_TOKEN}"`, `paths: [/a, "/b/${env:CANARY_PW}/*.log"]`,
		`token: ***`, `with.dot: # `, "type: splunk", "max_events: 2000", `- name: a`, `- "${env:CANARY_TOKEN}"`, `- ***`, `- name: somebody`, `token_field: sender`, `fields: {where: "plain", x: "${env:CANARY_PW}"}`,
	} {
		if !strings.Contains(strings.ReplaceAll(text, `"***"`, "***"), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Errorf("it is no YAML: %v\n%s", err, text)
	}
}

// TestEffectiveIsTheConfig: loaded again, it means the same.
func TestEffectiveIsTheConfig(t *testing.T) {
	for _, text := range []string{"data_dir: DIR/state\n", `
data_dir: DIR/state
api: {listen: ["127.0.0.1:0", "unix:DIR/x"]}
wal: {max_size: 1GiB, min_free: 10%}
failed: {max_age: 7d}
inputs:
  apps: {type: tail, paths: ["/var/log/*.jsonl", 'odd "name"'], exclude: ["*.gz"], severity: low, fields: {a: 1, b: [x, y], c: {d: true}}}
  web: {type: http, listen: "127.0.0.1:8088"}
outputs:
  off: {type: syslog, enabled: false, endpoint: "h:514", framing: newline, filter: {event_types: [alert], min_severity: high}, batch: {max_wait: 250ms}}
  e: {type: elastic, endpoint: ["https://a:9200", "https://b:9200"], index: "logs-%Y.%m.%d", concurrency: 3, tls: {verify: false}}
`} {
		first, cfg := effective(t, text)
		dir := filepath.Dir(cfg.DataDir)
		again := filepath.Join(dir, "again.yaml")
		if err := os.WriteFile(again, []byte(first), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg2, problems := Load(again, Options{})
		if cfg2 == nil {
			t.Fatalf("it does not load: %v\n%s", problems, first)
		}
		var second strings.Builder
		for _, l := range cfg2.Effective() {
			second.WriteString(l.Text + "\n")
		}
		strip := func(s string) string {
			return strings.ReplaceAll(fileComment.ReplaceAllString(s, ""), "again.yaml", "siemd.yaml")
		}
		if a, b := strip(first), strip(second.String()); a != b {
			t.Errorf("loaded again it is\n%s\nwas\n%s", b, a)
		}
		for _, l := range cfg.Effective() {
			if l.Default && (strings.Contains(l.Text, "max_wait: 250ms") || strings.Contains(l.Text, "paths:") || strings.Contains(l.Text, "  type:")) {
				t.Errorf("%q is said to be a default", l.Text)
			}
			if !l.Default && strings.Contains(l.Text, "max_events") {
				t.Errorf("%q is said to be set", l.Text)
			}
		}
	}
}

var fileComment = regexp.MustCompile(` # \S+:\d+`)
