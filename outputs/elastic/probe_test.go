package elastic

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

func TestProbe(t *testing.T) {
	answers := map[string]struct {
		status int
		body   string
	}{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/_bulk" && r.ContentLength > 0 {
			t.Error("the probe wrote something")
		}
		a := answers[r.URL.Path]
		w.WriteHeader(max(a.status, 200))
		io.WriteString(w, a.body)
	})
	f := func(want, detail string) {
		t.Helper()
		var steps, details []string
		o, _ := newOutput(t, url, nil)
		err := o.Probe(t.Context(), func(s agent.Step) {
			text := s.Name
			if s.Err != nil {
				text += "!"
				if s.Fix == "" {
					t.Errorf("%+v has no fix", s)
				}
			}
			steps, details = append(steps, text), append(details, s.Detail)
		})
		if got := strings.Join(steps, " "); got != want || (err != nil) != strings.HasSuffix(want, "!") {
			t.Errorf("steps %s, error %v, want %s", got, err, want)
		}
		if all := strings.Join(details, "\n"); !strings.Contains(all, detail) {
			t.Errorf("details\n%s\nwant %q", all, detail)
		}
	}
	set := func(path string, status int, body string) {
		answers[path] = struct {
			status int
			body   string
		}{status, body}
	}
	set("/", 200, `{"version":{"number":"8.17.0"},"tagline":"You Know, for Search"}`)
	set("/_security/user/_has_privileges", 200, `{"has_all_requested":true}`)
	f("dns tcp clock auth permission", "may write zerotrust-events")
	f("dns tcp clock auth permission", "Elasticsearch 8.17.0")
	set("/_security/user/_has_privileges", 200, `{"has_all_requested":false}`)
	f("dns tcp clock auth permission!", "may not write")
	set("/_security/user/_has_privileges", 404, `{}`)
	set("/_bulk", 400, `{"error":{"type":"parse_exception","reason":"request body is required"}}`)
	f("dns tcp clock auth permission", "shows with the first event")
	set("/_bulk", 403, `{}`)
	f("dns tcp clock auth permission!", "not allowed")
	set("/", 200, `{"version":{"number":"2.19.0","distribution":"opensearch"}}`)
	set("/_bulk", 400, `{}`)
	f("dns tcp clock auth permission", "OpenSearch 2.19.0")
	set("/", 403, `{}`)
	f("dns tcp clock auth permission", "may not ask")
	set("/", 401, `{}`)
	f("dns tcp clock auth!", "refused")
	set("/", 200, `<html>Kibana</html>`)
	f("dns tcp clock auth!", "neither")
}
