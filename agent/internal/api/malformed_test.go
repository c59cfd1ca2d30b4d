package api

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// TestMalformedRequests sends many requests that make little sense: there is no
// 5xx, and every answer is in the OpenAPI document.
func TestMalformedRequests(t *testing.T) {
	es := receiver(t, "elastic", plugintest.Options{})
	r := newRig(t, fmt.Sprintf("outputs: {es: {type: elastic, endpoint: %q}}\n", es.URL()))
	const workers = 8
	n := 2000 / workers
	switch {
	case testing.Short():
		n = 50
	case os.Getenv("CI") == "true":
		n = 10_000 / workers
	case os.Getenv("SIEMD_TORTURE") != "":
		n = 100_000 / workers
	}
	for range 50 { // what the first ones leave open for those after them is no leak
		r.want(200, "GET", "/statistics", "")
	}
	before := held(t)
	var wg sync.WaitGroup
	var made atomic.Int64
	for w := range workers {
		wg.Go(func() { malformed(r, rand.New(rand.NewPCG(1, uint64(w))), n, &made) })
	}
	wg.Wait()
	a := r.want(200, "GET", "/status", "")
	if a.field("outputs.0.unaccounted") != 0.0 {
		t.Errorf("status = %v", a)
	}
	t.Attr("trials", fmt.Sprint(n*workers))
	t.Logf("%d requests, %d connections made", n*workers, made.Load())
	if strings.Contains(r.log.String(), "panic") {
		t.Error("something panicked")
	}

	// Nothing is left once what was made is gone.
	var list []map[string]any
	if err := json.Unmarshal(r.want(200, "GET", "/connections", "").body, &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c["managed_by"] == "api" {
			r.want(200, "DELETE", "/connections/"+c["connection_id"].(string)+"?force=true", "")
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	var after [2]int
	eventually(t, "goroutines and descriptors are as before", func() bool {
		after = held(t)
		return after[0] <= before[0]+4 && after[1] <= before[1]+4
	})
	if names, err := filepath.Glob(filepath.Join(r.dir, "state", "connections", "*")); err != nil || len(names) != 1 {
		t.Errorf("left in connections/: %v", names)
	}
}

// held are the goroutines and open descriptors of this process.
func held(t *testing.T) [2]int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("only Linux lists descriptors: ", err)
	}
	return [2]int{runtime.NumGoroutine(), len(fds)}
}

// malformed sends n requests.
func malformed(r *rig, rnd *rand.Rand, n int, made *atomic.Int64) {
	t := r.t
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	value := func() string {
		return pick(`null`, `true`, `0`, `-1`, `1e999`, `""`, `"x"`, `[]`, `{}`, `[[[[]]]]`, `{"a":{"b":1}}`, `"\ud800"`, `"\u0000"`, `"${env:HOME}"`, `"a: b\n- c"`, `123456789012345678901234567890`,
			`"`+strings.Repeat("ä", 300)+`"`, `["alert",null]`, `{"":""}`, `{"a.b":"c"}`, `"splunk"`, `"http"`, `"127.0.0.1:1"`, `"https://[::1"`, `["*"]`, `{"tls":{"verify":"x"}}`, `{"headers":{"A":"b\r\nc"}}`)
	}
	fields := []string{"name", "siem_type", "endpoint", "port", "use_ssl", "auth_type", "auth_token", "username", "enabled_event_types", "min_severity", "batch_size", "batch_interval_seconds", "retry_delay_seconds", "options", "severity_mapping", "enabled", "event_type", "event_data", "connections", "event_source", "connection_id"}
	for range n {
		method := pick("GET", "POST", "POST", "PUT", "DELETE", "PATCH", "HEAD")
		path := prefix + "/" + pick("connections", "connections/es", "connections/SIEM-CONN-00000000", "connections/%2e%2e%2f", "connections/"+strings.Repeat("a", 500), "export", "failed", "refused", "process-pending",
			"retry-failed", "statistics", "health", "wal", "inputs", "failed/es/1", "failed/es/zz", "orphans/%00/purge", "failed/export", "connections/es/drain", "nothing", "%ff", "failed/%2e%2e/x")
		if rnd.IntN(3) == 0 {
			path += "?" + pick("limit", "cursor", "wait", "max_age_hours", "force", "connection", "id", "severity", "x", "%zz", "match") + "=" + pick("", "0", "-1", "NaN", "1e309", "99999999999999999999", "0s", "1ms", "-5s", "es", "%00", "true", "AAAA", "L2Vz")
		}
		body := ""
		switch rnd.IntN(4) {
		case 0:
			var b strings.Builder
			for i := range rnd.IntN(8) {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%q:%s", fields[rnd.IntN(len(fields))], value())
			}
			body = "{" + b.String() + "}"
		case 1:
			body = pick(`{`, `[]`, `null`, `"x"`, `{"a":1}{"b":2}`, "\x00\xff", strings.Repeat("[", 20000), `{"event_type":"alert","event_data":{"a":1,"a":2}}`, `{"event_type":"alert","event_data":`+strings.Repeat(`{"a":`, 3000)+`1`+strings.Repeat("}", 3000)+`}`)
		case 2:
			method, path = pick("POST", "POST", "PUT"), prefix+"/connections"
			body = fmt.Sprintf(`{"name":"n","siem_type":%q,"endpoint":"h.example.com","enabled":false,"enabled_event_types":["*"],"auth_type":%q,%q:%s}`,
				pick("splunk", "elastic", "http", "cef", "qradar"), pick("token", "none", "tcp", "basic"), fields[rnd.IntN(len(fields))], value())
		}
		if strings.Contains(path, "%zz") || strings.HasSuffix(path, "%ff") && method == "" {
			continue // not a URL for the client
		}
		for _, waits := range []string{"export", "process-pending", "retry-failed", "/drain", "/test"} {
			if bare, query, _ := strings.Cut(path, "?"); strings.HasSuffix(bare, waits) && !strings.Contains(query, "wait") {
				path = bare + "?wait=1ms&" + query // some of the connections made here lead nowhere
				break
			}
		}
		a := r.call(method, path, body)
		if a.status == http.StatusCreated {
			made.Add(1)
		}
		if a.status >= 500 {
			t.Errorf("%s %s %.300s = %v", method, path, body, a)
			return
		}
	}
}
