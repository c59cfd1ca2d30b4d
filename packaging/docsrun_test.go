package packaging_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// Every block of code is of a kind that a test looks at.
func TestBlocksInDocs(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	// What a block may call beside siemd. It is not run here, but for what TestTutorial runs.
	known := strings.Fields("apt cat cp curl dnf docker echo export journalctl kill kubectl make mkdir printf sudo sudoedit systemctl systemd-creds systemd-sysusers systemd-tmpfiles usermod")
	for _, page := range documents(t) {
		for _, f := range fences(read(t, page)) {
			at := fmt.Sprintf("%s:%d", page, f.line)
			kind, _, _ := strings.Cut(f.info, " ")
			switch {
			case strings.HasPrefix(f.info, "yaml siemd"): // TestConfigsInDocs
			case kind == "text": // a drawing, a formula
			case kind == "python": // TestPythonInDocs
			case kind == "syslog-ng":
				t.Run(at, func(t *testing.T) { checkSyslogNG(t, f.text) })
			case kind == "json":
				if !json.Valid([]byte(f.text)) {
					t.Errorf("%s: this is no JSON", at)
				}
			case kind == "rsyslog":
				t.Run(at, func(t *testing.T) { checkRsyslog(t, f.text) })
			case kind == "sh":
				if f.info != "sh" {
					continue // docs/howto-api.md, which is run word for word
				}
				if r := finish(t, exec.Command("bash", "-n", "-c", f.text)); r.code != 0 {
					t.Errorf("%s: %s", at, r.err)
				}
				for line := range strings.Lines(strings.ReplaceAll(f.text, "\\\n", " ")) {
					words := strings.Fields(line)
					for len(words) > 0 && (words[0] == "sudo" || strings.Contains(words[0], "=")) {
						words = words[1:]
					}
					if len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.Contains(line, "=$(") {
						continue
					}
					if words[0] != "siemd" && words[0] != "./siemd" && !strings.HasPrefix(line, "go run . ") && !slices.Contains(known, words[0]) {
						t.Errorf("%s: no test knows %s", at, words[0])
					}
					if words[0] == "make" && !strings.Contains(makefile, "\n"+words[1]+":") {
						t.Errorf("%s: make has no %s", at, words[1])
					}
				}
			default:
				t.Errorf("%s: no test looks at a block of %q", at, f.info)
			}
		}
	}
}

// Code stands in fences, where the tests find it, and not in blocks that are only indented.
func TestCodeStandsInFences(t *testing.T) {
	t.Parallel()
	for _, page := range documents(t) {
		before, fenced := "", false
		for i, line := range strings.Split(read(t, page), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if !fenced && before == "" && strings.HasPrefix(line, "    ") {
				t.Errorf("%s:%d: an indented block: %s", page, i+1, line)
			}
			before = line
		}
	}
}

