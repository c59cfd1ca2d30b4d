package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

// usual is an event as applications send them, of 423 bytes.
const usual = `{"event_id":"ANO-7F3A9C21","timestamp":"2025-10-29T12:00:00.123Z","event_type":"anomaly","source":"DEV-123","severity":"high","anomaly":{"type":"authentication","severity":"high","score":85.0,"confidence":0.92},"detection":{"method":"statistical","detector":"StatisticalDetector"},"title":"Excessive failed authentication attempts","recommendations":["Lock user account"],"mitre_attack":{"tactic":"TA0006","technique":"T1110"}}`

func TestScanFinds(t *testing.T) {
	var s scanner
	var d doc
	got := func(text string) string {
		t.Helper()
		if f := s.scan([]byte(text), &d); f.reason != "" {
			t.Fatalf("%s: %+v", text, f)
		}
		var parts []string
		for i, v := range d.value {
			if v.end > 0 {
				parts = append(parts, fmt.Sprintf("%d=%s", i, text[v.start:v.end]))
			}
		}
		return strings.Join(parts, " ")
	}
	f := func(text, want string) {
		t.Helper()
		if g := got(text); g != want {
			t.Errorf("%s: found %s, want %s", text, g, want)
		}
	}
	f(usual, `1="ANO-7F3A9C21" 2="2025-10-29T12:00:00.123Z" 3="anomaly" 4="DEV-123" 5="high" 6="high"`)
	f(`{"event_id":1,"timestamp":-2.5e+3,"event_type":null,"source":{"a":[{}]},"severity":[]}`, `1=1 2=-2.5e+3 3=null 4={"a":[{}]} 5=[]`)
	f(`{"x":{"event_id":1},"risk":{"level":"low","x":{"level":"no"}},"anomaly":[{"severity":1}],"level":2}`, `7="low"`)
	f(`{"anomaly":{"severity":"low"},"anomaly":{"type":"x"}}`, ``)
	f(`{"event_id":1,"event_id":2}`, `1=2`)
	f(" \ufeff"[1:]+" {\"event_id\" : 1 , \"x\":[ ] ,\"risk\": { } }\r\n", `1=1`)
}

func TestScanFlags(t *testing.T) {
	var s scanner
	var d doc
	flags := func(text string) string {
		t.Helper()
		if f := s.scan([]byte(text), &d); f.reason != "" {
			t.Fatalf("%q: %+v", text, f)
		}
		var out []string
		for name, on := range map[string]bool{"badText": d.badText, "duplicates": d.duplicates, "escapedKeys": d.escapedKeys, "breaks": d.breaks, "rawKeys": d.rawKeys} {
			if on {
				out = append(out, name)
			}
		}
		return strings.Join(out, " ")
	}
	f := func(text, want string) {
		t.Helper()
		if got := flags(text); got != want {
			t.Errorf("%.60q: %s, want %s", text, got, want)
		}
	}
	f("\n"+usual+"\r\n", "")
	f("{\"a\":\n1}", "breaks")
	f("{\"a\":[1,\r2]}", "breaks")
	f("{\"a\":\t[1, 2]}", "")
	f("{\"a\":\"\xff\"}", "badText")
	f("{\"a\xc3\":1}", "badText")
	f("{\"a\":\"\xed\xa0\x80\"}", "badText") // a surrogate in UTF-8
	f(`{"a":"\ud800"}`, "badText")
	f(`{"a":"\ud800\u0041"}`, "badText")
	f(`{"a":"\udc00\ud800"}`, "badText")
	f(`{"a":"\ud83d\ude00\\ud800"}`, "")
	f(`{"é":"日本語 😀"}`, "")
	f(`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}`, "")
	f(`{"a":1,"b":2,"a":3}`, "duplicates")
	f(`{"x":[{"a":{"b":1,"c":2,"b":3}}]}`, "duplicates")
	f(`{"":1,"":2}`, "duplicates")
	f(`{"long key number one":1,"long key number two":2,"long key number one":3}`, "duplicates")
	f(`{"a":"b\"c","\u0061":1}`, "escapedKeys")
	f(`{"anomaly_id":1}`, "rawKeys")
	f(`{"x":{"anomaly_id":1}}`, "")

	many := func(n int, last string) string {
		var b strings.Builder
		b.WriteByte('{')
		for i := range n {
			fmt.Fprintf(&b, `"k%d":{"a":%d},`, i, i)
		}
		return b.String() + last + "}"
	}
	for _, n := range []int{30, 31, 32, 33, 34, 1500} {
		f(many(n, `"x":1`), "")
		f(many(n, `"k0":1`), "duplicates")
		f(many(n, fmt.Sprintf(`"k%d":1`, n-1)), "duplicates")
		f(`{"o":`+many(n, `"x":1,"x":2`)+`}`, "duplicates")
	}
}

