package elastic

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

func TestConfig(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		spec, _ := agent.OutputKind("elastic")
		ps := &agent.Problems{}
		spec.Decode(ps, doc.Content[0], nil)
		got := ""
		if len(ps.List) > 0 {
			got = ps.List[0].Message
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s\n%q, want %q", text, got, want)
		}
	}
	good := "endpoint: https://e:9200\n"
	f(good, "")
	f(good+"username: u\npassword: p\nindex: zt-%Y.%m.%d\nop: index\npipeline: p\nschema: raw\ncompression: gzip", "")
	f(good+"api_key: a:b\ndata_stream: true\nindex: logs-a.{event_type}-default", "")
	f(good+"data_stream: logs-a.b-c", "")
	f(good+"data_stream: false\nindex: a\nop: index", "")
	f("index: a", `"endpoint" is missing`)
	f(good+"username: u", "needs its password")
	f(good+"password: u", "needs its username")
	f(good+"username: u\npassword: p\napi_key: k", "api_key and a username")
	f(good+"op: update", "not a value")
	f(good+"schema: json", "not a value")
	f(good+"data_stream: a\nop: index", "takes only create")
	f(good+"data_stream: a\nindex: b", "both name a target")
	f(good+"index: UPPER", "cannot be part")
	f(good+"index: '{event_type}'", "fixed text")
}

// An event whose type cannot be part of a data stream's name goes to a data stream all the same.
func TestDataStreamOfOtherEvents(t *testing.T) {
	f := func(stream, index, want string) {
		t.Helper()
		c := Defaults
		c.DataStream, c.Index = stream, index
		if got := c.otherwise(agent.DefaultIdentity); got != want {
			t.Errorf("data_stream %q, index %q: %q, want %q", stream, index, got, want)
		}
	}
	f("true", "", "logs-zerotrust-default")
	f("logs-zt.{event_type}-prod", "", "logs-zt-prod")
	f("true", "logs-{event_type}-default", "logs-other-default")
	f("logs-zt.a-{source}", "", "logs-zt.a-other")
	f("logs-zt-%Y", "", "logs-zt-other")
	f("logs-zt-default", "", "")
	f("", "zt-{event_type}", "")
}
