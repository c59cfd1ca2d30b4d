package splunk

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

func TestConfig(t *testing.T) {
	f := func(text, wantKey string) {
		t.Helper()
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		spec, ok := agent.OutputKind("splunk")
		if !ok {
			t.Fatal("splunk is not registered")
		}
		ps := &agent.Problems{}
		spec.Decode(ps, doc.Content[0], nil)
		var got string
		if len(ps.List) > 0 {
			got = ps.List[0].Message
		}
		if (wantKey == "") != (got == "") || !strings.Contains(got, wantKey) {
			t.Errorf("%s\n%q, want %q", text, got, wantKey)
		}
	}
	good := "endpoint: https://s:8088\ntoken: T\n"
	f(good, "")
	f(good+"index: zt-{event_type}\nsourcetype: _json\nsource: s\nhost: h\nack: true\nmode: event\nfields: {a: b}\ncompression: gzip\nproxy: http://p:1\ntls: {verify: false}", "")
	f("endpoint: [https://s:8088, https://t:8088]\ntoken: T\nmode: raw", "")
	f("endpoint: https://s:8088", `"token" is missing`)
	f("token: T", `"endpoint" is missing`)
	f("endpoint: s:8088\ntoken: T", "has no scheme")
	f(good+"mode: row", "not a value")
	f(good+"index: '{event_type}'", "fixed text")
	f(good+"index: UPPER", "cannot be part")
	f(good+"mode: raw\nindex: a-{event_type}", "mode raw")
	f(good+"mode: raw\nfields: {a: b}", "mode raw")
	f(good+"tls: {key_file: x}", "private key")
}
