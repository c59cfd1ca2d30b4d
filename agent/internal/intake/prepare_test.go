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

func BenchmarkPrepare(b *testing.B) {
	line := []byte(`{"event_id":"ANO-7F3A9C21","timestamp":"2025-10-29T12:00:00Z","event_type":"anomaly","source":"DEV-123","severity":"high","anomaly":{"type":"authentication","severity":"high","score":85.0,"confidence":0.92},"detection":{"method":"statistical","detector":"auth_detector"},"title":"Unusual authentication","description":"37 failed logins within five minutes","mitre_attack":{"tactic":"TA0006","technique":"T1110"}}`)
	p := Preparer{}
	var e agent.Event
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := p.Prepare(&e, line, "", 0, received); refusal != nil {
			b.Fatal(refusal.Detail)
		}
	}
}
