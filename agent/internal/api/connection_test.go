package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

const secretText = "s3cr3t-$HOME-${env:PATH}-tok\u00e9n"

func TestConnectionsComeChangeAndGo(t *testing.T) {
	splunk := receiver(t, "splunk", plugintest.Options{Token: secretText})
	r := newRig(t, "inputs: {}\n")
	host, port, _ := strings.Cut(splunk.Addr(), ":")

	a := r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":"Prod $x","siem_type":"splunk","endpoint":%q,"port":%s,"use_ssl":false,
		"auth_type":"token","auth_token":%q,"index_name":"main","source_type":"_json","enabled_event_types":["alert","anomaly"],"min_severity":"medium"}`, host, port, secretText))
	id, _ := a.field("connection_id").(string)
	if !regexp.MustCompile(`^SIEM-CONN-[0-9A-F]{8}$`).MatchString(id) {
		t.Fatalf("connection_id = %q", id)
	}
	for path, want := range map[string]any{
		"name": "Prod $x", "siem_type": "splunk", "endpoint": host, "use_ssl": false, "verify_ssl": true, "auth_type": "token", "auth_token": "***",
		"username": nil, "password": nil, "index_name": "main", "source_type": nil, "min_severity": "medium", "batch_size": 100.0,
		"batch_interval_seconds": 60.0, "max_retries": 3.0, "retry_delay_seconds": 30.0, "enabled": true, "managed_by": "api",
		"health_status": "unknown", "last_error": nil, "total_events_sent": 0.0, "total_events_failed": 0.0, "port": float64(atoi(port)),
	} {
		if path == "source_type" {
			want = "_json"
		}
		if got := a.field(path); got != want {
			t.Errorf("created: %s = %v, want %v", path, got, want)
		}
	}
	if got := fmt.Sprint(a.field("enabled_event_types"), a.field("options"), a.field("severity_mapping")); got != "[alert anomaly] map[] map[]" {
		t.Errorf("created: %v", got)
	}
	tag := a.header.Get("ETag")
	if tag == "" || a.header.Get("Location") != prefix+"/connections/"+id {
		t.Errorf("created: headers %v", a.header)
	}

	x := r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"one","severity":"high"}}`)
	if x.field("results."+id) != true || splunk.Seen("one") != 1 {
		t.Fatalf("export = %v", x)
	}

	// What a client reads it may send back.
	whole := r.want(200, "GET", "/connections/"+id, "")
	again := r.want(200, "PUT", "/connections/"+id, string(whole.body))
	if again.field("endpoint") != host || again.field("auth_token") != "***" {
		t.Errorf("sent back: %v", again)
	}
	r.want(412, "PUT", "/connections/"+id, `{"name":"lost update"}`, "If-Match", tag)
	r.want(200, "PUT", "/connections/"+id, `{"name":"New","batch_size":7,"options":{"batch":{"max_bytes":"64KiB"},"fields":{"site":"b"}}}`, "If-Match", again.header.Get("ETag"))
	a = r.want(200, "GET", "/connections/"+id, "")
	if a.field("total_events_sent") != 1.0 || a.field("last_successful_export") == nil {
		t.Errorf("the change forgot what was sent: %v", a)
	}
	if a.field("name") != "New" || a.field("batch_size") != 7.0 || a.field("options.batch.max_bytes") != "64KiB" || a.field("options.fields.site") != "b" {
		t.Errorf("changed: %v", a)
	}
	x = r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"two","severity":"high"}}`)
	if splunk.Seen("two") != 1 {
		t.Errorf("after the change: %v", x)
	}

	// It survives a restart, and its secret is nowhere to be read.
	r.stop()
	assertNoSecret(t, r)
	r.start()
	if a = r.want(200, "GET", "/connections/"+id, ""); a.field("total_events_sent") != 2.0 || a.field("last_successful_export") == nil {
		t.Errorf("the start forgot what was sent: %v", a)
	}
	x = r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"event_id":"three","severity":"high"}}`)
	if x.field("results."+id) != true || splunk.Seen("three") != 1 {
		t.Errorf("after a restart: %v", x)
	}
	a = r.want(200, "GET", "/connections/"+id, "")
	if a.field("total_events_sent") != 3.0 || a.field("last_successful_export") == nil || a.field("health_status") != "healthy" {
		t.Errorf("after a restart: %v", a)
	}

	r.want(200, "DELETE", "/connections/"+id, "")
	r.want(404, "GET", "/connections/"+id, "")
	if left, _ := filepath.Glob(filepath.Join(r.dir, "state", "connections", "*")); len(left) != 1 || filepath.Base(left[0]) != "key" {
		t.Errorf("left behind: %v", left)
	}
	if o := r.want(200, "GET", "/status", ""); o.field("orphans") != nil {
		t.Errorf("orphans: %v", o.field("orphans"))
	}
	assertNoSecret(t, r)
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

