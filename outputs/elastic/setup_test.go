package elastic

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

func TestCloudID(t *testing.T) {
	f := func(id, want string) {
		t.Helper()
		got, err := cloudEndpoint(id)
		if err != nil || got != want {
			t.Errorf("cloudEndpoint(%q) = %q, %v, want %q", id, got, err, want)
		}
	}
	f("prod:dXMtZWFzdC0xLmF3cy5mb3VuZC5pbyRhYmMkZGVm", "https://abc.us-east-1.aws.found.io:443")
	f("prod:ZXhhbXBsZS5jb206OTI0MyRhYmMk", "https://abc.example.com:9243")
	for _, bad := range []string{"", "x", "x:%%", "x:YWJj"} {
		if got, err := cloudEndpoint(bad); err == nil {
			t.Errorf("cloudEndpoint(%q) = %q", bad, got)
		}
	}
	c := Defaults
	c.CloudID = "prod:ZXhhbXBsZS5jb206OTI0MyRhYmMk"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Endpoint = []string{"https://x:9200"}
	if err := c.Validate(); err == nil {
		t.Error("endpoint and cloud_id were taken together")
	}
}

func TestSetupWritesPolicyAndTemplate(t *testing.T) {
	f := func(root string, change func(*Config), wantPaths []string, wantInTemplate ...string) {
		t.Helper()
		var paths []string
		var template string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut {
				io.WriteString(w, root) //nolint:errcheck // a test server
				return
			}
			body, _ := io.ReadAll(r.Body)
			if !json.Valid(body) {
				t.Errorf("%s got %s", r.URL.Path, body)
			}
			paths = append(paths, r.URL.Path)
			if strings.Contains(r.URL.Path, "_index_template") {
				template = string(body)
			}
			io.WriteString(w, `{"acknowledged":true}`) //nolint:errcheck // a test server
		}))
		defer srv.Close()
		c := Defaults
		c.Endpoint = []string{srv.URL}
		change(&c)
		o, err := New(c, agent.Env{Name: "t", Kind: "output", Identity: agent.DefaultIdentity, Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Setup(t.Context(), func(s agent.Step) {
			if strings.Contains(s.Detail, "2562047h") {
				t.Errorf("%s took %s", s.Name, s.Detail)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if strings.Join(paths, " ") != strings.Join(wantPaths, " ") {
			t.Errorf("paths = %v, want %v", paths, wantPaths)
		}
		for _, want := range wantInTemplate {
			if !strings.Contains(template, want) {
				t.Errorf("the template lacks %s:\n%s", want, template)
			}
		}
	}
	es := `{"version":{"number":"8.17.0"}}`
	f(es, func(*Config) {}, []string{"/_ilm/policy/zerotrust-events", "/_index_template/zerotrust-events"}, `"zerotrust-events*"`, `"flattened"`, `"index.lifecycle.name":"zerotrust-events"`)
	f(es, func(c *Config) { c.DataStream = "true" }, []string{"/_ilm/policy/logs-zerotrust", "/_index_template/logs-zerotrust"}, `"data_stream":{}`, `["logs-zerotrust.*","logs-zerotrust-default"]`)
	f(es, func(c *Config) { c.Index, c.Schema = "zt-%Y.%m.%d", "raw" }, []string{"/_ilm/policy/zt", "/_index_template/zt"}, `"zt-*"`)
	f(`{"version":{"number":"2.11.0","distribution":"opensearch"}}`, func(*Config) {}, []string{"/_index_template/zerotrust-events"}, `"enabled":false`)
}
