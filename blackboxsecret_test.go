package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent/plugintest"
)

// An echo is a receiver that repeats in its answers, in every encoding, what it was told in confidence.
type echo struct {
	*httptest.Server
	mu       sync.Mutex // guards requests
	requests map[string]int
}

const issuedToken = `issued-c4nary/09+z="q<w>`

func startEcho(t *testing.T) *echo {
	e := &echo{requests: map[string]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *echo) count(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests[path]
}

func (e *echo) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	n := e.requests[r.URL.Path]
	e.requests[r.URL.Path] = n + 1
	e.mu.Unlock()
	sent, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/oauth/token" && n > 2 {
		json.NewEncoder(w).Encode(map[string]any{"access_token": issuedToken, "token_type": "bearer", "expires_in": 3600})
		return
	}
	var said []string
	for _, values := range r.Header {
		said = append(said, values...)
	}
	for _, value := range said {
		for _, word := range strings.Fields(value) {
			if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
				said = append(said, string(plain))
			}
		}
	}
	said = append(said, r.URL.RawQuery, r.URL.Query().Get("code"))
	if strings.HasPrefix(r.URL.Path, "/oauth") {
		said = append(said, string(sent))
	}
	var text strings.Builder
	for _, s := range said {
		quoted, _ := json.Marshal(s)
		fmt.Fprintf(&text, "%s\n%s\n%s\n%s\n%s\n", s, quoted, url.QueryEscape(s), html.EscapeString(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	status := []int{401, 400, 500, 200, 429, 307, 413, 403, 400, 422}[n%10]
	if status == 307 {
		w.Header().Set("Location", "/login?token="+url.QueryEscape(said[len(said)-1])+"&"+url.QueryEscape(r.Header.Get("Authorization")))
	}
	if status == 200 {
		fmt.Fprint(&text, "<html>")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"type":"odd","reason":%q},"code":6,"text":`, text.String())
	io.WriteString(w, text.String())
}

// No secret of the config, and none that comes in by other ways, is in what
// siemd writes: its log, its answers, its files, also where a receiver repeats it.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	e := startEcho(t)
	dir := t.TempDir()
	secrets := map[string]string{"issued": issuedToken}
	secret := func(slot string) string {
		secrets[slot] = slot + `-c4nary/81+x="q<w>`
		return secrets[slot]
	}
	quoted := func(slot string) string {
		text, _ := json.Marshal(secret(slot)) // JSON is YAML
		return string(text)
	}
	fromFile := func(slot string) string {
		path := filepath.Join(dir, slot)
		writeFile(t, path, secret(slot)+"\n")
		return `"${file:` + path + `}"`
	}
	b := &bench{dir: dir, ingest: plugintest.FreeAddr(t), client: socketClient(filepath.Join(dir, "state", "siemd.sock"))}
	apiAddr := plugintest.FreeAddr(t)
	address := strings.TrimPrefix(e.URL, "http://")
	retry := "batch: {max_wait: 10ms}, retry: {initial: 5ms, max: 20ms}"
	var conf strings.Builder
	fmt.Fprintf(&conf, "data_dir: %s/state\nlog: {level: debug}\nshutdown_timeout: 100ms\n", dir)
	fmt.Fprintf(&conf, "api: {listen: [%q], allowed_destinations: [loopback], tokens: [{name: reader, token: %s, scope: read}]}\n", apiAddr, quoted("api-reader"))
	fmt.Fprintf(&conf, "inputs: {ingest: {type: http, listen: %q, tokens: [%s, {name: named, token: %s}], token_field: sender}}\noutputs:\n", b.ingest, fromFile("ingest"), quoted("ingest-named"))
	outputs := map[string]string{
		"splunk":  fmt.Sprintf(`type: splunk, endpoint: "%s/splunk", token: %s`, e.URL, fromFile("hec")),
		"ack":     fmt.Sprintf(`type: splunk, endpoint: "%s/ack", token: %s, ack: true`, e.URL, quoted("hec-ack")),
		"basic":   fmt.Sprintf(`type: elastic, endpoint: "%s/basic", username: elastic, password: %s`, e.URL, quoted("es-password")),
		"apikey":  fmt.Sprintf(`type: elastic, endpoint: "%s/apikey", api_key: "kid:${file:%s}"`, e.URL, filepath.Join(dir, "es-key")),
		"bearer":  fmt.Sprintf(`type: http, endpoint: "%s/bearer", auth: {type: bearer, token: %s}`, e.URL, quoted("bearer")),
		"webuser": fmt.Sprintf(`type: http, endpoint: "%s/webuser", auth: {type: basic, username: u, password: %s}`, e.URL, quoted("web-password")),
		"header":  fmt.Sprintf(`type: http, endpoint: "%s/header", headers: {X-Api-Key: %s}`, e.URL, quoted("header")),
		"query":   fmt.Sprintf(`type: http, endpoint: "%s/query?code=%s"`, e.URL, url.QueryEscape(secret("query"))),
		"oauth":   fmt.Sprintf(`type: http, endpoint: "%s/oauth/target", auth: {type: oauth2, token_url: "%[1]s/oauth/token", client_id: cid, client_secret: %s}`, e.URL, quoted("oauth")),
		"form":    fmt.Sprintf(`type: http, endpoint: "%s/form/target", auth: {type: oauth2, token_url: "%[1]s/oauth/form", client_id: cid, client_auth: body, client_secret: %s}`, e.URL, quoted("oauth-form")),
		"proxied": fmt.Sprintf(`type: http, endpoint: "http://siem.invalid/proxied", proxy: "http://puser:%s@%s"`, url.PathEscape(secret("proxy")), address),
		"tunnel":  fmt.Sprintf(`type: http, endpoint: "https://siem.invalid/tunnel", proxy: "http://puser:%s@%s"`, url.PathEscape(secret("tunnel")), address),
	}
	for name, keys := range map[string]string{
		"splunkproxied":  "type: splunk, token: x",
		"elasticproxied": "type: elastic",
	} {
		outputs[name] = fmt.Sprintf(`%s, endpoint: "http://siem.invalid/%s", proxy: "http://puser:%s@%s"`, keys, name, url.PathEscape(secret("proxy-of-"+name)), address)
	}
	// A program that tells everything it knows.
	outputs["child"] = fmt.Sprintf(`type: exec, command: [/bin/sh, -c, 'echo "$KEY" >&2; echo "$KEY"; exit 1'], env: {KEY: %s}`, quoted("child"))
	writeFile(t, filepath.Join(dir, "es-key"), secret("es-key"))
	for name, keys := range outputs {
		fmt.Fprintf(&conf, "  %s: {%s, %s}\n", name, keys, retry)
	}
	writeFile(t, b.conf(), conf.String())
	everySlot(t, conf.String())
	b.daemon = startDaemon(t, b.conf(), nil)

	var said bytes.Buffer // all that siemd answered
	ask := func(base, method, path, token, body string) int {
		t.Helper()
		req, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		client := http.DefaultClient
		if base == "http://siemd" {
			client = b.client
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		fmt.Fprintf(&said, "%s %v\n", resp.Status, resp.Header)
		if _, err := said.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	const socket, api = "http://siemd", "/api/v1/siem"

	// Connections that are made while the agent runs hold secrets, too.
	for name, fields := range map[string]string{
		"token":   fmt.Sprintf(`"siem_type":"splunk","endpoint":%q,"auth_type":"token","auth_token":%s`, e.URL+"/made-token", quoted("made-token")),
		"basic":   fmt.Sprintf(`"siem_type":"elastic","endpoint":%q,"auth_type":"basic","username":"u","password":%s`, e.URL+"/made-basic", quoted("made-password")),
		"options": fmt.Sprintf(`"siem_type":"http","endpoint":%q,"auth_type":"none","options":{"headers":{"X-Key":%s}}`, e.URL+"/made-options", quoted("made-header")),
	} {
		code := ask(socket, "POST", api+"/connections", "", fmt.Sprintf(`{"name":%q,"enabled_event_types":["*"],"use_ssl":false,"batch_interval_seconds":0.01,"retry_delay_seconds":0.01,%s}`, name, fields))
		if code != http.StatusCreated {
			t.Fatalf("a connection cannot be made: %s", said.String())
		}
	}
	// And one that is refused.
	ask(socket, "POST", api+"/connections", "", fmt.Sprintf(`{"name":"wrong","siem_type":"splunk","endpoint":"::","auth_type":"token","auth_token":%s,"enabled_event_types":["*"]}`, quoted("made-wrong")))
	ask(socket, "POST", api+"/connections", "", fmt.Sprintf(`{"name":"wrong","siem_type":"elastic","endpoint":"es","auth_type":"basic","auth_token":%s,"password":7}`, quoted("made-odd")))

	// Tokens of strangers are no business of the log's either.
	for _, at := range []string{"http://" + apiAddr + api + "/status", "http://" + b.ingest + "/v1/events"} {
		ask(at, "POST", "", secret("strange"), `{"event_id":"x"}`)
		ask(at, "GET", "?token="+url.QueryEscape(secret("strange-query")), "", "")
	}
	if code := ask("http://"+apiAddr, "GET", api+"/connections", secrets["api-reader"], ""); code != http.StatusOK {
		t.Fatalf("the reader's token: %d", code)
	}
	lines, _ := generate(1, "S-", 5)
	post := func() {
		t.Helper()
		if code := ask("http://"+b.ingest, "POST", "/v1/events", secrets["ingest"], string(lines)); code != http.StatusOK {
			t.Fatalf("the events were not taken: %s", said.String())
		}
	}
	post()
	for _, path := range []string{
		"/splunk/services/collector/event", "/basic/_bulk", "/apikey/_bulk", "/bearer", "/webuser", "/header", "/query", "/oauth/token", "/oauth/target", "/oauth/form", "/proxied",
		"/made-token/services/collector/event", "/made-basic/_bulk", "/made-options",
	} {
		eventually(t, 30*time.Second, "the receiver has answered "+path, func() bool {
			if e.count(path) > 10 || path == "/oauth/token" && e.count(path) > 3 {
				return true
			}
			post() // those before it may have been refused
			return false
		})
	}

	var made []struct {
		ID string `json:"connection_id"`
	}
	if err := b.call("GET", api+"/connections", &made); err != nil {
		t.Fatal(err)
	}
	for _, c := range made {
		ask(socket, "POST", api+"/connections/"+c.ID+"/test?wait=5s", "", "")
		ask(socket, "GET", api+"/connections/"+c.ID, "", "")
	}
	ask(socket, "POST", api+"/process-pending?wait=1s", "", "")
	ask(socket, "POST", api+"/retry-failed?wait=1s", "", "")
	ask(socket, "POST", api+"/reload", "", "")
	for _, path := range []string{"/status", "/connections", "/statistics", "/health", "/failed", "/refused", "/inputs"} {
		ask(socket, "GET", api+path, "", "")
	}
	for _, path := range []string{"/metrics", "/", "/livez", "/readyz", "/api/openapi.json"} {
		ask(socket, "GET", path, "", "")
	}
	event := string(lines[:bytes.IndexByte(lines, '\n')+1])
	for _, args := range [][]string{
		{"status", "-c", b.conf()},
		{"status", "--json", "-c", b.conf()},
		{"check", "-c", b.conf()},
		{"failed", "ls", "--json", "-c", b.conf()},
		{"test", "basic", "-c", b.conf()},
		{"test", "query", "--local", "-c", b.conf()},
		{"test", "tunnel", "--local", "-c", b.conf()},
		{"explain", "-c", b.conf()},
		{"audit", "-c", b.conf()},
		{"connections", "ls", "-c", b.conf()},
		{"connections", "ls", "--json", "-c", b.conf()},
		{"top", "-n", "1", "-c", b.conf()},
		{"check", "--diff", "-c", b.conf()},
		{"explain", "--json", "-c", b.conf()},
	} {
		stdout, stderr, code := runSiemd(t, event, args...)
		fmt.Fprintf(&said, "siemd %v: %d\n%s%s", args, code, stdout, stderr)
	}
	// Mistakes in a config are shown without the secrets in it.
	wrong := filepath.Join(dir, "wrong.yaml")
	writeFile(t, wrong, fmt.Sprintf(`data_dir: %s/other
outputs:
  a: {type: splunk, endpoint: "http://h", token: [%s]}
  b: {type: elastic, endpoint: "http://h", password: {x: %s}}
  c: {type: http, endpoint: "http://h", headers: {X-Key: "%s\n"}}
  d: {type: http, endpoint: "http://h", timeout: %s}
  e: {type: splunk, endpoint: "http://h", tokn: %s}
  f: {type: elastic, endpoint: "http://u:%s@h", password: {x: %s}}
  g: {type: http, endpoint: "http://h", proxy: "socks4://u:%s@h"}
`, dir, quoted("wrong-list"), quoted("wrong-map"), strings.ReplaceAll(secret("wrong-header"), `"`, `\"`), fromFile("wrong-place"),
		quoted("wrong-key"), url.PathEscape(secret("wrong-userinfo")), quoted("wrong-second"), url.PathEscape(secret("wrong-proxy"))))
	stdout, stderr, code := runSiemd(t, "", "check", "-c", wrong)
	if code != 78 {
		t.Errorf("check of a wrong config: exit %d", code)
	}
	fmt.Fprintf(&said, "siemd check: %s%s", stdout, stderr)

	process := map[string][]byte{}
	for _, what := range []string{"cmdline", "environ"} {
		path := fmt.Sprintf("/proc/%d/%s", b.cmd.Process.Pid, what)
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		process[path] = data
	}
	b.stop()
	places := map[string][]byte{"what siemd answers": said.Bytes(), "the log": []byte(b.diag.String())}
	maps.Copy(places, process)
	err := filepath.WalkDir(filepath.Join(dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		data, err := os.ReadFile(path)
		places[path] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(places) < 10 {
		t.Errorf("only %d places were looked at", len(places))
	}
	for place, data := range places {
		for slot, value := range secrets {
			// A copy of the config is the config: what it refers to is not in it.
			if strings.Contains(place, "/last-good/") && !slices.Contains([]string{"hec", "ingest", "es-key"}, slot) {
				continue
			}
			for _, form := range forms(value) {
				if at := bytes.Index(data, []byte(form)); at >= 0 {
					t.Errorf("%s has the secret %s, as %q: %q", place, slot, form, data[max(0, at-300):min(len(data), at+len(form)+60)])
					break
				}
			}
		}
	}
}

// everySlot fails if the schema knows a key with a secret for which conf has none.
func everySlot(t *testing.T, conf string) {
	t.Helper()
	stdout, _, _ := runSiemd(t, "", "schema")
	var schema map[string]any
	if err := json.Unmarshal([]byte(stdout), &schema); err != nil {
		t.Fatal(err)
	}
	slots := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if m["writeOnly"] == true {
			slots[path] = true
		}
		props, _ := m["properties"].(map[string]any)
		for name, p := range props {
			walk(strings.TrimPrefix(path+"."+name, "."), p)
		}
		either, _ := m["anyOf"].([]any)
		for _, p := range either {
			walk(path, p)
		}
	}
	walk("", schema)
	props := schema["properties"].(map[string]any)
	for _, side := range []string{"inputs", "outputs"} {
		for _, kind := range props[side].(map[string]any)["additionalProperties"].(map[string]any)["allOf"].([]any) {
			then := kind.(map[string]any)["then"].(map[string]any)
			walk(side+"."+then["properties"].(map[string]any)["type"].(map[string]any)["const"].(string), then)
		}
	}
	if len(slots) < 13 {
		t.Errorf("the schema knows only the secrets %v", slices.Sorted(maps.Keys(slots)))
	}
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(conf), &doc); err != nil {
		t.Fatal(err)
	}
	filled := map[string]bool{}
	var look func(path string, v any)
	look = func(path string, v any) {
		filled[path] = true
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				look(path, item)
			}
		case map[string]any:
			for name, inner := range v {
				look(strings.TrimPrefix(path+"."+name, "."), inner)
			}
		}
	}
	for _, side := range []string{"inputs", "outputs"} {
		for _, c := range doc[side].(map[string]any) {
			look(side+"."+c.(map[string]any)["type"].(string), c)
		}
	}
	delete(doc, "inputs")
	delete(doc, "outputs")
	look("", doc)
	for slot := range slots {
		if !filled[slot] {
			t.Errorf("no secret stands in %s", slot)
		}
	}
}

// forms are what gives a secret away: its beginning, which looks the same in
// JSON, HTML and URLs, and that of its base64, alone or with its user.
func forms(secret string) []string {
	all := []string{secret[:strings.IndexByte(secret, '/')]}
	for _, user := range []string{"", "elastic:", "kid:", "u:", "cid:", "puser:"} {
		all = append(all, base64.RawURLEncoding.EncodeToString([]byte(user + secret))[:len(user)+12])
	}
	return all
}
