package intake

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

const received = 1761739205250000000

func TestPrepare(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		common     Common
		want       agent.Event // ID, Type, Source and Body as given; Time 0: received
		body       string      // empty: the line
	}{
		{
			name: "plain", line: `{"event_id":"a","timestamp":"2025-10-29T12:00:00Z","event_type":"alert","source":"h","severity":"HIGH"}`,
			want: agent.Event{ID: []byte("a"), Time: 1761739200e9, Type: []byte("alert"), Source: []byte("h"), Severity: agent.High},
		},
		{name: "nothing stated", line: `{"event_id":"a"}`, want: agent.Event{ID: []byte("a"), Severity: agent.Informational}},
		{
			name: "defaults of the input", line: `{"event_id":"a"}`, common: Common{EventType: "telemetry", Severity: agent.Low},
			want: agent.Event{ID: []byte("a"), Type: []byte("telemetry"), Severity: agent.Low},
		},
		{name: "severity of the anomaly", line: `{"event_id":"a","anomaly":{"severity":"critical"}}`, want: agent.Event{ID: []byte("a"), Severity: agent.Critical}},
		{name: "level of the risk", line: `{"event_id":"a","risk":{"x":{"level":"low"},"level":"medium"}}`, want: agent.Event{ID: []byte("a"), Severity: agent.Medium}},
		{name: "number for an id", line: `{"event_id":17}`, want: agent.Event{ID: []byte("17"), Severity: agent.Informational}},
		{name: "escaped id", line: `{"event_id":"a\tb"}`, want: agent.Event{ID: []byte("a\tb"), Severity: agent.Informational}},
		{
			name: "last of two", line: `{"event_id":"a","x":{"k":1,"k":2},"event_id":"b"}`, body: `{"x":{"k":2},"event_id":"b"}`,
			want: agent.Event{ID: []byte("b"), Severity: agent.Informational},
		},
		{
			name: "two spellings of one key", line: `{"event_id":"a","k":1,"\u006b":2}`, body: `{"event_id":"a","\u006b":2}`,
			want: agent.Event{ID: []byte("a"), Severity: agent.Informational},
		},
		{
			name: "bad text", line: "{\"event_id\":\"a\",\"x\":\"\xff\",\"y\":\"\\ud800\",\"z\":1.50}", body: `{"event_id":"a","x":"�","y":"�","z":1.50}`,
			want: agent.Event{ID: []byte("a"), Severity: agent.Informational},
		},
		{
			name: "pretty", line: "{\n \"event_id\": \"a\",\r\n\t\"x\": [1,\n2]\n}", body: `{"event_id":"a","x":[1,2]}`,
			want: agent.Event{ID: []byte("a"), Severity: agent.Informational},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Preparer{Input: "in", Common: tt.common}
			var e agent.Event
			_, refusal := p.Prepare(&e, []byte(tt.line), "", 0, received)
			if refusal != nil {
				t.Fatalf("refused: %s", refusal.Detail)
			}
			body := tt.body
			if body == "" {
				body = tt.line
			}
			if tt.want.Time == 0 {
				tt.want.Time = received
			}
			if string(e.Body) != body {
				t.Errorf("body = %s, want %s", e.Body, body)
			}
			if string(e.ID) != string(tt.want.ID) || string(e.Type) != string(tt.want.Type) || string(e.Source) != string(tt.want.Source) ||
				e.Severity != tt.want.Severity || e.Time != tt.want.Time {
				t.Errorf("id %q type %q source %q severity %v time %d, want %q %q %q %v %d", e.ID, e.Type, e.Source, e.Severity, e.Time,
					tt.want.ID, tt.want.Type, tt.want.Source, tt.want.Severity, tt.want.Time)
			}
		})
	}
}

