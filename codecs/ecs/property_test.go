package ecs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

type parsed struct {
	At      string `json:"@timestamp"`
	ECS     struct{ Version string }
	Message string
	Event   struct {
		ID, Kind, Outcome, Module, Dataset string
		Category, Type                     []string
		Severity                           int
		Risk                               json.Number `json:"risk_score"`
	}
	Host struct {
		ID   string
		Risk struct {
			Level string      `json:"calculated_level"`
			Score json.Number `json:"calculated_score"`
		}
	}
	Rule   struct{ Name string }
	Threat struct {
		Framework string
		Tactic    labels
		Technique struct {
			labels
			Sub labels `json:"subtechnique"`
		}
	}
	Related   struct{ Hosts []string }
	Zerotrust json.RawMessage
}

type labels struct{ ID, Name []string }

// parse reads one action and its document. Elasticsearch refuses an object
// that has a key twice, and so does this.
func parse(t interface{ Fatalf(string, ...any) }, out []byte) (action map[string]map[string]string, d parsed, raw []byte) {
	lines := bytes.SplitAfter(out, []byte("\n"))
	if len(lines) != 3 || len(lines[2]) != 0 {
		t.Fatalf("%d lines: %q", len(lines)-1, out)
	}
	for _, line := range lines[:2] {
		if err := unique(json.NewDecoder(bytes.NewReader(line))); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if err := json.Unmarshal(lines[0], &action); err != nil || len(action) != 1 {
		t.Fatalf("%v: %s", err, lines[0])
	}
	s := json.NewDecoder(bytes.NewReader(lines[1]))
	s.DisallowUnknownFields()
	if err := s.Decode(&d); err != nil && !strings.Contains(err.Error(), "unknown field") {
		t.Fatalf("%v: %s", err, lines[1])
	}
	return action, d, lines[1]
}

func unique(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil || token != json.Delim('{') && token != json.Delim('[') {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		if token == json.Delim('{') {
			key, err := d.Token()
			if err != nil {
				return err
			}
			if seen[key.(string)] {
				return fmt.Errorf("key %q twice", key)
			}
			seen[key.(string)] = true
		}
		if err := unique(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// A seasoned codec has encoded other events before.
type seasoned struct {
	*Codec
	config Config
}

func season(t interface{ Fatalf(string, ...any) }, config Config) seasoned {
	c, err := New(config)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return seasoned{c, config}
}

// fresh is what e becomes where no other event came before.
func (c seasoned) fresh(t interface{ Fatalf(string, ...any) }, e *agent.Event) []byte {
	out, err := season(t, c.config).Encode(nil, e)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func check(t interface{ Fatalf(string, ...any) }, c seasoned, p vectors.Parts) {
	e := p.Event()
	out, err := c.Encode(nil, e)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if unbiased := c.fresh(t, e); !bytes.Equal(out, unbiased) {
		t.Fatalf("%s, but %s had no event come before", out, unbiased)
	}
	action, d, _ := parse(t, out)
	if id, ok := action["create"]["_id"]; p.ID != "" && len(p.ID) <= MaxID && id != p.ID || len(id) > MaxID || ok != (p.ID != "") {
		t.Fatalf("_id %q of %q", id, p.ID)
	}
	if !bytes.Equal(d.Zerotrust, e.Body) {
		t.Fatalf("the original became %s, was %s", d.Zerotrust, e.Body)
	}
	message := p.Title
	if message == "" {
		message = map[string]string{"": "event", "risk_assessment": "Risk assessment", "compliance_check": "Compliance check"}[p.Type]
		if message == "" {
			message = p.Type
		}
	}
	dataset := "zerotrust." + p.Type
	if p.Type == "" {
		dataset = "zerotrust.event"
	}
	if d.Message != message || d.Event.ID != p.ID || d.Event.Dataset != dataset || d.Event.Module != "zerotrust" || d.Host.ID != p.Source || d.Rule.Name != p.Detector {
		t.Fatalf("%+v of %+v", d, p)
	}
	for _, l := range []struct {
		got  []string
		want string
	}{
		{d.Related.Hosts, p.Source},
		{d.Threat.Tactic.ID, p.Tactic},
		{slices.Concat(d.Threat.Technique.Sub.ID, d.Threat.Technique.ID)[:min(1, len(d.Threat.Technique.ID))], p.Technique},
	} {
		if len(l.got) > 1 || strings.Join(l.got, "") != l.want {
			t.Fatalf("%q, want %q, in %+v", l.got, l.want, d)
		}
	}
	if (d.Threat.Framework != "") != (p.Tactic+p.Technique != "") {
		t.Fatalf("framework %q in %+v", d.Threat.Framework, d)
	}
	if p.Type == "anomaly" || p.Type == "risk_assessment" {
		if d.Event.Risk.String() != fmt.Sprint(p.Score) {
			t.Fatalf("risk_score %s, want %d", d.Event.Risk, p.Score)
		}
	} else if d.Event.Risk != "" {
		t.Fatalf("risk_score %s", d.Event.Risk)
	}
}

func TestDocumentsAreReadAsTheyWereMeant(t *testing.T) {
	c := season(t, Config{App: "zerotrust", Index: "zt-{event_type}"})
	rapid.Check(t, func(t *rapid.T) { check(t, c, vectors.Draw(t)) })
}

func FuzzEncode(f *testing.F) {
	c := season(f, Config{App: "zerotrust", Index: "zt-{event_type}-%Y.%m.%d", Pipeline: "p", Routing: "{source}"})
	f.Add("ANO-1", "anomaly", "DEV-1", "Title", "T1110.001", "high")
	f.Add("\"},{", "../x\n", "\xff", "\x00\u2028", ".T", "\\")
	f.Fuzz(func(t *testing.T, id, typ, source, title, technique, level string) {
		check(t, c, vectors.Parts{ID: id, Type: typ, Source: source, Title: title, Technique: technique, Tactic: title, Level: level, Detector: id}.Valid())
	})
}

// FuzzMitre shows that no form of mitre_attack makes a document that is no JSON, and that none is taken for another.
func FuzzMitre(f *testing.F) {
	c := season(f, Config{App: "zerotrust"})
	f.Add([]byte(`[{"tactic":["TA0001",{"id":"TA0002","name":"x"}],"tactic_name":["a",null,1],"technique":"T1110.001","sub_technique":["T1110.002"]}]`))
	f.Add([]byte(`{"tactic":{"id":[]},"technique":[[],{},true,1e3],"technique_name":"n"}`))
	f.Fuzz(func(t *testing.T, mitre []byte) {
		body := append(append([]byte(`{"mitre_attack":`), mitre...), '}')
		if !json.Valid(body) || bytes.ContainsAny(body, "\n\r") || unique(json.NewDecoder(bytes.NewReader(body))) != nil {
			return
		}
		for range 2 {
			out, err := c.Encode(nil, &agent.Event{Body: body})
			if err != nil {
				t.Fatal(err)
			}
			parse(t, out)
			if fresh := c.fresh(t, &agent.Event{Body: body}); !bytes.Equal(out, fresh) {
				t.Fatalf("%s, but %s had no event come before", out, fresh)
			}
		}
	})
}

func TestFormsOfAttack(t *testing.T) {
	c := season(t, Config{App: "zerotrust"})
	for mitre, want := range map[string]string{
		`{"tactic":"TA0006"}`:              `"tactic":{"id":["TA0006"]}`,
		`{"technique_name":"Brute Force"}`: `"technique":{"name":["Brute Force"]}`,
		`{"tactic":["TA0006","TA0001","TA0006"],"tactic_name":["A","B"],"technique":["T1110.001","T1110.002"]}`:                        `"tactic":{"id":["TA0006","TA0001"],"name":["A","B"]},"technique":{"id":["T1110"],"subtechnique":{"id":["T1110.001","T1110.002"]}}`,
		`[{"technique":{"id":"T1110","name":"Brute Force"},"sub_technique":"T1110.001","sub_technique_name":"x"},{"tactic":"TA0001"}]`: `"tactic":{"id":["TA0001"]},"technique":{"id":["T1110"],"name":["Brute Force"],"subtechnique":{"id":["T1110.001"],"name":["x"]}}`,
		`{"tactic":7,"technique":"x.1"}`: `"tactic":{"id":["7"]},"technique":{"id":["x.1"]}`,
		`"T1110"`:                        ``, `[]`: ``, `{"tactic":[null,[],{}]}`: ``, `{"other":1}`: ``,
	} {
		e := &agent.Event{Body: []byte(`{"mitre_attack":` + mitre + `}`)}
		out := c.fresh(t, e)
		for range 3 {
			if known, err := c.Encode(nil, e); err != nil || !bytes.Equal(known, out) {
				t.Errorf("%v: %s, but %s had no event come before", err, known, out)
			}
		}
		parse(t, out)
		if want != "" {
			want = `,"threat":{"framework":"MITRE ATT&CK",` + want + `}`
		}
		if want += `,"zerotrust":{"mitre`; !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s:\n got %s\nwant %s", mitre, out, want)
		}
	}
}

func TestRiskOfTheHost(t *testing.T) {
	var r fields.Repairs
	c, err := New(Config{App: "zerotrust", Repairs: &r})
	if err != nil {
		t.Fatal(err)
	}
	for risk, want := range map[string]string{
		`{"level":"CRITICAL","total_score":90.50}`:        `"risk_score":90.50},"host":{"risk":{"calculated_level":"Critical","calculated_score":90.50}}`,
		`{"level":"very-high"}`:                           `"severity":0},"host":{"risk":{"calculated_level":"very-high"}}`,
		`{"level":"é"}`:                                   `"severity":0},"host":{"risk":{"calculated_level":"é"}}`,
		`{"level":7,"total_score":1}`:                     `"risk_score":1},"host":{"risk":{"calculated_level":"7","calculated_score":1}}`,
		`{"total_score":3.5e38}`:                          `"severity":0},"zerotrust":`,
		`{"total_score":3.4e38}`:                          `"risk_score":3.4e38},"host":{"risk":{"calculated_score":3.4e38}}`,
		`{"total_score":"75"}`:                            `"severity":0},"zerotrust":`,
		`{"total_score":` + strings.Repeat("9", 40) + `}`: `"severity":0},"zerotrust":`,
	} {
		out, err := c.Encode(nil, &agent.Event{Type: []byte("risk_assessment"), Body: []byte(`{"risk":` + risk + `}`)})
		if err != nil {
			t.Fatal(err)
		}
		parse(t, out)
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s:\n got %s\nwant %s", risk, out, want)
		}
	}
	if n := r.Count(fields.NotNumber); n != 6 {
		t.Errorf("%d numbers left out", n)
	}
}

// The same bytes say something else beside other keys, or another mitre_attack.
func TestAttacksOfTheSameBytesAreToldApart(t *testing.T) {
	c := season(t, Config{App: "zerotrust"})
	for range 100 {
		for _, attack := range []string{
			`{"tactic":"T1","technique":"T2"}`, `{"sub_technique":"T1","technique":"T2"}`, `{"technique_name":"T1","technique":"T2"}`, `{"technique":"T2"}`, `{"tactic":"T1"}`, `{"tactic":"T3"}`, `["T2"]`,
			`{"tactic":"T1"},"mitre_attack":{"technique":"T2"}`, `{"tactic":"T3"},"mitre_attack":{"technique":"T2"}`,
			`{"tactic":"T1"},"mitre_attack":[{"technique":"T2"}]`, `[{"technique":"T2"}]`, `[{"technique":"T2"}],"mitre_attack":{"tactic":"T3"}`, `[{"technique":"T2"}],"mitre_attack":"T3"`,
		} {
			e := &agent.Event{Body: []byte(`{"mitre_attack":` + attack + `}`)}
			out, err := c.Encode(nil, e)
			if fresh := c.fresh(t, e); err != nil || !bytes.Equal(out, fresh) {
				t.Fatalf("%v: %s, but %s had no event come before", err, out, fresh)
			}
		}
	}
}
