package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// An ingest is a siemd that takes events over HTTP and writes them to a file.
type ingest struct {
	*testing.T
	conf, out, addr string
	agent           *daemon
}

func startIngest(t *testing.T, keys string) *ingest {
	t.Helper()
	dir := t.TempDir()
	in := &ingest{T: t, conf: filepath.Join(dir, "siemd.yaml"), out: filepath.Join(dir, "out.jsonl"), addr: plugintest.FreeAddr(t)}
	if !strings.Contains(keys, "tokens:") {
		keys = ", tokens: [T0K, OLD]" + keys
	}
	writeFile(t, in.conf, fmt.Sprintf(`data_dir: %s/state
api: {listen: []}
inputs: {web: {type: http, listen: %q%s}}
outputs: {all: {type: file, path: %q, batch: {max_wait: 20ms}}}
`, dir, in.addr, keys, in.out))
	in.agent = startDaemon(t, in.conf, nil)
	return in
}

func (in *ingest) url() string { return "http://" + in.addr }

// events waits until n different events have come and gives them by id, with
// how often each came.
func (in *ingest) events(n int) (events map[string]map[string]any, times map[string]int) {
	in.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		events, times = map[string]map[string]any{}, map[string]int{}
		data, err := os.ReadFile(in.out)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			in.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var e map[string]any
			if json.Unmarshal(line, &e) != nil {
				break // not all of it is there yet
			}
			id := fmt.Sprint(e["event_id"])
			events[id] = e
			times[id]++
		}
		if len(events) >= n {
			return events, times
		}
		if time.Now().After(deadline) {
			in.Fatalf("%d events have come, want %d", len(events), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// exactly checks that so many events came, each once.
func (in *ingest) exactly(n int) map[string]map[string]any {
	in.Helper()
	events, times := in.events(n)
	for id, count := range times {
		if count != 1 {
			in.Errorf("%s came %d times", id, count)
		}
	}
	if len(events) != n {
		in.Errorf("%d events, want %d", len(events), n)
	}
	return events
}

// missing skips a test for which something is not there, so that one sees it. Under CI it must be there.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("SKIPPED: %s, so nothing was tried with it: %v", what, err)
}

func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	missing(t, name+" is missing", exec.ErrNotFound)
	return ""
}

// bounded is a command that ends with the test at the latest.
func bounded(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd
}

// The official clients of Elasticsearch, of both majors, index through siemd;
// in the middle it is killed, and their retries bring the rest.
func TestElasticsearchClients(t *testing.T) {
	if testing.Short() {
		t.Skip("installs the clients")
	}
	python := program(t, "python3")
	for _, major := range []string{"8", "9"} {
		t.Run(major, func(t *testing.T) {
			dir := t.TempDir()
			const from = "inputs/http/clienttest/elastic/"
			install := bounded(t, "", python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
				"--require-hashes", "--only-binary=:all:", "--target", dir, "-r", from+"requirements-"+major+".txt")
			if out, err := install.CombinedOutput(); err != nil {
				missing(t, "the client could not be installed", fmt.Errorf("%w: %s", err, out))
			}
			in := startIngest(t, "")
			const count = 3000
			prefix := "E" + major + "-"
			cmd := bounded(t, "", python, from+"send.py", in.url(), "T0K", prefix, fmt.Sprint(count))
			cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1")
			var said, diag bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &diag
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in.events(1)
			in.agent.kill()
			in.agent = startDaemon(t, in.conf, nil)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v: %s", err, &diag)
			}
			var s struct {
				Taken          int
				Server, Client string
			}
			if err := json.Unmarshal(said.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			if s.Taken != count || s.Server == "" || !strings.HasPrefix(s.Client, major+".") {
				t.Errorf("the client says %s", &said)
			}
			// A batch that was stored but not answered comes twice after a kill: with
			// the same ids, but for documents without one.
			events, _ := in.events(count)
			for n := range count {
				id := fmt.Sprintf("%s%d", prefix, n)
				if n%10 != 0 && (events[id]["n"] != float64(n) || events[id]["timestamp"] != "2026-01-02T03:04:05Z") {
					t.Fatalf("%s is %v", id, events[id])
				}
			}
		})
	}
}

