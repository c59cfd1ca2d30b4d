package ecs

import (
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

const (
	hour = int64(3600e9)
	now  = int64(1761739200e9) // 2025-10-29T12:00:00Z
)

func TestActions(t *testing.T) {
	var r fields.Repairs
	long := strings.Repeat("x", 513)
	e := agent.Event{Time: now, Received: now, ID: []byte("A\"1"), Type: []byte("Alert"), Source: []byte("DEV-1")}
	with := func(change func(*agent.Event)) agent.Event {
		e := e
		change(&e)
		return e
	}
	for _, tt := range []struct {
		name   string
		config Config
		event  agent.Event
		want   string
	}{
		{"nothing", Config{}, agent.Event{}, `{"create":{}}`},
		{"id only", Config{}, e, `{"create":{"_id":"A\"1"}}`},
		{"no id", Config{Index: "i", NoID: true}, e, `{"create":{"_index":"i"}}`},
		{"routing only", Config{NoID: true, Routing: "r"}, e, `{"create":{"routing":"r"}}`},
		{"all", Config{Op: "index", Index: "i", Pipeline: "p\"", Routing: "{source}"}, e, `{"index":{"_index":"i","_id":"A\"1","routing":"DEV-1","pipeline":"p\""}}`},
		{"no source to route by", Config{Index: "i", Routing: "{source}"}, agent.Event{ID: []byte("1")}, `{"create":{"_index":"i","_id":"1"}}`},
		{"512 bytes", Config{Index: "i"}, with(func(e *agent.Event) { e.ID = []byte(long[:512]) }), `{"create":{"_index":"i","_id":"` + long[:512] + `"}}`},
		{
			"513 bytes",
			Config{Index: "i", Repairs: &r},
			with(func(e *agent.Event) { e.ID = []byte(long) }),
			`{"create":{"_index":"i","_id":"35ade0090e64e74d6ad04204009c23a4e34b82bdf0f4f317fbcc5f26f9b10241"}}`,
		},
		{"date and type", Config{Index: "zt-{event_type}-%Y.%m.%d"}, e, `{"create":{"_index":"zt-alert-2025.10.29","_id":"A\"1"}}`},
		{"a month ago is fine", Config{Index: "zt-%Y.%m.%d"}, with(func(e *agent.Event) { e.Time -= 30 * 24 * hour }), `{"create":{"_index":"zt-2025.09.29","_id":"A\"1"}}`},
		{"older is not", Config{Index: "zt-%Y.%m.%d", Repairs: &r}, with(func(e *agent.Event) { e.Time -= 30*24*hour + 1 }), `{"create":{"_index":"zt-2025.10.29","_id":"A\"1"}}`},
		{"tomorrow is fine", Config{Index: "zt-%Y.%m.%d"}, with(func(e *agent.Event) { e.Time += 24 * hour }), `{"create":{"_index":"zt-2025.10.30","_id":"A\"1"}}`},
		{"later is not", Config{Index: "zt-%Y.%m.%d-%H", Repairs: &r}, with(func(e *agent.Event) { e.Time += 24*hour + 1 }), `{"create":{"_index":"zt-2025.10.29-12","_id":"A\"1"}}`},
		{"a type that is no name", Config{Index: "zt-{event_type}-%Y.%m.%d", Repairs: &r}, with(func(e *agent.Event) { e.Type = []byte("a/b") }), `{"create":{"_index":"zt","_id":"A\"1"}}`},
		{"with a default", Config{Index: "zt-{event_type}", IndexDefault: "zt-other"}, with(func(e *agent.Event) { e.Type = []byte("*") }), `{"create":{"_index":"zt-other","_id":"A\"1"}}`},
		{"a data stream", Config{Index: "logs-zt.{event_type}-default", DataStream: true}, e, `{"create":{"_index":"logs-zt.alert-default","_id":"A\"1"}}`},
		{
			"a hyphen would move its parts",
			Config{Index: "logs-zt.{event_type}-default", IndexDefault: "logs-zt.other-default", DataStream: true},
			with(func(e *agent.Event) { e.Type = []byte("a-b") }), `{"create":{"_index":"logs-zt.other-default","_id":"A\"1"}}`,
		},
	} {
		tt.config.Schema = "raw"
		c, err := New(tt.config)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.event.Body = []byte(`{"@timestamp":1}`)
		got, err := c.Encode([]byte("."), &tt.event)
		if want := "." + tt.want + "\n" + `{"@timestamp":1}` + "\n"; err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.name, err, got, want)
		}
	}
	for _, want := range []struct {
		reason fields.Reason
		n      uint64
	}{{fields.IDHashed, 1}, {fields.DateClamped, 2}, {fields.RouteFallback, 1}} {
		if got := r.Count(want.reason); got != want.n {
			t.Errorf("%s counted %d times, want %d", want.reason, got, want.n)
		}
	}
}

// A document of an event that may not choose its index says so.
func TestDefaultIndexIsFlagged(t *testing.T) {
	c, err := New(Config{App: "zt", Index: "zt-{event_type}"})
	if err != nil {
		t.Fatal(err)
	}
	for eventType, flagged := range map[string]bool{"alert": false, "a/b": true} {
		got, err := c.Encode(nil, &agent.Event{Type: []byte(eventType), Body: []byte(`{"tags":["mine"]}`)})
		if err != nil || strings.Contains(string(got), `,"tags":["siemd_route"],"zt":{"tags":["mine"]}}`) != flagged {
			t.Errorf("%s: %v, %s", eventType, err, got)
		}
		parse(t, got) // no key is there twice
	}
}

func TestRawDocuments(t *testing.T) {
	c, err := New(Config{Schema: "raw"})
	if err != nil {
		t.Fatal(err)
	}
	const at = `"@timestamp":"2025-10-29T12:00:00.000Z"`
	for body, want := range map[string]string{
		`{}`:                      `{` + at + `}`,
		` { } `:                   `{` + at + `} `,
		`{"a":1}`:                 `{` + at + `,"a":1}`,
		`{ "a":{"@timestamp":1}}`: `{` + at + `,"a":{"@timestamp":1}}`,
		`{"@timestamp":null}`:     `{"@timestamp":null}`,
		`{"a":"@timestamp"}`:      `{` + at + `,"a":"@timestamp"}`,
		`{"\u0040timestamp":5}`:   `{"\u0040timestamp":5}`,
		`{"@timest\u0061mp":5}`:   `{"@timest\u0061mp":5}`,
	} {
		got, err := c.Encode(nil, &agent.Event{Time: now, Body: []byte(body)})
		if want = `{"create":{}}` + "\n" + want + "\n"; err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", body, err, got, want)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	for want, c := range map[string]Config{
		"app: \"host\"":     {App: "host"},
		"app: \".a\"":       {App: ".a"},
		"schema: ":          {Schema: "ocsf"},
		"op: \"update\"":    {Op: "update"},
		"op: a data":        {Op: "index", DataStream: true},
		"index: \"Z\"":      {Index: "Zt"},
		"index: {event":     {Index: "{event_type}"},
		"index: the name  ": {Index: "-{event_type}"},
		"index: \".{ev":     {Index: ".{event_type}"},
		"index: after %":    {Index: "zt-%y"},
		"index: { has":      {Index: "zt-{event_type"},
		"index: {other}":    {Index: "zt-{other}"},
		"index: the name":   {Index: strings.Repeat("x", 256)},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
}
