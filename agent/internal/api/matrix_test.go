package api

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAuthorizationMatrix sends every operation of the OpenAPI document, as it is
// served, with no token, a wrong one, one of the wrong kind, one that may read and
// one that may write, and over the socket.
func TestAuthorizationMatrix(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	var doc struct {
		Paths map[string]map[string]struct {
			Scope    string                `json:"x-scope"`
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(r.want(200, "GET", openAPIPath, "", "Authorization", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	socket := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(r.dir, "state", SocketName))
	}}
	defer socket.CloseIdleConnections()
	parameter := regexp.MustCompile(`\{[a-z]+\}`)
	n := 0
	for path, item := range doc.Paths {
		for method, op := range item {
			n++
			method := strings.ToUpper(method)
			target := parameter.ReplaceAllString(path, "nobody")
			if strings.HasSuffix(path, "/tap") {
				target += "?connection=nobody" // else it would not end
			}
			open := !strings.HasPrefix(path, "/api/v1/") // of those, what needs a token elsewhere needs none on loopback
			if op.Scope != "none" && len(op.Security) == 0 || op.Scope != "none" && op.Scope != "read" && op.Scope != "write" {
				t.Errorf("%s %s: scope %q, security %v", method, path, op.Scope, op.Security)
			}
			if !open && op.Scope == "none" {
				t.Errorf("%s %s needs no token", method, path)
			}
			if method != "GET" && op.Scope != "write" {
				t.Errorf("%s %s changes something and wants scope %s", method, path, op.Scope)
			}
			for who, token := range map[string]string{
				"no": "", "wrong": "Bearer wrong", "empty": "Bearer ", "basic": "Basic " + readToken, "bare": readToken, "longer": "Bearer " + readToken + "x",
				"read": "Bearer " + readToken, "write": "Bearer " + writeToken, "own": "Bearer " + r.token,
			} {
				want := 0 // anything but a refusal
				switch who {
				case "no", "wrong", "empty", "basic", "bare", "longer":
					if !open {
						want = http.StatusUnauthorized
					}
				case "read":
					if op.Scope == "write" {
						want = http.StatusForbidden
					}
				}
				r.server.failures = failures{} // so many wrong tokens are not to be limited here
				a := r.call(method, target, "", "Authorization", token)
				if want != 0 && a.status != want || want == 0 && (a.status == 401 || a.status == 403 || a.status >= 500) {
					t.Errorf("%s %s with %s token = %v, want %d", method, path, who, a, want)
				}
				if a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: 401 without WWW-Authenticate", method, path)
				}
			}
			req, err := http.NewRequest(method, "http://siemd"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := socket.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == 401 || resp.StatusCode == 403 || resp.StatusCode >= 500 {
				t.Errorf("%s %s over the socket = %d", method, path, resp.StatusCode)
			}
		}
	}
	if n != len(routes()) || n < 30 {
		t.Errorf("the document has %d operations, %d are served", n, len(routes()))
	}
}
