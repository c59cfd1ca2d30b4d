package route

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

func render(t testing.TB, tmpl *Template, e *agent.Event) string {
	t.Helper()
	inside, _ := tmpl.AppendJSON([]byte(`"`), e)
	var s string
	if err := json.Unmarshal(append(inside, '"'), &s); err != nil {
		t.Fatalf("%v: %q", err, inside)
	}
	return s
}

func TestNames(t *testing.T) {
	const now = 1761739200e9
	for _, tt := range []struct {
		template, fallback string
		alphabet           *Alphabet
		eventType, source  string
		want               string
		fell               bool
	}{
		{"zt-{event_type}", "", ElasticIndex, "anomaly", "", "zt-anomaly", false},
		{"zt-{event_type}", "", ElasticIndex, "", "", "zt-event", false},
		{"zt-{event_type}", "", ElasticIndex, "ANOMALY", "", "zt-anomaly", false},
		{"zt-{event_type}", "", ElasticIndex, "../secret", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "a,b", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "a*", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "a b", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "é", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "a\x00", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, "a\"}}\n{", "", "zt", true},
		{"zt-{event_type}", "", ElasticIndex, strings.Repeat("a", 252), "", "zt-" + strings.Repeat("a", 252), false},
		{"zt-{event_type}", "", ElasticIndex, strings.Repeat("a", 253), "", "zt", true},
		{"zt-{event_type}-{source}", "rest", ElasticIndex, "anomaly", "", "rest", true},
		{"zt._{source}", "", ElasticIndex, "", "dev-1", "zt._dev-1", false},
		{"zt-%Y.%m.%d.%H-{severity}", "", ElasticIndex, "", "", "zt-2025.10.29.12-informational", false},
		{"zt-{event_type}", "", ElasticDataStream, "a-b", "", "zt", true},
		{"logs-zt.{event_type}-x", "logs-zt-x", ElasticDataStream, strings.Repeat("a", 97), "", "logs-zt." + strings.Repeat("a", 97) + "-x", false},
		{"logs-zt.{event_type}-x", "logs-zt-x", ElasticDataStream, strings.Repeat("a", 98), "", "logs-zt-x", true},
		{"zt-{event_type}", "", SplunkIndex, "a.b", "", "zt", true},
		{"zt:{event_type}", "", SplunkSourcetype, "A.b:c", "", "zt:A.b:c", false},
		{"zt:{event_type}", "", SplunkSourcetype, "a/b", "", "zt", true},
		{"zt:{event_type}", "", Text, "a\"\n\\é", "", "zt:a\"\n\\é", false},
		{"zt\"{input}", "", Text, "", "", "zt\"apps", false},
		{"plain", "", ElasticIndex, "x", "", "plain", false},
	} {
		var r fields.Repairs
		tmpl, err := Parse(tt.template, tt.fallback, tt.alphabet, &r)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		e := &agent.Event{Type: []byte(tt.eventType), Source: []byte(tt.source), Input: "apps", Time: now, Received: now}
		got := render(t, tmpl, e)
		if got != tt.want || r.Count(fields.RouteFallback) == 1 != tt.fell {
			t.Errorf("%s of %q: %q, want %q; fell back %d times", tt.template, tt.eventType, got, tt.want, r.Count(fields.RouteFallback))
		}
		if _, own := tmpl.AppendJSON(nil, e); own == tt.fell {
			t.Errorf("%s of %q: its own values: %v", tt.template, tt.eventType, own)
		}
	}
}

// A template that has made names before makes the same as one that has not.
func TestNamesAreThoseOfTheirEvents(t *testing.T) {
	for _, text := range []string{"zt-%H", "zt-%Y.%m.%d", "zt-{severity}-%d", "zt-{event_type}", "zt-{event_type}-{severity}-%Y.%m.%d.%H", "zt-{input}-%d", "zt-{source}-{event_type}"} {
		for _, a := range []*Alphabet{ElasticIndex, Text} {
			var counted, want fields.Repairs
			seasoned, err := Parse(text, "", a, &counted)
			if err != nil {
				t.Fatal(err)
			}
			seasoned.Around([]byte("<"), []byte(">"))
			for n := range 1000 {
				e := &agent.Event{
					Type: []byte([]string{"", "anomaly", "ALERT", "alert", "a/b", "event"}[n%6]), Source: []byte([]string{"a", "b"}[n/2%2]),
					Input: []string{"c", "d"}[n/4%2], Severity: agent.Severity(n / 6 % 6), Time: int64(n/3) * 2999e9,
				}
				e.Received = e.Time + int64(n%3)*20*24*3600e9
				fresh, err := Parse(text, "", a, &want)
				if err != nil {
					t.Fatal(err)
				}
				got, own := seasoned.AppendJSON([]byte("."), e)
				if want, whose := fresh.AppendJSON([]byte(".<"), e); string(got) != string(want)+">" || own != whose {
					t.Fatalf("%s: %s, %v, but %s, %v where no event came before", text, got, own, want, whose)
				}
			}
			for _, r := range fields.Reasons() {
				if counted.Count(r) != want.Count(r) {
					t.Errorf("%s: %s counted %d times, want %d", text, r, counted.Count(r), want.Count(r))
				}
			}
		}
	}
}

