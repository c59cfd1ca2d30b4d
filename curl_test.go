package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestCurlExamples runs the commands of docs/howto-api.md with curl, word for
// word but for hosts, ports of receivers and the path of the token, against the binary.
func TestCurlExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("*** the curl examples are not tested: ", err)
		}
	}
	doc, err := os.ReadFile("docs/howto-api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	splunk := startReceiver(t, "splunk", plugintest.Options{Token: "the-hec-token", Indexes: []string{"zerotrust"}, TLS: true})
	elastic := startReceiver(t, "elastic", plugintest.Options{Username: "siemd", Password: "its-password", TLS: true})
	cef := startReceiver(t, "cef", plugintest.Options{})
	ca := filepath.Join(dir, "ca.pem")
	writeFile(t, ca, string(splunk.CA())+string(elastic.CA()))
	t.Setenv("SSL_CERT_FILE", ca)
	addr := plugintest.FreeAddr(t)
	conf := filepath.Join(dir, "siemd.yaml")
	writeFile(t, conf, fmt.Sprintf("data_dir: %s/state\napi: {listen: [%q], allowed_destinations: [public, private, loopback]}\noutputs: {}\n", dir, addr))
	d := startDaemon(t, conf, nil)

	text := string(doc)
	for host, r := range map[string]*plugintest.Receiver{"splunk": splunk, "elastic": elastic, "cef": cef} {
		_, port, err := net.SplitHostPort(r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		there := regexp.MustCompile(`("endpoint": )"` + host + `\.example\.com",\n  "port": \d+,`)
		if !there.MatchString(text) {
			t.Fatalf("there is no %s.example.com", host)
		}
		text = there.ReplaceAllString(text, `${1}"localhost",`+"\n  \"port\": "+port+",")
	}
	text = strings.NewReplacer("127.0.0.1:8000", addr, "/var/lib/siemd/", filepath.Join(dir, "state")+"/").Replace(text)

	blocks := regexp.MustCompile("(?ms)^```sh(?: (\\d+))?\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	script, commands := "set -u\n", 0
	for _, b := range blocks {
		if b[1] != "" {
			script += "WANT=" + b[1] + "\n"
		}
		script += b[2]
		commands += strings.Count("\n"+b[2], "\ncurl ")
	}
	// Each curl prints its answer and is held to the status of its block; inside $( ) it is left alone.
	wrapper := `
curl() {
	if [ "$BASH_SUBSHELL" -gt 0 ]; then command curl -sS "$@"; return; fi
	command curl -sS -m 60 -o body -w '%{http_code}' "$@" >status
	echo "$(cat status)" >>done
	[ "$(cat status)" = "$WANT" ] || { echo "$* = $(cat status) $(head -c 2000 body), want $WANT"; }
	case "$*" in
	*/export*) cp body export.json ;;
	*/test*) cp body test.json ;;
	*splnk*) cp body mistakes.json ;;
	esac
}
`
	cmd := exec.Command("bash", "-c", wrapper+script)
	cmd.Dir = dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Operation timed out") { // that of the tap, as asked for
			t.Errorf("%s", line)
		}
	}
	if err != nil {
		t.Error(err)
	}
	done, _ := os.ReadFile(filepath.Join(dir, "done"))
	if n := strings.Count(string(done), "\n"); n != commands || n < 25 {
		t.Errorf("%d of %d commands were run:\n%s", n, commands, done)
	}
	has := func(file string, words ...string) {
		t.Helper()
		body, err := os.ReadFile(filepath.Join(dir, file))
		for _, w := range words {
			if err != nil || !strings.Contains(string(body), w) {
				t.Errorf("%s lacks %s: %s", file, w, body)
			}
		}
	}
	has("test.json", `"healthy":true`, `"siem_type":"splunk"`)
	has("export.json", `"event_id":"ANO-ABC123"`, `exported to 3 of 3 connections`)
	has("mistakes.json", `did you mean \"splunk\"?`, `did you mean \"endpoint\"?`, `"pointer":"/endpiont"`)
	if splunk.Seen("ANO-ABC123") != 1 || elastic.Seen("ANO-ABC123") != 1 || cef.Events() != 1 {
		t.Errorf("splunk has %v, elastic %v, cef %d", splunk.IDs(), elastic.IDs(), cef.Events())
	}
	t.Logf("%d commands in %s", commands, time.Since(began).Round(time.Millisecond))
	d.stop()
}
