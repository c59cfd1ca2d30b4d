package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

func TestRedacted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "siemd.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, `data_dir: /var/lib/siemd # plain
api: {tokens: [{name: grafana, token: s3cret-one, scope: read}]}
inputs:
  a: {type: http, listen: "127.0.0.1:8088", tokens: ["s3cret-two", '${file:/etc/token}', "${env:X:-s3cret-default}"]}
outputs:
  o:
    type: splunk
    endpoint: https://user:s3cret-three@h.example.com
    token: |
      s3cret-four
      s3cret-five
    tokn: s3cret-six
    index: zerotrust
  h: {type: http, endpoint: "https://h.example.com", headers: {X-Key: s3cret-seven}, auth: {type: bearer, token: "s3cret \" eight"}}
  e:
    type: elastic
    endpoint: https://h.example.com
    password: s3cret nine, and more
    username: admin
  x: {type: exec, command: [/bin/true], env: {KEY: s3cret-ten}}
  n: {type: nonsense, what: s3cret-eleven}
  p: {type: splunk, token: "${cred:hec}", endpoint: 'https://h.example.com'}
`)
	write(filepath.Join(dir, "conf.d", "a.yaml"), "inputs:\n\tx: s3cret\n")
	files := config.Redacted(path)
	if len(files) != 2 || !strings.HasPrefix(files[filepath.Join(dir, "conf.d", "a.yaml")], "# left out: not valid YAML") {
		t.Errorf("%q", files)
	}
	got := files[path]
	if strings.Contains(got, "s3cret") {
		t.Errorf("a secret is left:\n%s", got)
	}
	for _, want := range []string{
		"data_dir: /var/lib/siemd # plain\n", "{name: grafana, token: ***, scope: read}", "'${file:/etc/token}'", "endpoint: https://user:***@h.example.com\n",
		"    index: zerotrust\n", "    username: admin\n", "token: \"${cred:hec}\", endpoint: 'https://h.example.com'}", "listen: \"127.0.0.1:8088\"",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if !strings.HasPrefix(config.Redacted("/nonexistent/siemd.yaml")["/nonexistent/siemd.yaml"], "# left out: there is no such file") {
		t.Error("a missing file is not told")
	}
}
