package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestRawRequests sends what no client library would: every answer refuses, or
// is that of the one request that was meant.
func TestRawRequests(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	addr := strings.TrimPrefix(r.base, "http://")
	auth := "Authorization: Bearer " + r.token + "\r\n"
	f := func(name, raw string, want ...int) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(conn)
		for i, status := range want {
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Errorf("%s: answer %d: %v", name, i, err)
				return
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("%s: answer %d is %d %s, want %d", name, i, resp.StatusCode, body, status)
			}
		}
	}
	const get = "GET " + prefix + "/statistics HTTP/1.1\r\n"
	host := "Host: " + addr + "\r\n"
	f("as it should be", get+host+auth+"\r\n", 200)
	f("two hosts", get+host+"Host: evil.example.com\r\n"+auth+"\r\n", 400)
	f("a name that somebody else controls", get+"Host: evil.example.com\r\n"+auth+"\r\n", 421)
	f("the same, as localhost's", get+"Host: localhost.evil.example.com\r\n"+auth+"\r\n", 421)
	f("the same, with an address in it", get+"Host: 127.0.0.1.evil.example.com\r\n"+auth+"\r\n", 421)
	f("the same, with a user", get+"Host: 127.0.0.1@evil.example.com\r\n"+auth+"\r\n", 400)
	f("the same, in the request line", "GET http://evil.example.com"+prefix+"/statistics HTTP/1.1\r\n"+host+auth+"\r\n", 421)
	f("no host", "GET "+prefix+"/statistics HTTP/1.0\r\n"+auth+"\r\n", 421)
	f("two tokens, the wrong one first", get+host+"Authorization: Bearer x\r\n"+auth+"\r\n", 401)
	f("a token in a folded line", get+host+"Authorization: Bearer\r\n "+r.token+"\r\n\r\n", 200) // Go unfolds it, to the same token
	f("a token behind a NUL", get+host+"Authorization: Bearer \x00"+r.token+"\r\n\r\n", 400)
	f("a space before the colon", get+host+"Authorization : Bearer "+r.token+"\r\n\r\n", 400)
	f("two lengths", "POST "+prefix+"/export HTTP/1.1\r\n"+host+auth+"Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\n{}", 400)
	f("a length that is none", "POST "+prefix+"/export HTTP/1.1\r\n"+host+auth+"Content-Length: +2\r\n\r\n{}", 400)
	f("a body for the next request", get+host+auth+"Content-Length: 60\r\n\r\nDELETE "+prefix+"/failed HTTP/1.1\r\n"+host+auth+"\r\n", 200)
	f("two requests, the second without a token", get+host+auth+"\r\n"+get+host+"\r\n", 200, 401)
	f("two slashes", "GET //api/v1/siem/statistics HTTP/1.1\r\n"+host+"\r\n", 404)
	f("dots", "GET "+prefix+"/../../../api/v1/siem/statistics HTTP/1.1\r\n"+host+"\r\n", 404)
	f("dots, escaped", "GET /livez/%2e%2e/api/v1/siem/statistics HTTP/1.1\r\n"+host+"\r\n", 404)
	f("another case", "GET /API/V1/SIEM/statistics HTTP/1.1\r\n"+host+"\r\n", 404)
	f("a slash at the end", "GET "+prefix+"/statistics/ HTTP/1.1\r\n"+host+"\r\n", 404)
	f("a plain path before", "GET /livez/..%2fapi/v1/siem/statistics HTTP/1.1\r\n"+host+"\r\n", 404)
	f("a path with a semicolon", "GET "+prefix+"/statistics;/livez HTTP/1.1\r\n"+host+"\r\n", 404)
	f("options of all", "OPTIONS * HTTP/1.1\r\n"+host+"\r\n", 400)
	f("a method of our own", "SIEMD "+prefix+"/statistics HTTP/1.1\r\n"+host+auth+"\r\n", 405)
	f("a method in another case", "get "+prefix+"/statistics HTTP/1.1\r\n"+host+auth+"\r\n", 405)
	f("connect", "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n", 421)
	f("an override", "POST "+prefix+"/failed HTTP/1.1\r\n"+host+auth+"X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n", 405)
	f("a forwarded path", get+host+"X-Original-URL: /livez\r\nX-Rewrite-URL: /livez\r\nX-Forwarded-For: ::1\r\n\r\n", 401)
	f("tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400)
	f("http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 421)
}

// TestNothingIsForged: what callers say comes into logs and files as one word,
// or not at all, and no file but the connection's own is touched.
func TestNothingIsForged(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	const ok = `"siem_type":"cef","endpoint":"siem.example.com","enabled":false,"enabled_event_types":["*"]`
	for _, name := range []string{
		"", "two\nlines", "a\x00b", "\x1b[2J", "tab\tbed", "bidi \u202e", "zero \u200b", "c1 \u0085", "line \u2028", strings.Repeat("ä", 201),
	} {
		quoted, _ := json.Marshal(name)
		a := r.call("POST", "/connections", fmt.Sprintf(`{"name":%s,%s}`, quoted, ok))
		if a.status != 400 || a.field("errors.0.pointer") != "/name" {
			t.Errorf("name %q = %v", name, a)
		}
	}
	longest := strings.Repeat("ä", 200)
	a := r.want(201, "POST", "/connections", fmt.Sprintf(`{"name":%q,%s}`, longest, ok))
	id := a.field("connection_id").(string)
	if a.field("name") != longest || utf8.RuneCountInString(longest) != 200 {
		t.Errorf("name = %v", a.field("name"))
	}
	r.want(413, "POST", "/connections", fmt.Sprintf(`{"name":"n",%s,"options":{"x":%q}}`, ok, strings.Repeat("x", maxObject)))
	r.want(413, "PUT", "/connections/"+id, fmt.Sprintf(`{"name":%q}`, strings.Repeat("x", maxObject)))

	before, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(r.dir, "secret")
	if err := os.MkdirAll(filepath.Join(secret, "failed"), 0o700); err != nil {
		t.Fatal(err)
	}
	before = append(before, secret)
	for _, name := range []string{"..%2f..%2fsecret", "%2e%2e", "..", "%2fetc", "secret%00", ".%2e%2fconnections", "x%0a%7b%22actor%22%3a%22root%22%7d", "%1b%5b2J"} {
		for _, c := range []struct{ method, path string }{
			{"GET", "/connections/%s"},
			{"PUT", "/connections/%s"},
			{"DELETE", "/connections/%s"},
			{"POST", "/connections/%s/test"},
			{"POST", "/connections/%s/drain"},
			{"POST", "/orphans/%s/purge"},
			{"GET", "/failed/%s/1"},
			{"GET", "/failed?connection=%s"},
			{"DELETE", "/failed?connection=%s"},
			{"POST", "/process-pending?connection=%s"},
			{"POST", "/retry-failed?connection=%s"},
			{"GET", "/failed/export?connection=%s"},
		} {
			body := ""
			if c.method == "PUT" {
				body = `{"enabled":false}`
			}
			a := r.call(c.method, fmt.Sprintf(c.path, name), body)
			if a.status < 300 || a.status >= 500 {
				t.Errorf("%s %s = %v", c.method, fmt.Sprintf(c.path, name), a)
			}
		}
	}
	after, err := filepath.Glob(filepath.Join(r.dir, "*"))
	slices.Sort(before)
	slices.Sort(after)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	if _, err := os.Stat(filepath.Join(secret, "failed")); err != nil {
		t.Error(err)
	}
	audit, err := os.ReadFile(filepath.Join(r.dir, "state", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(audit)) {
		var rec struct{ Actor, Action, Result string }
		if err := json.Unmarshal([]byte(line), &rec); err != nil || rec.Actor != TokenName || rec.Action == "" || len(line) > 4096 {
			t.Errorf("audit log has %.300s", line)
		}
	}
	for line := range strings.Lines(r.log.String()) {
		if !strings.HasPrefix(line, "time=") || strings.ContainsAny(line, "\x00\x1b") {
			t.Errorf("log has %q", line)
		}
	}
}

// TestSlowReadersEnd: who asks for much and reads nothing does not hold a handler for ever.
func TestSlowReadersEnd(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.server.reading = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(15 * time.Second))
	request := "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
	// Pipelined until the agent gives up on us.
	for err == nil {
		_, err = io.WriteString(conn, strings.Repeat(request, 100))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the agent waits for whoever does not read")
	}
}

// TestAnOldDeadlineDoesNotCount: the time for one answer ends nothing that comes after it on the same connection.
func TestAnOldDeadlineDoesNotCount(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	r.server.reading = 100 * time.Millisecond
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	for _, c := range []struct {
		path, host string
		want       int
	}{{"/livez", "localhost", 200}, {"/nowhere", "localhost", 404}, {"/livez", "evil.example.com", 421}, {prefix + "/status", "localhost", 401}, {openAPIPath, "localhost", 200}} {
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.path, c.host); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != c.want {
			t.Errorf("%s = %d, %v, want %d", c.path, resp.StatusCode, err, c.want)
		}
		resp.Body.Close()
		<-time.After(150 * time.Millisecond) // the deadline of that answer passes
	}
}