func TestPrepareMakesTheSameIDForTheSameLine(t *testing.T) {
	p := Preparer{}
	made := func(line, origin string, offset int64) string {
		t.Helper()
		var e agent.Event
		notes, refusal := p.Prepare(&e, []byte(line), origin, offset, received)
		if refusal != nil || !notes.MadeID {
			t.Fatalf("refusal %v, notes %+v", refusal, notes)
		}
		var body struct {
			ID string `json:"event_id"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil || body.ID != string(e.ID) || body.ID == "" {
			t.Fatalf("id %q is not in the body %s: %v", e.ID, e.Body, err)
		}
		return body.ID
	}
	first := made(`{"x":1}`, "file", 10)
	if again := made(`{"x":1}`, "file", 10); again != first {
		t.Errorf("another id for the same line: %s, %s", first, again)
	}
	others := []string{made(`{"x":1}`, "file", 11), made(`{"x":1}`, "other", 10), made(`{"x":2}`, "file", 10), made(`{"x":1}`, "", 0), made(`{"x":1}`, "", 0)}
	for i, id := range others {
		if id == first {
			t.Errorf("case %d has the same id", i)
		}
	}
	if others[3] == others[4] {
		t.Error("random ids are the same")
	}
	made(`{"event_id":"","x":1}`, "f", 0)
	made(`{}`, "f", 0)
	p.Common.Fields = Fields{{Name: "x", Member: []byte(`"x":9`)}}
	made(`{"x":1}`, "f", 0) // a field that is there already, and an id that is not
}

// TestFieldsOfTheBatch: they come first, a name counts once, and what the event has stays.
func TestFieldsOfTheBatch(t *testing.T) {
	p := Preparer{Common: Common{Fields: Fields{{Name: "site", Member: []byte(`"site":"b"`)}, {Name: "sender", Member: []byte(`"sender":"config"`)}}}}
	f := func(line, want string, fields ...agent.Field) {
		t.Helper()
		p.Fields = fields
		var e agent.Event
		if _, refusal := p.Prepare(&e, []byte(line), "", 0, received); refusal != nil || string(e.Body) != want {
			t.Errorf("%s is %s, %v, want %s", line, e.Body, refusal, want)
		}
	}
	sender := agent.Field{Name: "sender", Member: []byte(`"sender":"batch"`)}
	f(`{"event_id":"1"}`, `{"event_id":"1","sender":"batch","site":"b"}`, sender)
	f(`{"event_id":"1","sender":"own"}`, `{"event_id":"1","sender":"own","site":"b"}`, sender)
	f(`{"event_id":"1"}`, `{"event_id":"1","site":"b","sender":"config"}`)
	p.Common.Fields = nil
	f(`{"event_id":"1"}`, `{"event_id":"1","sender":"batch"}`, sender)
	f(`{"event_id":"1"}`, `{"event_id":"1"}`)
}

func TestPrepareRefuses(t *testing.T) {
	f := func(line, reason string) {
		t.Helper()
		p := Preparer{MaxSize: 1000}
		var e agent.Event
		_, refusal := p.Prepare(&e, []byte(line), "", 0, received)
		if refusal == nil {
			t.Errorf("%.40q was taken", line)
		} else if refusal.Reason != reason {
			t.Errorf("%.40q: %s (%s), want %s", line, refusal.Reason, refusal.Detail, reason)
		}
	}
	f(`not json`, agent.ReasonNotJSON)
	f(`{"a":1`, agent.ReasonNotJSON)
	f(`{"a":1}}`, agent.ReasonNotJSON)
	f(`{"a":1} {"b":2}`, agent.ReasonNotJSON)
	f(`{"a":01}`, agent.ReasonNotJSON)
	f(`{"a":1.}`, agent.ReasonNotJSON)
	f("{\"a\":\"\x01\"}", agent.ReasonNotJSON)
	f("{\"a\":\"\x00\"}", agent.ReasonNotJSON)
	f(`{"a":"\x"}`, agent.ReasonNotJSON)
	f(`{"a":tru}`, agent.ReasonNotJSON)
	f(`{"a",1}`, agent.ReasonNotJSON)
	f(`[1]`, agent.ReasonNotObject)
	f(`"text"`, agent.ReasonNotObject)
	f(`17`, agent.ReasonNotObject)
	f(`null`, agent.ReasonNotObject)
	f(`{"a":"`+strings.Repeat("x", 1000)+`"}`, agent.ReasonTooLong)
	f(strings.Repeat(`{"a":`, 65)+"1"+strings.Repeat("}", 65), agent.ReasonTooDeep)
}

func TestPrepareMakesIDs(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		var p Preparer
		var e agent.Event
		if _, refusal := p.Prepare(&e, []byte(line), "o", 7, received); refusal != nil {
			t.Fatalf("%s: %+v", line, refusal)
		}
		if got := strings.ReplaceAll(string(e.Body), string(e.ID), "ID"); got != want || len(e.ID) != 38 || !strings.HasPrefix(string(e.ID), idPrefix) {
			t.Errorf("%s: id %s, body %s, want %s", line, e.ID, got, want)
		}
	}
	f(`{}`, `{"event_id":"ID"}`)
	f(` { } `, `{"event_id":"ID" }`)
	f(`{"a":1}`, `{"event_id":"ID","a":1}`)
	f(`{"a":1,"event_id":null,"b":2}`, `{"a":1,"event_id":"ID","b":2}`)
	f(`{"a":1,"event_id":""}`, `{"a":1,"event_id":"ID"}`)
	f(`{"a":1,"event_id" : [ ] }`, `{"a":1,"event_id" : "ID" }`)
	f(`{"event\u005fid":""}`, `{"event\u005fid":"ID"}`)
}

func TestPrepareFindsMembers(t *testing.T) {
	f := func(line, id, typ, source string, severity agent.Severity) {
		t.Helper()
		var p Preparer
		var e agent.Event
		if _, refusal := p.Prepare(&e, []byte(line), "o", 7, received); refusal != nil {
			t.Fatalf("%s: %+v", line, refusal)
		}
		if string(e.ID) != id || string(e.Type) != typ || string(e.Source) != source || e.Severity != severity {
			t.Errorf("%s: %q %q %q %v", line, e.ID, e.Type, e.Source, e.Severity)
		}
	}
	f(`{"event_id":17.50,"event_type":true,"source":{"ip": "::1"}}`, "17.50", "true", `{"ip":"::1"}`, agent.Informational)
	f(`{"event_id":["a","b"],"event_type":null,"source":"a\tb\u00e9"}`, "a; b", "", "a\tbé", agent.Informational)
	f(`{"event\u005fid":"a","event_\u0074ype":"alert","anomaly":{"\u0073everity":"high"}}`, "a", "alert", "", agent.High)
	f(`{"event_id":"a","severity":null,"anomaly":{"severity":""},"risk":{"level":"critical"}}`, "a", "", "", agent.Critical)
	f(`{"event_id":"a","severity":7,"anomaly":{"severity":"high"}}`, "a", "", "", agent.Informational)
	f(`{"event_id":"a","severity":" \u0048igh "}`, "a", "", "", agent.High)
}

func TestPrepareAddsFields(t *testing.T) {
	c, _ := decodeCommon(t, `{event_type: x, fields: {site: berlin, source: host1, severity: high, n: [1, 2]}}`)
	f := func(line, want string) {
		t.Helper()
		p := Preparer{Common: c}
		var e agent.Event
		if _, refusal := p.Prepare(&e, []byte(line), "o", 7, received); refusal != nil || string(e.Body) != want {
			t.Errorf("%s: %s, want %s", line, e.Body, want)
		}
	}
	f(`{"event_id":"a"}`, `{"event_id":"a","n":[1,2],"severity":"high","site":"berlin","source":"host1"}`)
	f(`{"event_id":"a","site":null,"n":0,"\u0073ource":"s","severity":"low"}`, `{"event_id":"a","site":null,"n":0,"\u0073ource":"s","severity":"low"}`)
	p := Preparer{Common: c}
	var e agent.Event
	notes, _ := p.Prepare(&e, []byte(`{}`), "o", 7, received)
	if !notes.Fields || string(e.Source) != "host1" || e.Severity != agent.High || string(e.Type) != "x" {
		t.Errorf("%+v: %s", notes, e.Body)
	}
}

func TestPrepareFormatsRawRecords(t *testing.T) {
	f := func(common Common, line, body string) {
		t.Helper()
		p := Preparer{Common: common, Identity: agent.Identity{Product: "P", Version: "2"}}
		var e agent.Event
		notes, refusal := p.Prepare(&e, []byte(line), "o", 7, received)
		if refusal != nil || string(e.Body) != body || notes.Formatted != (line != body) {
			t.Errorf("%s: %+v\n%s, want\n%s", line, notes, e.Body, body)
		}
	}
	const platform = `"platform":{"product":"P","module":"behavioral_analytics","version":"2"}`
	f(Common{}, `{"event_type":"anomaly","anomaly_id":"A","anomaly_severity":"high"}`,
		`{"event_id":"A","event_type":"anomaly","anomaly":{"severity":"high"},"detection":{},"recommendations":[],"status":{},`+platform+`}`)
	f(Common{EventType: "anomaly"}, `{"anomaly_id":"A"}`,
		`{"event_id":"A","event_type":"anomaly","anomaly":{},"detection":{},"recommendations":[],"status":{},`+platform+`}`)
	f(Common{}, `{"event_type":"anomaly","anomaly\u005fid":"A"}`,
		`{"event_id":"A","event_type":"anomaly","anomaly":{},"detection":{},"recommendations":[],"status":{},`+platform+`}`)
	f(Common{}, `{"event_id":"E","event_type":"alert","anomaly_id":"A"}`, `{"event_id":"E","event_type":"alert","anomaly_id":"A"}`)

	var p Preparer
	var e agent.Event
	p.Prepare(&e, []byte(`{"event_type":"risk_assessment","assessment_id":"R","risk_level":"high","assessment_time":"2025-10-29T12:00:00Z","device_id":"D"}`), "", 0, received)
	if string(e.ID) != "R" || e.Severity != agent.High || string(e.Source) != "D" || e.Time != 1761739200e9 {
		t.Errorf("%+v", e)
	}
}

func TestNotes(t *testing.T) {
	p := Preparer{}
	var e agent.Event
	notes, _ := p.Prepare(&e, []byte("{\"a\":1,\n\"a\":\"\xff\",\"timestamp\":\"x\"}"), "", 0, received)
	steps := strings.Join(notes.Steps(), "; ")
	for _, want := range []string{"U+FFFD", "line breaks", "twice", "event_id", "unreadable"} {
		if !strings.Contains(steps, want) {
			t.Errorf("%s: not in %s", want, steps)
		}
	}
	if notes.TimeNote() != "unreadable" {
		t.Error(notes.TimeNote())
	}
	if notes, _ := p.Prepare(&e, []byte(usual), "", 0, received); len(notes.Steps()) != 0 {
		t.Error(notes.Steps())
	}
}

func TestPrepareDoesNotAllocate(t *testing.T) {
	c, _ := decodeCommon(t, `{fields: {site: berlin}}`)
	for _, line := range []string{usual, `{"x":1}`, strings.Replace(usual, "authentication", "ÿ", 1)} {
		p := Preparer{Common: c}
		var e agent.Event
		text := []byte(line)
		prepare := func() { p.Prepare(&e, text, "origin", 1, received) }
		prepare()
		prepare()
		limit := 0.0
		if !strings.Contains(line, "event_id") {
			limit = 1 // under the race detector
		}
		if n := testing.AllocsPerRun(100, prepare); n > limit {
			t.Errorf("%.30s: %v allocations", line, n)
		}
	}
}

// FuzzPrepare holds what every event keeps, whatever the line: its body is one
// clean line of JSON with its id in it, nothing of the line is lost, and what
// went through once goes through again unchanged.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{
		usual, `{}`, "{\"a\":\n1}", `{"event_id":null}`, `{"event_type":"anomaly","anomaly_id":"x","status":1}`, `{"a":1,"\u0061":2}`,
		"{\"a\xff\":1,\"a\ufffd\":2}", `{"event_id":"a\ud800"}`, `{"event_type":"compliance_check","recorded_at":1,"is_compliant":false,"id":{}}`,
		`{"event_type":"risk_assessment","assessment_id":[]}`, `{"site":1,"s\u0069te":2}`, "\xef\xbb\xbf{}", `{"timestamp":1e9,"event\u005fid":""}`,
	} {
		f.Add([]byte(s))
	}
	c := Common{EventType: "anomaly", Fields: Fields{{Name: "site", Member: []byte(`"site":"b"`)}}}
	f.Fuzz(func(t *testing.T, line []byte) {
		p := Preparer{Common: c}
		var e agent.Event
		notes, refusal := p.Prepare(&e, line, "o", 1, received)
		if refusal != nil {
			return
		}
		var s scanner
		var d doc
		if fault := s.scan(e.Body, &d); fault.reason != "" || d.badText || d.breaks || d.duplicates {
			t.Fatalf("%q became %q: %+v", line, e.Body, fault)
		}
		var body map[string]any
		decode(t, e.Body, &body)
		if len(e.ID) == 0 || e.Time < 0 || e.Severity < agent.Informational {
			t.Fatalf("%q: %+v", line, e)
		}
		if id, ok := body["event_id"].(string); (notes.MadeID || ok) && id != string(e.ID) {
			t.Fatalf("%q: id %q is not in %q", line, e.ID, e.Body)
		}
		if !notes.Formatted {
			var before map[string]any
			decode(t, line[d0(line):], &before)
			if notes.MadeID {
				before["event_id"] = string(e.ID)
			}
			if _, ok := before["site"]; !ok {
				before["site"] = "b"
			}
			if !same(before, body) {
				t.Fatalf("%q became %q", line, e.Body)
			}
		}
		again := Preparer{Common: c}
		var e2 agent.Event
		notes2, refusal := again.Prepare(&e2, e.Body, "o", 1, received)
		if refusal != nil || string(e2.Body) != string(e.Body) || string(e2.ID) != string(e.ID) || e2.Time != e.Time || e2.Severity != e.Severity ||
			string(e2.Type) != string(e.Type) || string(e2.Source) != string(e.Source) || notes2.Duplicate || notes2.Formatted || notes2.MadeID {
			t.Fatalf("%q became %q and then %q (%+v)", line, e.Body, e2.Body, notes2)
		}
	})
}

// d0 is the length of a byte order mark.
func d0(line []byte) int {
	if strings.HasPrefix(string(line), "\xef\xbb\xbf") {
		return 3
	}
	return 0
}

func BenchmarkPrepare(b *testing.B) {
	for _, bench := range []struct{ name, line string }{
		{"usual", usual},
		{"no id", strings.Replace(usual, `"event_id":"ANO-7F3A9C21",`, "", 1)},
		{"duplicate", strings.Replace(usual, `"title"`, `"source"`, 1)},
		{"raw", `{"event_type":"anomaly","anomaly_id":"ANO-ABC123","device_id":"DEV-123","detected_at":"2025-10-29T12:00:00Z","anomaly_type":"authentication","anomaly_severity":"high","anomaly_score":85.0,"confidence":0.92}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			line := []byte(bench.line)
			var p Preparer
			var e agent.Event
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := p.Prepare(&e, line, "origin", 1, received); refusal != nil {
					b.Fatal(refusal.Detail)
				}
			}
		})
	}
}