// assertNoSecret looks for the secret in everything that the agent wrote or says.
func assertNoSecret(t *testing.T, r *rig) {
	t.Helper()
	if strings.Contains(r.log.String(), "s3cr3t") {
		t.Error("the secret is in the log")
	}
	err := filepath.Walk(filepath.Join(r.dir, "state"), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "s3cr3t") {
			t.Errorf("the secret is in %s", path)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestChangesAtOnce: each change builds on the one before, and If-Match lets one through.
func TestChangesAtOnce(t *testing.T) {
	r := newRig(t, "inputs: {}\n")
	a := r.want(201, "POST", "/connections", `{"name":"n","siem_type":"splunk","endpoint":"siem.example.com","auth_type":"token","auth_token":"t","enabled_event_types":["alert"]}`)
	path := "/connections/" + a.field("connection_id").(string)
	tag := a.header.Get("ETag")
	all := func(header ...string) map[int]int {
		t.Helper()
		var mu sync.Mutex
		var wg sync.WaitGroup
		n := map[int]int{}
		for _, body := range []string{`{"name":"other"}`, `{"batch_size":7}`, `{"min_severity":"high"}`, `{"max_retries":5}`, `{"index_name":"main"}`, `{"batch_interval_seconds":3}`} {
			wg.Go(func() {
				a := r.call("PUT", path, body, header...)
				mu.Lock()
				defer mu.Unlock()
				n[a.status]++
			})
		}
		wg.Wait()
		return n
	}
	if got := all("If-Match", tag); got[200] != 1 || got[412] != 5 {
		t.Errorf("with one ETag: %v", got)
	}
	if got := all(); got[200] != 6 {
		t.Errorf("without one: %v", got)
	}
	a = r.want(200, "GET", path, "")
	if got := fmt.Sprintln(a.field("name"), a.field("batch_size"), a.field("min_severity"), a.field("max_retries"), a.field("index_name"), a.field("batch_interval_seconds")); got != "other 7 high 5 main 3\n" {
		t.Errorf("in the end: %s", got)
	}
}

func TestCreateRefusesMistakes(t *testing.T) {
	r := newRig(t, "outputs: {yaml: {type: splunk, endpoint: 'http://127.0.0.1:9', token: x}}\n")
	good := map[string]any{"name": "n", "siem_type": "splunk", "endpoint": "siem.example.com", "auth_type": "token", "auth_token": "t", "enabled_event_types": []string{"alert"}}
	f := func(status int, pointer, changes string) {
		t.Helper()
		body := maps.Clone(good)
		var c map[string]any
		if err := json.Unmarshal([]byte(changes), &c); err != nil {
			t.Fatal(err)
		}
		for k, v := range c {
			if body[k] = v; v == "DELETE" {
				delete(body, k)
			}
		}
		data, _ := json.Marshal(body)
		a := r.call("POST", "/connections", string(data))
		if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || a.field("errors.0.pointer") != pointer {
			t.Errorf("%s = %v, want %d at %s", changes, a, status, pointer)
		}
	}
	f(400, "/name", `{"name":"DELETE"}`)
	f(400, "/siem_type", `{"siem_type":"DELETE"}`)
	f(400, "/siem_type", `{"siem_type":"splank"}`)
	f(400, "/siem_type", `{"siem_type":"exec"}`)
	f(400, "/siem_type", `{"siem_type":"file"}`)
	f(400, "/endpoint", `{"endpoint":"DELETE"}`)
	f(400, "/endpoint", `{"endpoint":"https://user:pw@siem.example.com"}`)
	f(400, "/endpoint", `{"endpoint":"ftp://siem.example.com"}`)
	f(400, "/endpoint", `{"endpoint":"siem.example.com:99999"}`)
	f(400, "/endpoint", `{"endpoint":"a b"}`)
	f(400, "/port", `{"port":70000}`)
	f(400, "/port", `{"port":8089,"endpoint":"siem.example.com:8088"}`)
	f(400, "/port", `{"port":"8089"}`)
	f(400, "/use_ssl", `{"use_ssl":true,"endpoint":"http://siem.example.com"}`)
	f(400, "/auth_type", `{"auth_type":"DELETE"}`)
	f(400, "/auth_type", `{"auth_type":"basic"}`)
	f(400, "/auth_token", `{"auth_token":"DELETE"}`)
	f(400, "/auth_token", `{"auth_token":"***"}`)
	f(400, "/enabled_event_types", `{"enabled_event_types":"DELETE"}`)
	f(400, "/enabled_event_types", `{"enabled_event_types":[]}`)
	f(400, "/enabled_event_types/0", `{"enabled_event_types":["anomoly"]}`)
	f(400, "/min_severity", `{"min_severity":"bad"}`)
	f(400, "/facility", `{"facility":"local0"}`)
	f(400, "/severity_mapping/high", `{"severity_mapping":{"high":"9"}}`)
	f(400, "/colour", `{"colour":"red"}`)
	f(400, "/batch_interval_seconds", `{"batch_interval_seconds":-1}`)
	f(400, "/options/token", `{"options":{"token":"x"}}`)
	f(400, "/options/batch/max_events", `{"batch_size":4,"options":{"batch":{"max_events":3}}}`)
	f(400, "/options/tls/ca_file", `{"options":{"tls":{"ca_file":"/etc/passwd"}}}`)
	f(400, "/options/proxy", `{"options":{"proxy":"http://127.0.0.1:1"}}`)
	f(400, "/options/tls", `{"options":{"tls":"x"}}`)
	f(422, "/batch_size", `{"batch_size":0}`)
	f(422, "/options/indexx", `{"options":{"indexx":"x"}}`)
	f(422, "/options/compression", `{"options":{"compression":"lzma"}}`)
	f(422, "/index_name", `{"index_name":"{a}bc"}`)

	if left, _ := filepath.Glob(filepath.Join(r.dir, "state", "connections", "*")); len(left) != 1 {
		t.Errorf("refused ones left %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "state", "failed", "*")); len(left) != 1 {
		t.Errorf("refused ones left %v", left)
	}
	a := r.want(409, "PUT", "/connections/yaml", `{"name":"x"}`)
	if a.field("file") != r.conf || a.field("line") != 4.0 {
		t.Errorf("PUT of a file's connection = %v", a)
	}
	r.want(409, "DELETE", "/connections/yaml?force=true", "")
	r.want(404, "PUT", "/connections/nobody", `{"name":"x"}`)
	r.want(404, "DELETE", "/connections/..%2f..%2fetc", "")
}

// Any key of the output may be given as an option, also one that has a field; the field shows it.
func TestOptionsOfFields(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	a := r.want(201, "POST", "/connections", `{"name":"n","siem_type":"splunk","endpoint":"siem.example.com","auth_type":"token","auth_token":"t","enabled_event_types":["*"],
		"options":{"index":"main","sourcetype":"st","batch":{"max_events":3,"max_wait":"200ms","max_bytes":"2MB"},"retry":{"initial":"500ms","max_attempts":5},"tls":{"verify":false},"filter":{"min_severity":"high"}}}`)
	shows := func(a answer, size float64) {
		t.Helper()
		for field, want := range map[string]any{
			"index_name": "main", "source_type": "st", "batch_size": size, "batch_interval_seconds": 0.2, "retry_delay_seconds": 0.5, "max_retries": 5.0,
			"verify_ssl": false, "min_severity": "high", "options.batch.max_bytes": "2MB", "options.batch.max_events": nil,
		} {
			if got := a.field(field); got != want {
				t.Errorf("%s = %v, want %v", field, got, want)
			}
		}
	}
	shows(a, 3)
	id, _ := a.field("connection_id").(string)
	shows(r.want(200, "PUT", "/connections/"+id, `{"name":"m"}`), 3)
	shows(r.want(200, "PUT", "/connections/"+id, `{"batch_size":9}`), 9)
	r.want(422, "PUT", "/connections/"+id, `{"options":{"retry":{"initial":"soon"}}}`)
}

func TestEveryTypeBecomesWhatItSays(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	f := func(body string, want map[string]any, file ...string) {
		t.Helper()
		body = strings.TrimSuffix(body, "}") + `,"name":"n","enabled_event_types":["*"],"enabled":false}`
		a := r.want(201, "POST", "/connections", body)
		for path, v := range want {
			if got := a.field(path); got != v {
				t.Errorf("%s: %s = %v, want %v", body, path, got, v)
			}
		}
		id := a.field("connection_id").(string)
		data, err := os.ReadFile(filepath.Join(r.dir, "state", "connections", id+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range file {
			if !strings.Contains(string(data), text) {
				t.Errorf("%s: its file lacks %q:\n%s", body, text, data)
			}
		}
		// Sending back what was read changes nothing but the time of it.
		was, _ := r.agent.Connection(id)
		whole := r.want(200, "GET", "/connections/"+id, "")
		back := r.want(200, "PUT", "/connections/"+id, string(whole.body))
		now, _ := r.agent.Connection(id)
		if was.Config.Hash != now.Config.Hash {
			t.Errorf("%s: sent back it becomes\n%s\nfrom\n%s", body, back.body, whole.body)
		}
	}
	f(`{"siem_type":"splunk","endpoint":"s.example.com","auth_type":"token","auth_token":"t"}`, map[string]any{"port": 8088.0, "use_ssl": true, "endpoint": "s.example.com"}, "https://s.example.com:8088")
	f(`{"siem_type":"splunk","endpoint":"https://s.example.com/proxy/x","auth_type":"token","auth_token":"t"}`, map[string]any{"port": 8088.0, "endpoint": "https://s.example.com/proxy/x"}, "https://s.example.com:8088/proxy/x")
	f(`{"siem_type":"splunk","endpoint":"http://[::1]:18088","auth_type":"token","auth_token":"t"}`, map[string]any{"port": 18088.0, "use_ssl": false}, "http://[::1]:18088")
	f(`{"siem_type":"elastic","endpoint":"e.example.com","auth_type":"basic","username":"u$","password":"p"}`, map[string]any{"port": 9200.0, "username": "u$", "password": "***", "auth_type": "basic"}, "${secret:password}", "u$$")
	f(`{"siem_type":"elastic","endpoint":"e.example.com","auth_type":"apikey","auth_token":"id:key","verify_ssl":false}`, map[string]any{"auth_type": "apikey", "auth_token": "***", "verify_ssl": false}, "${secret:api_key}", "verify: false")
	f(`{"siem_type":"elastic","endpoint":"e.example.com","use_ssl":false}`, map[string]any{"auth_type": "none", "use_ssl": false}, "http://e.example.com:9200")
	f(`{"siem_type":"syslog","endpoint":"l.example.com"}`, map[string]any{"port": 514.0, "auth_type": "tcp", "use_ssl": false}, "l.example.com:514")
	f(`{"siem_type":"syslog","endpoint":"l.example.com","auth_type":"udp","facility":"auth"}`, map[string]any{"port": 514.0, "auth_type": "udp", "facility": "auth"})
	f(`{"siem_type":"cef","endpoint":"l.example.com","auth_type":"tls","options":{"cef_version":"1","extensions":{"cs6":"a.b"}}}`, map[string]any{"port": 6514.0, "use_ssl": true, "options.cef_version": "1"})
	f(`{"siem_type":"qradar","endpoint":"q.example.com:515"}`, map[string]any{"siem_type": "qradar", "port": 515.0}, "type: leef")
	f(`{"siem_type":"leef","endpoint":"q.example.com","min_severity":"info","severity_mapping":{"low":"high"}}`, map[string]any{"siem_type": "leef", "min_severity": "informational", "severity_mapping.low": "high"})
	f(`{"siem_type":"http","endpoint":"https://h.example.com/in","auth_type":"token","auth_token":"t","options":{"headers":{"X-Key.Two":"h1dd3n","X-B":"c"},"format":"array"}}`,
		map[string]any{"port": 443.0, "auth_type": "token", "options.headers.X-B": "***", "options.format": "array"}, "${secret:headers/X-Key.Two}")
	f(`{"siem_type":"http","endpoint":"h.example.com","use_ssl":false,"auth_type":"basic","username":"u","password":"p"}`, map[string]any{"port": 80.0, "endpoint": "h.example.com"}, "http://h.example.com\n")
	f(`{"siem_type":"http","endpoint":"h.example.com","auth_type":"oauth2","options":{"auth":{"token_url":"https://t.example.com/","client_id":"c","client_secret":"x"}}}`, map[string]any{"auth_type": "oauth2", "options.auth.client_secret": "***"})

	var list []map[string]any
	if err := json.Unmarshal(r.want(200, "GET", "/connections", "").body, &list); err != nil || len(list) != 14 {
		t.Errorf("%d connections, %v", len(list), err)
	}
	if a := r.want(200, "GET", "/connections?enabled_only=true", ""); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("enabled ones: %v", a)
	}
	ids := map[string]bool{}
	for _, c := range list {
		ids[c["connection_id"].(string)] = true
	}
	if len(ids) != 14 {
		t.Errorf("ids %v", ids)
	}
}

func TestSecretsStayWithTheirEndpoint(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	a := r.want(201, "POST", "/connections", `{"name":"n","siem_type":"splunk","endpoint":"a.example.com","auth_type":"token","auth_token":"one","enabled_event_types":["*"],"enabled":false}`)
	path := "/connections/" + a.field("connection_id").(string)
	for _, body := range []string{
		`{"endpoint":"b.example.com"}`, `{"endpoint":"b.example.com","auth_token":"***"}`, `{"endpoint":"a.example.com.","port":1}`, `{"endpoint":"https://b.example.com/a.example.com"}`,
		`{"options":{"tls":{"server_name":"evil.example.com"}}}`,
	} {
		if a := r.call("PUT", path, body); a.status != 400 || a.field("errors.0.pointer") != "/auth_token" {
			t.Errorf("PUT %s = %v", body, a)
		}
	}
	for _, body := range []string{`{"port":1}`, `{"endpoint":"A.example.com:2"}`, `{"use_ssl":false}`, `{"endpoint":"https://a.example.com:3/","use_ssl":true,"auth_token":"***"}`, `{"verify_ssl":false}`} {
		if a := r.want(200, "PUT", path, body); a.field("auth_token") != "***" {
			t.Errorf("PUT %s = %v", body, a)
		}
	}
	r.want(200, "PUT", path, `{"endpoint":"b.example.com","port":8088,"auth_token":"two"}`)
	r.want(200, "PUT", path, `{"auth_token":"***","max_retries":5}`)
	a = r.want(200, "GET", path, "")
	if a.field("endpoint") != "b.example.com" || a.field("port") != 8088.0 || a.field("max_retries") != 5.0 {
		t.Errorf("after all = %v", a)
	}
}

func TestDeleteWithPendingEvents(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	a := r.want(201, "POST", "/connections", `{"name":"n","siem_type":"elastic","endpoint":"http://127.0.0.1:1","enabled_event_types":["*"]}`)
	path := "/connections/" + a.field("connection_id").(string)
	r.want(200, "POST", "/export?wait=0s", `{"event_type":"alert","event_source":"s","event_data":{}}`)
	a = r.want(409, "DELETE", path, "")
	if a.field("pending_events") != 1.0 {
		t.Errorf("DELETE = %v", a)
	}
	r.want(200, "PUT", path, `{"enabled":false}`)
	a = r.want(409, "DELETE", path, "")
	if a.field("pending_events") != 1.0 {
		t.Errorf("DELETE of a disabled one = %v", a)
	}
	a = r.want(200, "DELETE", path+"?force=true", "")
	if a.field("pending_events") != 1.0 {
		t.Errorf("DELETE with force = %v", a)
	}
	if n := r.want(200, "GET", "/statistics", "").field("total_events"); n != 0.0 {
		t.Errorf("total_events = %v", n)
	}
	if a := r.want(200, "GET", "/metrics", ""); strings.Contains(string(a.body), "SIEM-CONN-") {
		t.Errorf("it is still in the metrics:\n%s", a.body)
	}
}