// checkSyslogNG has syslog-ng itself read the config; .ci/syslog-ng unpacks one where rsyslog is installed.
func checkSyslogNG(t *testing.T, text string) {
	t.Helper()
	syslogNG := os.Getenv("SIEMD_SYSLOG_NG")
	if syslogNG == "" {
		syslogNG = tool(t, "syslog-ng")
	}
	path := filepath.Join(t.TempDir(), "syslog-ng.conf")
	write(t, path, "@version: 3.35\n"+text+"\nlog { source(s_siemd); };\n")
	if r := finish(t, exec.Command(syslogNG, "--syntax-only", "--no-caps", "-f", path)); r.code != 0 || strings.Contains(r.err, "rror") {
		t.Errorf("syslog-ng --syntax-only: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// checkRsyslog has rsyslog itself read the config, with folders that exist here.
func checkRsyslog(t *testing.T, text string) {
	t.Helper()
	rsyslogd, err := exec.LookPath("rsyslogd")
	if err != nil {
		rsyslogd = tool(t, "/usr/sbin/rsyslogd")
	}
	dir := t.TempDir()
	text = regexp.MustCompile(`file="[^"]*/`).ReplaceAllString(text, `file="`+dir+"/")
	text = regexp.MustCompile(`file(Owner|Group)="[\w-]+"`).ReplaceAllString(text, `file$1="root"`)
	path := filepath.Join(dir, "rsyslog.conf")
	write(t, path, text+"\naction(type=\"omfile\" file=\""+dir+"/rest\")\n")
	if r := finish(t, exec.Command(rsyslogd, "-N1", "-f", path)); r.code != 0 || strings.Contains(r.err, "error") {
		t.Errorf("rsyslogd -N1: exit code %d\n%s", r.code, r.err)
	}
}

// The tutorial's blocks in their order, as one script, do what it says. The ports are free ones, the
// demo is shorter, and between two blocks passes the time that a person takes to read.
func TestTutorial(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "tutorial") // short: it will hold a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "siemd")); err != nil {
		t.Fatal(err)
	}
	ports := strings.NewReplacer("8088", strconv.Itoa(plugintest.FreePort(t)), "8089", strconv.Itoa(plugintest.FreePort(t)), "--for 20s", "--for 3s")
	until := func(condition string) string {
		return "for i in {1..300}; do " + condition + " >/dev/null 2>&1 && break; sleep 0.1; done\n"
	}
	ledger := func(what string) string {
		return until("siemd status --json -c siemd.yaml | grep -q '" + what + "'")
	}
	var script strings.Builder
	script.WriteString("set -m\n")
	for _, f := range fences(read(t, "docs/tutorial.md")) {
		text := ports.Replace(f.text)
		if name, ok := strings.CutPrefix(f.info, "yaml siemd file="); ok {
			write(t, filepath.Join(dir, name), text+"api: {listen: []}\n")
			continue
		}
		if strings.Contains(text, "--fault") {
			text = strings.TrimSpace(text) + " &\nfault=$!\n" + until("siemd status -c siemd.yaml")
		}
		script.WriteString("echo '== " + strings.ReplaceAll(strings.TrimSpace(f.text), "'", "") + "'\n" + text)
		switch {
		case strings.Contains(text, "siemd run"):
			script.WriteString(until("siemd status -c siemd.yaml"))
		case strings.Contains(text, "noise"):
			script.WriteString(ledger(`"sent":1,.*"filtered":1,`))
		case strings.Contains(text, "siemd drain"):
			script.WriteString(ledger(`"sent":2,.*"pending":0,`))
		}
	}
	script.WriteString("echo '== the end'\nsiemd status --json -c siemd.yaml\nkill $(jobs -p)\nwait\n")
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), beSiemd+"=1", "GOCOVERDIR="+os.TempDir(), "PATH="+dir+":"+os.Getenv("PATH"))
	r := finish(t, cmd)
	_, end, _ := strings.Cut(r.out, "== the end")
	for _, want := range []string{"hello", "while you were out", "ledger"} {
		if !strings.Contains(strings.ToLower(r.out), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if !regexp.MustCompile(`"sent":2,.*"filtered":1,.*"pending":0,`).MatchString(end) {
		t.Errorf("the ledger in the end: %s", end)
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.out, r.err)
	}
}

// The function that replaces the Python module's gets its event onto the disk.
func TestPythonInDocs(t *testing.T) {
	t.Parallel()
	python := tool(t, "python3")
	port := strconv.Itoa(plugintest.FreePort(t))
	a := startAgent(t, "data_dir: DIR/data\napi: {listen: []}\ninputs: {platform: {type: http, listen: '127.0.0.1:"+port+"', tokens: [secret-of-the-test]}}\n", nil)
	n := 0
	for _, f := range fences(read(t, "docs/migration-python.md")) {
		if f.info != "python" {
			continue
		}
		n++
		code := "TOKEN = 'secret-of-the-test'\n" + strings.ReplaceAll(f.text, "8088", port) +
			"\nprint(export('risk_assessment', {'assessment_id': 'r1', 'assessment_time': '2026-01-02T03:04:05Z', 'total_risk_score': 7}))\n"
		if r := finish(t, exec.Command(python, "-c", code)); r.code != 0 || !strings.Contains(r.out, "'accepted': 1") {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	if n != 1 {
		t.Errorf("%d blocks", n)
	}
	if got := a.get(t, "/metrics"); !strings.Contains(got, `siemd_input_events_total{input="platform"} 1`) {
		t.Errorf("the event is not in the log:\n%s", got)
	}
}