// Splunk's own logging library sends through siemd.
func TestSplunkLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("installs the library")
	}
	node, npm := program(t, "node"), program(t, "npm")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "send.js"} {
		text, err := os.ReadFile(filepath.Join("inputs/http/clienttest/splunk", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text))
	}
	if out, err := bounded(t, dir, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		missing(t, "Splunk's library could not be installed", fmt.Errorf("%w: %s", err, out))
	}
	in := startIngest(t, "")
	const count = 2000
	out, err := bounded(t, dir, node, "send.js", in.url(), "T0K", "S-", fmt.Sprint(count)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"taken":%d`, count)) {
		t.Fatalf("%v: %s", err, out)
	}
	events := in.exactly(count)
	// The library puts what it is given into event.message, with the severity beside it.
	found := 0
	for _, e := range events {
		if m, ok := e["message"].(map[string]any); ok && strings.HasPrefix(fmt.Sprint(m["event_id"]), "S-") && e["source"] == "web-1" {
			found++
		}
	}
	if found != count {
		t.Errorf("%d events are as they were sent, want %d; one is %v", found, count, events)
	}
	if out, err := bounded(t, dir, node, "send.js", in.url(), "WRONG", "X-", "1").CombinedOutput(); err == nil {
		t.Errorf("a wrong token was taken: %s", out)
	}
}

// rsyslog with omelasticsearch and omhttp sends through siemd, which is killed
// in the middle: rsyslog keeps what was not answered, and nothing is lost.
func TestRsyslogSends(t *testing.T) {
	if testing.Short() {
		t.Skip("starts rsyslog")
	}
	rsyslogd := program(t, "rsyslogd")
	elastic := `module(load="omelasticsearch")
ruleset(name="out") { action(type="omelasticsearch" server="127.0.0.1" serverport="%s" uid="rsyslog" pwd="T0K"
	searchIndex="logs" searchType="" bulkmode="on" template="event" errorfile="%s"
	queue.type="linkedList" queue.size="100000" queue.dequeueBatchSize="200" action.resumeRetryCount="-1" action.resumeInterval="1") }
`
	omhttp := `module(load="` + omhttpModule(t) + `")
ruleset(name="out") { action(type="omhttp" server="127.0.0.1" serverport="%s" useHttps="off" restpath="v1/events" checkpath="services/collector/health"
	httpheaderkey="Authorization" httpheadervalue="Bearer T0K" batch="on" batch.format="` + "newline" + `" batch.maxsize="200" template="event" errorfile="%s"
	queue.type="linkedList" queue.size="100000" queue.dequeueBatchSize="200" action.resumeRetryCount="-1" action.resumeInterval="1") }
`
	for name, action := range map[string]string{"omelasticsearch": elastic, "omhttp": omhttp} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(action, `load=""`) {
				t.Skip("SKIPPED: omhttp could not be built; see .ci/omhttp")
			}
			in := startIngest(t, "")
			dir := t.TempDir()
			_, port, err := net.SplitHostPort(in.addr)
			if err != nil {
				t.Fatal(err)
			}
			_, from, err := net.SplitHostPort(plugintest.FreeAddr(t))
			if err != nil {
				t.Fatal(err)
			}
			conf := filepath.Join(dir, "rsyslog.conf")
			writeFile(t, conf, fmt.Sprintf(`global(workDirectory=%q)
module(load="imtcp")
template(name="event" type="list" option.json="on") {
	constant(value="{\"message\":\"") property(name="msg") constant(value="\",\"host\":\"") property(name="hostname") constant(value="\"}")
}
%s
input(type="imtcp" address="127.0.0.1" port=%q ruleset="out")
`, dir, fmt.Sprintf(action, port, filepath.Join(dir, "errors")), from))
			var diag syncBuffer
			cmd := bounded(t, dir, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
			cmd.Stdout, cmd.Stderr = &diag, &diag
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill() // it may have ended
				_ = cmd.Wait()
				if text, _ := os.ReadFile(filepath.Join(dir, "errors")); t.Failed() {
					t.Logf("rsyslog said:\n%s\n%.2000s", diag.String(), text)
				}
			})
			var c net.Conn
			eventually(t, 20*time.Second, "rsyslog listens", func() bool {
				c, err = net.Dial("tcp", "127.0.0.1:"+from)
				return err == nil
			})
			defer c.Close()
			const count = 4000
			for n := range count {
				if n == count/2 {
					in.events(1)
					in.agent.kill()
				}
				if _, err := fmt.Fprintf(c, "<13>1 2026-01-02T03:04:05Z web-1 app - - - line %d with \"quotes\" and a \\\n", n); err != nil {
					t.Fatal(err)
				}
			}
			in.agent = startDaemon(t, in.conf, nil)
			seen := map[string]bool{}
			deadline := time.Now().Add(60 * time.Second)
			for len(seen) < count && time.Now().Before(deadline) {
				events, _ := in.events(1)
				for _, e := range events {
					if e["host"] != "web-1" {
						t.Fatalf("event %v", e)
					}
					seen[strings.TrimSpace(fmt.Sprint(e["message"]))] = true
				}
				time.Sleep(50 * time.Millisecond)
			}
			for n := range count {
				if text := fmt.Sprintf("line %d with \"quotes\" and a \\", n); !seen[text] {
					t.Fatalf("%q has not come; %d of %d have", text, len(seen), count)
				}
			}
		})
	}
}

// omhttpModule is where rsyslog's omhttp is, which .ci/omhttp builds; "" if it is not there.
func omhttpModule(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SIEMD_OMHTTP"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	built, err := filepath.Glob(filepath.Join(cache, "siemd-ci", "omhttp-*.so"))
	if err != nil {
		t.Fatal(err)
	}
	if len(built) == 0 && os.Getenv("CI") == "true" {
		t.Fatal("omhttp is missing; .ci/omhttp builds it")
	}
	if len(built) == 0 {
		return ""
	}
	return built[len(built)-1]
}

// curl speaks every dialect of the http input.
func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	in := startIngest(t, ", hec_ack: true")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "two"), "{\"event_id\":\"gz1\"}\n{\"event_id\":\"gz2\"}\n")
	if out, err := bounded(t, dir, "gzip", "-k", "two").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const channel = "X-Splunk-Request-Channel: 11111111-2222-3333-4444-555555555555"
	f := func(status int, answer string, args ...string) {
		t.Helper()
		last := args[len(args)-1]
		args = append([]string{"-sS", "-w", "\n%{http_code}"}, args[:len(args)-1]...)
		out, err := bounded(t, dir, curl, append(args, in.url()+last)...).CombinedOutput()
		body, code, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if code == "" {
			body, code = "", body
		}
		if i := strings.LastIndexByte(code, '\n'); i >= 0 {
			body, code = body+"\n"+code[:i], code[i+1:]
		}
		if err != nil || code != fmt.Sprint(status) || !strings.Contains(body, answer) {
			t.Errorf("curl %s: %v %s, want %d and %q", last, err, out, status, answer)
		}
	}
	token := []string{"-H", "Authorization: Bearer T0K"}
	with := func(more ...string) []string { return append(append([]string{}, token...), more...) }
	f(200, `"accepted":1`, with("-d", `{"event_id":"one"}`, "/v1/events")...)
	f(200, `"accepted":2`, with("-d", `[{"event_id":"a1"},{"event_id":"a2"}]`, "/v1/events")...)
	f(200, `"rejected":[{"line":2,`, with("--data-binary", "{\"event_id\":\"n1\"}\nbad\n{\"event_id\":\"n2\"}\n", "/v1/events")...)
	f(200, `"accepted":2`, with("-H", "Content-Encoding: gzip", "--data-binary", "@two.gz", "/v1/events")...)
	f(200, `"accepted":1`, "-u", "anybody:OLD", "-d", `{"event_id":"basic"}`, "/v1/events")
	f(200, `"accepted":1`, with("-H", "Idempotency-Key: k", "-d", `{"event_id":"idem"}`, "/v1/events")...)
	f(200, `"accepted":1`, with("-H", "Idempotency-Key: k", "-d", `{"event_id":"idem"}`, "/v1/events")...)
	f(400, `none of the events`, with("-d", "bad", "/v1/events")...)
	f(401, "token", "-d", "{}", "/v1/events")
	f(405, "POST", with("-X", "GET", "/v1/events")...)
	f(415, "gzip or zstd", with("-H", "Content-Encoding: br", "-d", "{}", "/v1/events")...)
	splunk := func(more ...string) []string {
		return append([]string{"-H", "Authorization: Splunk T0K"}, more...)
	}
	f(200, `{"text":"Success","code":0}`, splunk("-d", `{"event":{"event_id":"h1"}}{"event":{"event_id":"h2"}}`, "/services/collector")...)
	f(200, `"code":0`, splunk("-d", `{"event":{"event_id":"h3"},"host":"web-1"}`, "/services/collector/event")...)
	f(200, `"code":0`, splunk("-d", `{"event":{"event_id":"h4"}}`, "/services/collector/event/1.0")...)
	f(400, `"invalid-event-number":1`, splunk("-d", `{"event":{"event_id":"h5"}}{"event":""}`, "/services/collector")...)
	f(200, `"code":0`, splunk("-d", "raw line", "/services/collector/raw?host=web-1&sourcetype=x")...)
	f(200, `"ackId":0`, splunk("-H", channel, "-d", `{"event":{"event_id":"h6"}}`, "/services/collector")...)
	f(200, `{"acks":{"0":true}}`, splunk("-H", channel, "-d", `{"acks":[0]}`, "/services/collector/ack")...)
	f(200, `"code":17`, "/services/collector/health")
	f(400, `"code":16`, "-d", "{}", "/services/collector?token=T0K")
	f(403, `"code":4`, "-H", "Authorization: Splunk no", "-d", "{}", "/services/collector")
	f(200, "You Know, for Search", with("/")...)
	f(200, "", with("-I", "/")...)
	f(200, "active", with("/_license")...)
	f(200, `"errors":false`, with("-H", "Content-Type: application/x-ndjson", "--data-binary", "{\"create\":{\"_id\":\"b1\"}}\n{\"x\":1}\n", "/_bulk")...)
	f(200, `"_index":"apps"`, with("-X", "PUT", "--data-binary", "{\"index\":{\"_id\":\"b2\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":\"b2\"}}\n", "/apps/_bulk")...)
	f(400, "terminated by a newline", with("-d", "{\"index\":{}}", "/_bulk")...)
	const logs = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1767323045000000000","severityNumber":17,"body":{"stringValue":"otlp"}}]}]}]}`
	f(200, "{}", with("-H", "Content-Type: application/json", "-d", logs, "/v1/logs")...)
	f(415, "application/json", with("-H", "Content-Type: application/x-protobuf", "--data-binary", "x", "/v1/logs")...)
	f(404, "nothing at this path", "/nowhere")
	events := in.exactly(19)
	for _, id := range []string{"one", "a1", "a2", "n1", "n2", "gz1", "gz2", "basic", "idem", "h1", "h2", "h3", "h4", "h5", "h6", "b1", "b2"} {
		if events[id] == nil {
			t.Errorf("%s has not come", id)
		}
	}
	raw := 0
	for _, e := range events {
		if e["message"] == "raw line" && e["source"] == "web-1" || e["message"] == "otlp" && e["severity"] == "high" {
			raw++
		}
	}
	if raw != 2 {
		t.Errorf("%d of the two messages are as they were sent: %v", raw, events)
	}
	// Over a kill the key is still known.
	in.agent.kill()
	in.agent = startDaemon(t, in.conf, nil)
	f(200, `"accepted":1`, with("-H", "Idempotency-Key: k", "-d", `{"event_id":"idem"}`, "/v1/events")...)
	f(422, "another body", with("-H", "Idempotency-Key: k", "-d", `{"event_id":"other"}`, "/v1/events")...)
	if st := agentStatus(t, in.conf); st.Accepted != 19 {
		t.Errorf("the log holds %d events, want 19", st.Accepted)
	}
	if resp, err := http.Get(in.url() + "/services/collector/health"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v %v", resp, err)
	} else {
		resp.Body.Close()
	}
}
