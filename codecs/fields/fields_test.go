package fields_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{}`, ""},
		{` { "title" : "a" , "description":"b"} `, `title="a" description="b"`},
		{`{"title":null,"description":""}`, ""},
		{`{"title":[],"description":[""],"risk_factors":[]}`, ""},
		{`{"title":[ ],"description":[ "" ]}`, ""},
		{`{"title":[ "a" ],"description":["",""]}`, `title=[ "a" ] description=["",""]`},
		{`{"title":"a","title":"b"}`, `title="b"`},
		{`{"t\u0069tle":"a","anomaly":{"\u0073core":1}}`, `title="a" score=1`},
		{`{"anomaly":{"type":"t","score":85.0,"x":{"score":1},"y":["]"]},"title":1}`, `title=1 type="t" score=85.0`},
		{`{"anomaly":"oops","detection":[],"risk":7,"title":"x"}`, `title="x"`},
		{`{"a":"\"title\":\"no\"","b":{"title":"no"},"c":["title","no"]}`, ""},
		{`{"a":{"}":"{"},"title":"x"}`, `title="x"`},
		{`{"anomaly":{},"title":"x"}`, `title="x"`},
		{`{"mitre_attack":{"tactic":"TA0006","technique":["T1"]},"title":"x"}`, `title="x" tactic=TA0006 technique=T1`},
	} {
		var f fields.Fields
		f.Read(&agent.Event{Type: []byte("anomaly"), Body: []byte(tt.body)})
		if got := show(&f); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.body, got, tt.want)
		}
	}
}

// Keys are recognised in two ways, by how they are written: both know the same.
func TestKeysMeanTheSameHoweverTheyAreWritten(t *testing.T) {
	for object, members := range map[string]string{
		"":                "title description recommendations risk_factors mitre_attack event_id event_type source severity timestamp other",
		"anomaly":         "type score confidence baseline",
		"detection":       "method detector",
		"risk":            "total_score level previous_score score_change",
		"risk_components": "security_posture compliance vulnerability behavior",
		"compliance":      "is_compliant score policies_total policies_passed policies_failed",
		"violations":      "critical_policies",
		"mitre_attack":    "tactic tactic_name technique technique_name sub_technique subtechnique sub_technique_name subtechnique_name",
		"other":           "title score tactic",
	} {
		for _, m := range strings.Fields(members) {
			write := func(escape bool, space, after string) fields.Fields {
				quote := func(key string) string {
					if escape {
						key = fmt.Sprintf(`\u%04x`, key[0]) + key[1:]
					}
					return space + `"` + key + `"` + space + ":" + space
				}
				inner := quote(m) + `["a","b"]` + space
				if object != "" {
					inner = quote(object) + "{" + inner + "}" + space
				}
				body := "{" + inner + after + "}"
				if !json.Valid([]byte(body)) {
					t.Fatal(body)
				}
				var f fields.Fields
				f.Read(&agent.Event{Body: []byte(body)})
				return f
			}
			const after = `,"title":"a","other":{"title":"b","anomaly":{"score":[{"}":"]"}]}},"description":"c"`
			want := all(write(true, " \t", ""))
			for _, space := range []string{"", " "} {
				if got := all(write(false, space, "")); got != want {
					t.Errorf("%s.%s with %q: %s, want %s", object, m, space, got, want)
				}
				f, slow := write(false, space, after), write(true, space, after)
				if got, want := all(f), all(slow); got != want || string(f.Get(fields.Title)) != `"a"` || string(f.Get(fields.Description)) != `"c"` {
					t.Errorf("%s.%s with %q: %s, want %s", object, m, space, got, want)
				}
			}
			known := want != ""
			unknown := slices.Contains(strings.Fields("event_id event_type source severity timestamp other baseline"), m)
			if wanted := object != "other" && !unknown; known != wanted {
				t.Errorf("%s.%s: read: %v", object, m, known)
			}
		}
	}
}

func TestStringsEndWhereTheyEnd(t *testing.T) {
	for _, tail := range []string{"", `\"`, `\\`, `\\\"`, `\\\\`, `a\"b`, `\n`} {
		for pad := range 20 {
			for _, after := range []string{`}`, `,"description":"` + tail + `"}`, `,"x":["` + tail + `","` + tail + `"]}`} {
				want := `"` + strings.Repeat("x", pad) + tail + `"`
				body := `{"y":{"z":` + want + `},"title":` + want + after
				var f fields.Fields
				f.Read(&agent.Event{Body: []byte(body)})
				if f.Get(fields.Title) == nil && want == `""` {
					continue
				}
				if string(f.Get(fields.Title)) != want || !json.Valid([]byte(body)) {
					t.Errorf("title is %s in %s", f.Get(fields.Title), body)
				}
			}
		}
	}
}

// all is every value of f.
func all(f fields.Fields) string {
	var b strings.Builder
	for n := fields.Title; n < fields.Names; n++ {
		if v := f.Get(n); v != nil {
			fmt.Fprintf(&b, "%d=%s ", n, v)
		}
	}
	return b.String()
}