func TestScanRefuses(t *testing.T) {
	var s scanner
	var d doc
	f := func(text, reason string, at int) {
		t.Helper()
		if got := s.scan([]byte(text), &d); got.reason != reason || got.at != at || got.what == "" {
			t.Errorf("%.60q: %+v, want %s at %d", text, got, reason, at)
		}
	}
	f(``, agent.ReasonNotJSON, 0)
	f(`{`, agent.ReasonNotJSON, 1)
	f(`{"a"`, agent.ReasonNotJSON, 4)
	f(`{"a":`, agent.ReasonNotJSON, 5)
	f(`{"a":1`, agent.ReasonNotJSON, 6)
	f(`{"a":1,`, agent.ReasonNotJSON, 7)
	f(`{"a":1,}`, agent.ReasonNotJSON, 7)
	f(`{"a":[1,]}`, agent.ReasonNotJSON, 8)
	f(`{"a":[1}`, agent.ReasonNotJSON, 7)
	f(`{"a":1]`, agent.ReasonNotJSON, 6)
	f(`{"a":1}x`, agent.ReasonNotJSON, 7)
	f(`{"a":1}{"a":1}`, agent.ReasonNotJSON, 7)
	f(`{a:1}`, agent.ReasonNotJSON, 1)
	f(`{'a':1}`, agent.ReasonNotJSON, 1)
	f(`{"a":01}`, agent.ReasonNotJSON, 5)
	f(`{"a":-}`, agent.ReasonNotJSON, 5)
	f(`{"a":.5}`, agent.ReasonNotJSON, 5)
	f(`{"a":1.}`, agent.ReasonNotJSON, 5)
	f(`{"a":1e}`, agent.ReasonNotJSON, 5)
	f(`{"a":+1}`, agent.ReasonNotJSON, 5)
	f(`{"a":NaN}`, agent.ReasonNotJSON, 5)
	f(`{"a":nul}`, agent.ReasonNotJSON, 5)
	f(`{"a":"b`, agent.ReasonNotJSON, 7)
	f(`{"a":"\x41"}`, agent.ReasonNotJSON, 6)
	f(`{"a":"\u12g4"}`, agent.ReasonNotJSON, 6)
	f(`{"a":"\u12`, agent.ReasonNotJSON, 6)
	f("{\"a\":\"b\x00\"}", agent.ReasonNotJSON, 7)
	f("{\"a\":\"b\nc\"}", agent.ReasonNotJSON, 7)
	f("{\"a\tb\":1}", agent.ReasonNotJSON, 3)
	f("{\x00}", agent.ReasonNotJSON, 1)
	f("{\"a\":1\x00}", agent.ReasonNotJSON, 6)
	f("{\"a\":\x001}", agent.ReasonNotJSON, 5)
	f("{}\x00", agent.ReasonNotJSON, 2)
	f("{\xc2\xa0}", agent.ReasonNotJSON, 1)
	f("{\f}", agent.ReasonNotJSON, 1)
	f(`[1]`, agent.ReasonNotObject, 0)
	f(`[1`, agent.ReasonNotJSON, 2)
	f(` "text"`, agent.ReasonNotObject, 1)
	f(`null`, agent.ReasonNotObject, 0)
	f(strings.Repeat(`{"a":`, 64)+"[]"+strings.Repeat("}", 64), agent.ReasonTooDeep, 64*5)
	f(strings.Repeat(`[`, 100_000), agent.ReasonTooDeep, 64)
	members := func(n int) string {
		return `{"list":[1,{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, n), ",") + `}],"b":{}}`
	}
	f(members(10_001), agent.ReasonTooManyKeys, len(`{"list":[1,{`)+10_000*len(`"a":1,`))
	if got := s.scan([]byte(members(10_000)), &d); got.reason != "" {
		t.Errorf("10000 members are refused: %+v", got)
	}
	if got := s.scan([]byte(`{"a":[`+strings.Repeat(`{"a":1,"b":2},`, 20_000)+`0]}`), &d); got.reason != "" {
		t.Errorf("many small objects are refused: %+v", got)
	}
	if got := s.scan([]byte(strings.Repeat(`{"a":`, 64)+"1"+strings.Repeat("}", 64)), &d); got.reason != "" {
		t.Errorf("64 levels are refused: %+v", got)
	}
}

// Hostile texts must not take more time than their size warrants.
func TestScanIsLinear(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for o := range 6 {
		fmt.Fprintf(&b, `"%d":{`, o)
		for i := range 9_999 {
			fmt.Fprintf(&b, `"%07d12345678":1,`, i) // the cheap hash is the same for all
		}
		b.WriteString(`"x":1},`)
	}
	b.WriteString(`"x":1}`)
	var s scanner
	var d doc
	if f := s.scan([]byte(b.String()), &d); f.reason != "" || d.duplicates {
		t.Errorf("%+v, duplicates %v", f, d.duplicates)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	var s scanner
	var d doc
	text := []byte(usual)
	s.scan(text, &d)
	if n := testing.AllocsPerRun(100, func() { s.scan(text, &d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		usual, `{"a":1}`, `{"a":[1,2,{"b":null}]}`, `{"a":"\ud83d\ude00"}`, `{"a":1e5,"b":-0.1}`, `{`, `{"a":"\ud800"}`, " {} ",
		`{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `[true,false,null]`, `"x"`, "{\"a\":\n1}", `{"anomaly_id":"x","event_type":"anomaly"}`, `{"\u0061":1,"a":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s scanner
		var d doc
		fault := s.scan(text, &d)
		if fault.reason == agent.ReasonTooDeep || fault.reason == agent.ReasonTooManyKeys || len(text) > 2 && string(text[:3]) == "\xef\xbb\xbf" {
			return
		}
		if valid := json.Valid(text); valid != (fault.reason != agent.ReasonNotJSON) {
			t.Fatalf("encoding/json says %v, scan %+v of %q", valid, fault, text)
		}
		if fault.reason != "" {
			return
		}
		if want := hasDuplicates(t, text); !d.escapedKeys && !d.badText && d.duplicates != want {
			t.Fatalf("duplicates %v, want %v: %q", d.duplicates, want, text)
		}
	})
}

// hasDuplicates asks the standard library's decoder, token by token.
func hasDuplicates(t *testing.T, text []byte) bool {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var value func() bool
	value = func() bool {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		found := false
		switch tok {
		case json.Delim('{'):
			seen := map[string]bool{}
			for dec.More() {
				k, _ := dec.Token()
				found = found || seen[k.(string)]
				seen[k.(string)] = true
				found = value() || found
			}
			dec.Token()
		case json.Delim('['):
			for dec.More() {
				found = value() || found
			}
			dec.Token()
		}
		return found
	}
	return value()
}

func BenchmarkScan(b *testing.B) {
	var s scanner
	var d doc
	text := []byte(usual)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if f := s.scan(text, &d); f.reason != "" {
			b.Fatal(f)
		}
	}
}

// The events of several kinds of source, no two the same.
func BenchmarkScanMixed(b *testing.B) {
	g := plugintest.NewGenerator(1)
	var texts [][]byte
	size := 0
	for range 4096 {
		text := bytes.TrimSuffix(g.Append(nil), []byte("\n"))
		texts = append(texts, text)
		size += len(text)
	}
	for name, scan := range map[string]func(*scanner, []byte, *doc) fault{"known": (*scanner).scan, "unknown": (*scanner).check} {
		b.Run(name, func(b *testing.B) {
			var s scanner
			var d doc
			b.SetBytes(int64(size / len(texts)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if f := scan(&s, texts[i%len(texts)], &d); f.reason != "" {
					b.Fatal(f)
				}
			}
		})
	}
}

func BenchmarkEncodingJSONValid(b *testing.B) {
	text := []byte(usual)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !json.Valid(text) {
			b.Fatal()
		}
	}
}

// gjson validates in one pass and finds the members in another.
func BenchmarkGJSON(b *testing.B) {
	text := []byte(usual)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !gjson.ValidBytes(text) {
			b.Fatal()
		}
		gjson.GetManyBytes(text, "event_id", "timestamp", "event_type", "source", "severity", "anomaly.severity", "risk.level")
	}
}
