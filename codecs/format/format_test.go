package format

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/adrian207/siemd/codecs/json"
)

var update = flag.Bool("update", false, "write the golden files")

func rawRecords(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/raw.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

func kindOf(raw []byte) string {
	v, _ := json.Get(raw, "event_type")
	return string(json.Text(nil, v))
}

func TestGolden(t *testing.T) {
	var got []byte
	for i, raw := range rawRecords(t) {
		out, changed := Format([]byte("x"), kindOf(raw), raw)
		if !changed || out[0] != 'x' || !stdjson.Valid(out[1:]) {
			t.Fatalf("record %d: changed %v: %s", i+1, changed, out)
		}
		if again, changed := Format(nil, kindOf(raw), out[1:]); changed {
			t.Errorf("record %d: what was formatted is formatted again: %s", i+1, again)
		}
		got = append(append(got, out[1:]...), '\n')
	}
	const golden = "testdata/formatted.jsonl"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A driver may give booleans as texts; what a check found does not depend on that.
func TestTruth(t *testing.T) {
	f := func(compliant, severity, before string) {
		t.Helper()
		out, _ := Format(nil, "compliance_check", []byte(`{"recorded_at":"x","is_compliant":`+compliant+`,"status_changed":false}`))
		if !bytes.Contains(out, []byte(`"severity":"`+severity+`"`)) || !bytes.Contains(out, []byte(`"previously_compliant":`+before)) {
			t.Errorf("compliant %s: %s", compliant, out)
		}
	}
	f("true", "info", "true")
	f("1", "info", "true")
	f(`"true"`, "info", "true")
	f("false", "medium", "false")
	f(`"false"`, "medium", "false")
	f("0", "medium", "false")
}

func TestNotRaw(t *testing.T) {
	tests := []struct{ name, kind, raw string }{
		{"other type", "telemetry", `{"anomaly_id":"A"}`},
		{"no raw key", "anomaly", `{"event_id":"A","title":"x"}`},
		{"raw key is null", "anomaly", `{"anomaly_id":null}`},
		{"key of another kind", "anomaly", `{"assessment_id":"A"}`},
		{"nested already", "anomaly", `{"anomaly_id":"A","anomaly":{"type":"x"}}`},
		{"nested risk", "risk_assessment", `{"assessment_id":"A","risk":{}}`},
		{"half of compliance", "compliance_check", `{"recorded_at":"x"}`},
		{"other half", "compliance_check", `{"is_compliant":true}`},
		{"no object", "anomaly", `[1]`},
		{"nothing", "anomaly", ``},
	}
	for _, tt := range tests {
		if out, changed := Format([]byte("x"), tt.kind, []byte(tt.raw)); changed || string(out) != "x" {
			t.Errorf("%s: %s, changed %v", tt.name, out, changed)
		}
	}
}

func TestRiskFactorCount(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{`{"assessment_id":"A","risk_factors":["a","b"]}`, `"risk_factor_count":2`},
		{`{"assessment_id":"A","risk_factors":["a","b"],"risk_factor_count":2}`, `"risk_factor_count":2`},
		{`{"assessment_id":"A","risk_factor_count":3}`, `"risk_factor_count":3`},
	} {
		out, _ := Format(nil, Risk, []byte(tt.raw))
		if !bytes.Contains(out, []byte(tt.want)) || bytes.Count(out, []byte("risk_factor_count")) != 1 {
			t.Errorf("%s gives %s", tt.raw, out)
		}
	}
}

func TestSign(t *testing.T) {
	f := func(value string, want int) {
		t.Helper()
		if got := signOf([]byte(value)); got != want {
			t.Errorf("signOf(%s) = %d, want %d", value, got, want)
		}
	}
	f(`30`, 1)
	f(`-0.01`, -1)
	f(`0`, 0)
	f(`-0.0`, 0)
	f(`0e5`, 0)
	f(`1E-9`, 1)
	f(`"-3"`, -1)
	f(`null`, 0)
	f(``, 0)
	f(`"x1"`, 0)
}

// FuzzFormat holds that no member of a record is lost and that the result is an event.
func FuzzFormat(f *testing.F) {
	for _, raw := range rawRecords(f) {
		f.Add(raw)
	}
	f.Add([]byte(`{"anomaly_id":1,"\u0061nomaly_type":"network","status":{},"unmapped":[]}`))
	f.Add([]byte(`{"recorded_at":1,"is_compliant":`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, kind := range []string{Anomaly, Risk, Compliance} {
			out, changed := Format(nil, kind, raw)
			var in map[string]stdjson.RawMessage
			if !changed || stdjson.Unmarshal(raw, &in) != nil {
				continue
			}
			members := 0
			json.Walk(raw, func(_, _ []byte) bool { members++; return true })
			if members != len(in) {
				continue // duplicates, which never get here
			}
			var ev map[string]stdjson.RawMessage
			if err := stdjson.Unmarshal(out, &ev); err != nil {
				t.Fatalf("%s of %q: %s: %v", kind, raw, out, err)
			}
			if got := string(ev["event_type"]); got != `"`+kind+`"` {
				t.Errorf("event_type = %s", got)
			}
			n := 0
			json.Walk(out, func(_, _ []byte) bool { n++; return true })
			if n != len(ev) {
				t.Errorf("a key occurs twice in %s", out)
			}
			var aside map[string]stdjson.RawMessage
			stdjson.Unmarshal(ev["unmapped"], &aside)
			keys := map[string][]string{Anomaly: anomalyKeys[:], Risk: riskKeys[:], Compliance: complianceKeys[:]}[kind]
			for k, v := range in {
				if k == "event_type" || indexKey(keys, []byte(k)) >= 0 || json.IsAbsent(v) || bytes.ContainsRune([]byte(k), '\uFFFD') {
					continue
				}
				if !bytes.Equal(ev[k], v) && !bytes.Equal(aside[k], v) {
					t.Errorf("%s: %s is lost: %s", kind, k, out)
				}
			}
		}
	})
}

func BenchmarkFormat(b *testing.B) {
	raw := rawRecords(b)[0]
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Format(buf[:0], Anomaly, raw)
	}
}