// A date that is far from the receipt would make an index that nobody expects.
func TestWildDatesAreThoseOfTheReceipt(t *testing.T) {
	const now, day = 1761739200e9, 24 * 3600e9
	for _, tt := range []struct {
		time int64
		want string
	}{
		{now - 30*day, "zt-2025.09.29"},
		{now - 30*day - 1, "zt-2025.10.29"},
		{now + day, "zt-2025.10.30"},
		{now + day + 1, "zt-2025.10.29"},
		{0, "zt-2025.10.29"},
		{-253402300799_999, "zt-2025.10.29"}, // of the year 9999
	} {
		var r fields.Repairs
		tmpl, err := Parse("zt-%Y.%m.%d", "", ElasticIndex, &r)
		if err != nil {
			t.Fatal(err)
		}
		if got := render(t, tmpl, &agent.Event{Time: tt.time, Received: now}); got != tt.want {
			t.Errorf("%d: %s, want %s", tt.time, got, tt.want)
		}
	}
}

func TestFixed(t *testing.T) {
	for template, want := range map[string]string{"": "", "a": "a", "a%Y": "-", "a{source}": "-"} {
		tmpl, err := Parse(template, "", ElasticIndex, nil)
		if err != nil {
			t.Fatal(err)
		}
		name, ok := tmpl.Fixed()
		if ok != (want != "-") || ok && string(name) != want {
			t.Errorf("%q: %q, %v", template, name, ok)
		}
	}
}

func TestRefusedTemplates(t *testing.T) {
	for _, tt := range []struct {
		template, fallback string
		alphabet           *Alphabet
		want               string
	}{
		{"{source}", "", Text, "needs fixed text"},
		{"%Y{source}", "", Text, "needs fixed text"},
		{"-{source}", "x", SplunkIndex, "cannot start with"},
		{"._-{source}", "x", ElasticIndex, "more fixed text"},
		{"a{source}", "B", ElasticIndex, `"B" cannot be part of`},
		{"a{source}", "..", ElasticIndex, "cannot be"},
		{"..", "", ElasticIndex, "cannot be"},
		{"_a", "", ElasticIndex, "cannot start with"},
		{"A", "", ElasticIndex, `"A" cannot be part of`},
		{"a:b", "", ElasticIndex, `":" cannot be part of`},
		{"a b", "", ElasticIndex, `" " cannot be part of`},
		{"a\n", "", Text, `"\n" cannot be part of`},
		{"kvstore", "", SplunkIndex, "cannot be"},
		{"a%", "", Text, "after %"},
		{"a%q", "", Text, "after %"},
		{"a{b", "", Text, "{ has no }"},
		{"a{b}", "", Text, "{b} is unknown"},
		{strings.Repeat("a", 256), "", ElasticIndex, "can have 255 bytes"},
		{"logs-" + strings.Repeat("a", 101), "", ElasticDataStream, "can have 100 bytes between two hyphens"},
	} {
		if _, err := Parse(tt.template, tt.fallback, tt.alphabet, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.template, err, tt.want)
		}
	}
}

// FuzzConfinement shows that no event leads out of the operator's names.
func FuzzConfinement(f *testing.F) {
	f.Add("anomaly", "DEV-1", int64(0), int64(0))
	f.Add("../../x", "a/b", int64(-1), int64(1))
	parse := func(text string) *Template {
		tmpl, err := Parse(text, "", ElasticIndex, nil)
		if err != nil {
			f.Fatal(err)
		}
		return tmpl
	}
	tmpl := parse("zt-{event_type}-{source}-%Y.%m.%d")
	const repeated = "zt-{event_type}-{severity}-%Y.%m.%d.%H"
	seasoned := parse(repeated)
	f.Fuzz(func(t *testing.T, eventType, source string, at, received int64) {
		e := &agent.Event{Type: []byte(eventType), Source: []byte(source), Severity: agent.Severity(len(source) % 6), Time: at, Received: received}
		for range 2 {
			got, own := seasoned.AppendJSON(nil, e)
			if want, whose := parse(repeated).AppendJSON(nil, e); !bytes.Equal(got, want) || own != whose {
				t.Errorf("%q, %v, but %q, %v where no event came before", got, own, want, whose)
			}
		}
		got := render(t, tmpl, e)
		if err := ElasticIndex.check(got); err != nil || got != "zt" && !strings.HasPrefix(got, "zt-") || strings.Trim(got, ElasticIndex.values) != "" {
			t.Errorf("%q of %q and %q: %v", got, eventType, source, err)
		}
	})
}

// FuzzParse shows that every template either is refused or makes names.
func FuzzParse(f *testing.F) {
	f.Add("zt-{event_type}-%Y", "")
	f.Add("{", "%")
	f.Fuzz(func(t *testing.T, template, fallback string) {
		for _, a := range []*Alphabet{ElasticIndex, SplunkSourcetype, Text} {
			tmpl, err := Parse(template, fallback, a, nil)
			if err != nil {
				continue
			}
			render(t, tmpl, &agent.Event{Type: []byte("anomaly"), Source: []byte("\x00"), Time: 1})
		}
	})
}