func show(f *fields.Fields) string {
	var all []string
	for _, m := range []struct {
		name string
		v    fields.Value
	}{{"title", f.Get(fields.Title)}, {"description", f.Get(fields.Description)}, {"type", f.Get(fields.AnomalyType)}, {"score", f.Get(fields.AnomalyScore)}} {
		if m.v != nil {
			all = append(all, m.name+"="+string(m.v))
		}
	}
	for _, m := range []struct {
		name string
		part fields.Part
	}{{"tactic", fields.Tactics}, {"technique", fields.Techniques}} {
		mitre, _ := f.Mitre()
		if s := mitre.AppendText(nil, m.part); len(s) > 0 {
			all = append(all, fmt.Sprintf("%s=%s", m.name, s))
		}
	}
	return strings.Join(all, " ")
}

// FuzzRead compares with encoding/json, and shows that what is no JSON does no harm.
func FuzzRead(f *testing.F) {
	for _, v := range vectors.Load(f, "*") {
		f.Add(v.Raw(f))
	}
	f.Add([]byte(`{"title":"\\","anomaly":{"score":[{"]}":1}],"type":"x"},"risk_factors":["a"]}`))
	f.Add([]byte(`{"title":"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got fields.Fields
		got.Read(&agent.Event{Body: body})
		mitre, _ := got.Mitre()
		for _, p := range []fields.Part{fields.Tactics, fields.Techniques, fields.SubTechniques} {
			mitre.AppendText(nil, p)
		}
		var want struct {
			Title, Description json.RawMessage
			Factors            json.RawMessage `json:"risk_factors"`
		}
		type object = map[string]json.RawMessage
		var all object
		if !json.Valid(body) || json.Unmarshal(body, &all) != nil {
			return
		}
		want.Title, want.Description, want.Factors = all["title"], all["description"], all["risk_factors"]
		var anomaly object
		score := got.Get(fields.AnomalyScore)
		if bytes.Count(body, []byte(`"anomaly"`)) == 1 && !bytes.Contains(body, []byte(`\u00`)) {
			_ = json.Unmarshal(all["anomaly"], &anomaly) // what is no object has no members
		} else {
			score = nil
		}
		for _, m := range []struct {
			name string
			got  fields.Value
			want json.RawMessage
		}{
			{"title", got.Get(fields.Title), want.Title},
			{"description", got.Get(fields.Description), want.Description},
			{"risk_factors", got.Get(fields.RiskFactors), want.Factors},
			{"score", score, anomaly["score"]},
		} {
			if string(m.want) == "null" || string(m.want) == `""` {
				m.want = nil
			}
			if !bytes.Equal(m.got, m.want) {
				t.Errorf("%s is %q, want %q, in %q", m.name, m.got, m.want, body)
			}
		}
	})
}

func TestSeverityTable(t *testing.T) {
	v := vectors.Load(t, "severity-table")[0]
	var rows []struct {
		Input, Name            string
		Syslog, CEF, LEEF, ECS int
	}
	if err := json.Unmarshal(v.Expect["rows"], &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, body := range []string{`{"severity":%q}`, `{"anomaly":{"severity":%q}}`, `{"risk":{"level":%q}}`} {
			e := vectors.Event(t, fmt.Appendf(nil, body, row.Input))
			got := fmt.Sprint(fields.SeverityName(e.Severity), fields.SyslogSeverity(e.Severity), fields.CEFSeverity(e.Severity), fields.ECSSeverity(e.Severity))
			if want := fmt.Sprint(row.Name, row.Syslog, fmt.Sprint(row.CEF), fmt.Sprint(row.ECS)); got != want || row.CEF != row.LEEF {
				t.Errorf("%q: %s, want %s", row.Input, got, want)
			}
		}
	}
	if fields.SeverityName(agent.Unset) != "informational" || fields.SeverityName(agent.Critical+1) != "critical" {
		t.Error("severities off the scale do not count as its ends")
	}
}

func TestRepairs(t *testing.T) {
	var none *fields.Repairs
	none.Add(fields.Truncated)
	if none.Count(fields.Truncated) != 0 {
		t.Error("nobody counted something")
	}
	var r fields.Repairs
	seen := map[string]bool{}
	for i, why := range fields.Reasons() {
		for range i {
			r.Add(why)
		}
		if r.Count(why) != uint64(i) || why.String() == "" || seen[why.String()] {
			t.Errorf("reason %d, %q: %d", i, why, r.Count(why))
		}
		seen[why.String()] = true
	}
}

func TestAHugeListIsReadInOnePass(t *testing.T) {
	list := func(text string) string { return `["` + strings.Repeat(text+`","`, 200_000) + `x"]` }
	body := `{"mitre_attack":{"tactic":` + list("a") + `,"tactic_name":` + list("b") + `}}`
	var f fields.Fields
	f.Read(&agent.Event{Body: []byte(body)})
	n := 0
	mitre, _ := f.Mitre()
	mitre.Each(fields.Tactics, func(l fields.Label) {
		if l.ID != nil && l.Name != nil {
			n++
		}
	})
	if n != 200_001 { // at a second for each, if the names were counted off anew for every id
		t.Errorf("%d labels", n)
	}
}

func BenchmarkRead(b *testing.B) { vectors.Encode(b, reader{}) }

// reader measures Read alone.
type reader struct{}

func (reader) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	f.Read(e)
	return append(dst, f.Get(fields.Title)...), nil
}
