package intake

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

func decodeCommon(t *testing.T, text string) (Common, *agent.Problems) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	ps := &agent.Problems{File: "f.yaml"}
	var c Common
	agent.Decode(ps, doc.Content[0], &c)
	return c, ps
}

func TestCommonDecodes(t *testing.T) {
	c, ps := decodeCommon(t, `
event_type: telemetry
severity: low
fields:
  site: berlin
  rack: 12
  ratio: 1.50
  hex: 0x10
  on: true
  none: null
  "quo\"te": "1"
  tags: [a, 2, {b: ~}]
  when: 2025-10-29
`)
	if len(ps.List) > 0 {
		t.Fatal(ps.List)
	}
	if c.EventType != "telemetry" || c.Severity != agent.Low {
		t.Errorf("%+v", c)
	}
	var got []string
	for _, f := range c.Fields {
		got = append(got, string(f.Member))
	}
	want := `"hex":16 "none":null "on":true "quo\"te":"1" "rack":12 "ratio":1.50 "site":"berlin" "tags":["a",2,{"b":null}] "when":"2025-10-29"`
	if g := strings.Join(got, " "); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestCommonReportsMistakes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, ps := decodeCommon(t, text)
		if len(ps.List) != 1 || !strings.Contains(fmt.Sprint(ps.List[0]), want) {
			t.Errorf("%s: %v, want %s", text, ps.List, want)
		}
	}
	f("severity: hgih", "f.yaml:1:11: error: \"hgih\" is not a severity")
	f("fields: [a]", "f.yaml:1:9: error: want a map")
	f("fields: {event_id: x}", "f.yaml:1:10: error: an id is never the same")
	f("fields:\n  a: 1\n  a: 2", "f.yaml:3:3: error: key \"a\" is given twice")
	f("fields: {a: .nan}", "f.yaml:1:13: error: .nan is no number in JSON")
	f("fields: {a: {b: 1, b: 2}}", "key \"b\" is given twice")
	f("fields: {a: &x [*x]}", "nested too deeply")
}
