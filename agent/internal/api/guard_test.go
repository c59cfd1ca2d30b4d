package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/client"
)

func TestWebPagesStayOutside(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	host := strings.TrimPrefix(r.base, "http://")
	_, port, _ := net.SplitHostPort(host)
	f := func(want int, method, path string, header ...string) {
		t.Helper()
		if a := r.call(method, path, "", header...); a.status != want {
			t.Errorf("%s %s %v = %v, want %d", method, path, header, a, want)
		}
	}
	for _, path := range []string{"/livez", "/metrics", "/statistics"} {
		f(200, "GET", path)
		f(200, "GET", path, "Host", "localhost:"+port)
		f(200, "GET", path, "Host", "[::1]")
		f(421, "GET", path, "Host", "evil.example.com")
		f(421, "GET", path, "Host", "evil.example.com:"+port)
		f(421, "GET", path, "Host", "localhost.evil.example.com")
		f(200, "GET", path, "Origin", "http://"+host)
		f(403, "GET", path, "Origin", "http://evil.example.com")
		f(403, "GET", path, "Origin", "null")
		f(403, "GET", path, "Origin", "http://127.0.0.1:1")
		f(403, "GET", path, "Sec-Fetch-Site", "cross-site")
		f(403, "GET", path, "Sec-Fetch-Site", "same-site")
		f(200, "GET", path, "Sec-Fetch-Site", "same-origin")
		f(200, "GET", path, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	}
	f(403, "POST", "/reload", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	f(403, "POST", "/reload", "Origin", "http://evil.example.com")

	// A page cannot send a token without asking first: who has one need not say that it is JSON.
	body := `{"event_type":"alert","event_source":"s","event_data":{}}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		if a := r.call("POST", "/export", body, "Content-Type", kind); a.status != 200 {
			t.Errorf("a body of type %q = %v", kind, a)
		}
	}
	r.want(200, "POST", "/reload", "", "Content-Type", "application/x-www-form-urlencoded")
	r.want(200, "POST", "/export", body, "Content-Type", "application/json; charset=utf-8")
}

func TestBodiesAreBounded(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.want(413, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"x":"`+strings.Repeat("a", maxBody)+`"}}`)
	r.want(413, "POST", "/connections", `{"name":"`+strings.Repeat("a", maxBody)+`"}`)
	r.want(200, "POST", "/export", `{"event_type":"alert","event_source":"s","event_data":{"x":"`+strings.Repeat("a", 1<<20)+`"}}`)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	f := func(want int, method, path, allow string) {
		t.Helper()
		a := r.call(method, path, "")
		if a.status != want || a.header.Get("Content-Type") != "application/problem+json" || a.field("status") != float64(want) || a.header.Get("Allow") != allow {
			t.Errorf("%s %s = %v, Allow %q", method, path, a, a.header.Get("Allow"))
		}
	}
	f(404, "GET", "/api/v1/siem/nothing", "")
	f(404, "POST", "/api/v2", "")
	f(404, "GET", "/api/v1/siem/connections/nobody", "")
	f(405, "DELETE", "/api/v1/siem/export", "POST")
	f(405, "PATCH", "/api/v1/siem/connections/x", "DELETE, GET, PUT")
	f(405, "OPTIONS", "/api/v1/siem/connections", "GET, POST")
	f(400, "GET", "/api/v1/siem/connections?enabled=true", "")
	f(400, "GET", "/api/v1/siem/connections?enabled_only=maybe", "")
	f(400, "GET", "/api/v1/siem/failed?limit=0", "")
	f(400, "GET", "/api/v1/siem/failed?limit=5&limit=6", "")
	f(400, "GET", "/api/v1/siem/failed?cursor=%21", "")
	f(400, "GET", "/api/v1/siem/refused?cursor=x", "")
	f(404, "GET", "/api/v1/siem/failed?connection=..", "")
	f(404, "GET", "/api/v1/siem/failed/x/y", "")
	f(404, "POST", "/api/v1/siem/process-pending?connection=nobody", "")
	f(404, "POST", "/api/v1/siem/orphans/nobody/purge", "")
	f(404, "POST", "/api/v1/siem/orphans/%2e%2e/purge", "")
}

func TestWrongTokensAreLimitedAndAudited(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	limited := false
	for range failureBurst + 20 {
		a := r.call("GET", "/statistics", "", "Authorization", "Bearer wrong")
		if a.status == http.StatusTooManyRequests {
			limited = a.header.Get("Retry-After") != ""
			break
		}
		if a.status != http.StatusUnauthorized {
			t.Fatalf("a wrong token = %v", a)
		}
	}
	if !limited {
		t.Error("wrong tokens are not limited")
	}
	// Whoever sends none is not guessing, and the socket is another door.
	r.want(401, "GET", "/statistics", "", "Authorization", "")
	r.want(200, "GET", "/metrics", "", "Authorization", "")
	c := client.Socket(filepath.Join(r.dir, "state", SocketName))
	if err := c.Get(context.Background(), prefix+"/statistics", nil); err != nil {
		t.Errorf("over the socket: %v", err)
	}
	audit := r.audit()
	if len(audit) != 1 || audit[0]["action"] != "authenticate" || audit[0]["result"] != "refused" || audit[0]["address"] != "127.0.0.1" {
		t.Errorf("audit log: %v", audit)
	}
}

func TestFailuresAreForgottenWithTime(t *testing.T) {
	var f failures
	now := time.Unix(1000, 0)
	for range failureBurst {
		if w := f.wait("2001:db8::1", now); w > 0 {
			t.Fatal("limited too early")
		}
		f.note("2001:db8::1", now)
	}
	if f.wait("2001:db8::2", now) == 0 {
		t.Error("another address of the same network is not limited")
	}
	if f.wait("2001:db8:1::1", now) != 0 || f.wait("192.0.2.1", now) != 0 {
		t.Error("others are limited")
	}
	if w := f.wait("2001:db8::1", now.Add(2*time.Second)); w != 0 {
		t.Errorf("still limited after two seconds, for %v", w)
	}
	for i := range 3 * failureKinds {
		f.note(net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)).String(), now)
	}
	if len(f.by) > failureKinds {
		t.Errorf("%d addresses are remembered", len(f.by))
	}
}

func TestSlowHeadersAndHugeHeadersEnd(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if !strings.Contains(line, "431") {
		t.Errorf("64 KiB of headers = %q", line)
	}
}

func TestBodiesMustComeInTime(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.server.patience = 100 * time.Millisecond
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", prefix, r.token)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if !strings.Contains(line, "408") {
		t.Errorf("half a body = %q", line)
	}
}

// audit reads the audit log.
func (r *rig) audit() (list []map[string]any) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "state", "audit.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatalf("audit log: %v: %s", err, line)
		}
		list = append(list, m)
	}
	return list
}

// TestElsewhereThanLoopback: what needs no token on loopback needs one on an address that others reach.
func TestElsewhereThanLoopback(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	h := r.server.handler(listening{})
	f := func(path, token string, want int) {
		t.Helper()
		req := httptest.NewRequest("GET", "https://siem-gateway.example.com"+path, nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("%s with %q = %d %s, want %d", path, token, w.Code, w.Body, want)
		}
	}
	f("/metrics", "", 401)
	f("/metrics", "wrong", 401)
	f("/metrics", readToken, 200)
	f("/livez", "", 200)
	f("/readyz", "", 200)
	f(openAPIPath, "", 200)
	f(prefix+"/status", "", 401)
	f(prefix+"/status", readToken, 200)
}
