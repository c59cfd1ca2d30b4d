package cef

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func encode(t *testing.T, c Config, e *agent.Event) string {
	t.Helper()
	codec, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := codec.Encode(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if c.RFC == "none" {
		if _, err := parse(string(out)); err != nil {
			t.Errorf("%v in %q", err, out)
		}
	}
	return string(out)
}

func TestNumbersGoWhereTheyFit(t *testing.T) {
	const head = "CEF:0|ZeroTrust|Mac-Compliance-System|1.0|risk_assessment|Risk assessment|1|rt=0 dvchost=zerotrust-platform cat=risk_assessment "
	for _, tt := range []struct{ risk, want string }{
		{`{"total_score":75}`, `msg=total_score\=75 cn1=75 cn1Label=riskScore`},
		{`{"total_score":75.0}`, `msg=total_score\=75.0 cn1=75 cn1Label=riskScore`},
		{`{"total_score":"75"}`, `msg=total_score\=75 cn1=75 cn1Label=riskScore`},
		{`{"total_score":75.5}`, `msg=total_score\=75.5 cs2=75.5 cs2Label=riskScore`},
		{`{"previous_score":7e1}`, `msg=previous_score\=7e1 cs3=7e1 cs3Label=previousRiskScore`},
		{`{"score_change":-30}`, `msg=score_change\=-30 cn3=-30 cn3Label=riskScoreChange`},
		{`{"score_change":"\u0020-\u0033\u0030"}`, `msg=score_change\= -30 cn3=-30 cn3Label=riskScoreChange`},
		{`{"score_change":-9223372036854775808}`, `msg=score_change\=-9223372036854775808 cn3=-9223372036854775808 cn3Label=riskScoreChange`},
		{`{"score_change":9223372036854775808}`, `msg=score_change\=9223372036854775808 cs4=9223372036854775808 cs4Label=riskScoreChange`},
		{`{"score_change":12345678901234567890}`, `msg=score_change\=12345678901234567890 cs4=12345678901234567890 cs4Label=riskScoreChange`},
		{`{"total_score":"a=b"}`, `msg=total_score\=a\=b cs2=a\=b cs2Label=riskScore`},
		{`{"total_score":null,"level":""}`, `msg=Risk assessment`},
		{`[]`, `msg=Risk assessment`},
	} {
		c := config()
		e := &agent.Event{Type: []byte("risk_assessment"), Body: []byte(`{"risk":` + tt.risk + `}`)}
		if got := encode(t, c, e); got != head+tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.risk, got, head+tt.want)
		}
	}
	var r fields.Repairs
	c := config()
	c.Repairs = &r
	e := &agent.Event{Type: []byte("anomaly"), Body: []byte(`{"anomaly":{"score":"high","confidence":[1]}}`)}
	if got := encode(t, c, e); strings.Contains(got, "cfp") || r.Count(fields.NotNumber) != 2 {
		t.Errorf("%s, %d values counted", got, r.Count(fields.NotNumber))
	}
	e.Body = []byte(`{"anomaly":{"score":"\u0038\u0035.5"}}`)
	if got := encode(t, c, e); !strings.Contains(got, " cfp1=85.5 cfp1Label=anomalyScore") {
		t.Errorf("digits that are written as escapes: %s", got)
	}
}

func TestIsDecimal(t *testing.T) {
	for s, want := range map[string]bool{
		"0": true, "-0.0": true, "85.50": true, "1E+2": true, "1e-9": true, "12345678901234567890": true,
		"": false, "-": false, "1.": false, ".5": false, "1e": false, "1e+": false, "0x1": false, "NaN": false, "1 2": false, "+1": false,
	} {
		if got := isDecimal([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestVersion1NamesTheTechnique(t *testing.T) {
	c := config()
	c.Version = 1
	const head = "CEF:1|ZeroTrust|Mac-Compliance-System|1.0|alert|alert|1|rt=0 dvchost=zerotrust-platform cat=alert msg=alert"
	for mitre, want := range map[string]string{
		`{"tactic":"TA0006","technique":"T1110"}`:         " frameworkName=MITRE ATT&CK threatAttackID=T1110",
		`[{"technique":["T1110.001","T1071"]}]`:           " frameworkName=MITRE ATT&CK threatAttackID=T1110.001",
		`{"technique":"` + strings.Repeat("T", 40) + `"}`: " frameworkName=MITRE ATT&CK threatAttackID=" + strings.Repeat("T", 32),
		`{"tactic":"TA0006"}`:                             "",
		`{"technique":" "}`:                               "",
	} {
		e := &agent.Event{Type: []byte("alert"), Body: []byte(`{"mitre_attack":` + mitre + `}`)}
		if got := encode(t, c, e); got != head+want {
			t.Errorf("%s\n got %s\nwant %s", mitre, got, head+want)
		}
	}
}

func TestValuesAreCutInCharacters(t *testing.T) {
	c := config()
	c.RFC = "none"
	var r fields.Repairs
	c.Repairs = &r
	e := &agent.Event{
		ID: []byte(strings.Repeat("é", 50)), Type: []byte("alert"),
		Body: []byte(`{"title":"` + strings.Repeat("|", 600) + `","description":"` + strings.Repeat("a ", 600) + `"}`),
	}
	got := encode(t, c, e)
	for _, want := range []string{
		" externalId=" + strings.Repeat("é", 40) + " ", "|" + strings.Repeat(`\|`, 512) + "|1|", " msg=" + strings.Repeat("a ", 511) + "a",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if n := r.Count(fields.Truncated); n != 3 {
		t.Errorf("%d cuts counted", n)
	}
}

func TestALineThatIsTooLong(t *testing.T) {
	body := func(msg, list int) []byte {
		return fmt.Appendf(nil, `{"description":"%s","recommendations":["%s"],"detection":{"detector":"D"},"anomaly":{"score":1}}`,
			strings.Repeat("=", msg), strings.Repeat("r", list))
	}
	c := config()
	c.MaxMessage = 500
	codec, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		msg, list int
		id        int
		has       string
		hasNot    string
	}{
		{"msg gives way first", 400, 10, 10, "cfp1Label=anomalyScore", ""},
		{"pairs go when msg is short", 10, 450, 10, "cs3Label=detector", "cs5"},
		{"pairs go, then msg", 400, 450, 10, "cs3Label=detector", "cs5"},
	} {
		e := &agent.Event{ID: []byte(strings.Repeat("i", tt.id)), Type: []byte("anomaly"), Body: body(tt.msg, tt.list)}
		out, err := codec.Encode(nil, e)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := string(out)
		if _, err := parse(got); err != nil || len(got) > 500 {
			t.Errorf("%s: %d bytes, %v: %s", tt.name, len(got), err, got)
		}
		if !strings.Contains(got, tt.has) || tt.hasNot != "" && strings.Contains(got, tt.hasNot) || !strings.Contains(got, `msg=\=`) {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	e := &agent.Event{Source: []byte(strings.Repeat("\\", 255)), Type: []byte("anomaly"), Body: body(1, 1)}
	if out, err := codec.Encode(nil, e); !errors.Is(err, ErrTooLong) || len(out) != 0 {
		t.Errorf("%q, %v", out, err)
	}
}

// A title that is too long for the message alone gives way, between two characters.
func TestLongNames(t *testing.T) {
	for _, unit := range []string{"x", "é", "界", "😀", "|", `\\`, "a "} {
		c := config()
		c.MaxMessage = 480
		codec, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		title := strings.Repeat(unit, 600)
		out, err := codec.Encode(nil, &agent.Event{ID: []byte("id-1"), Type: []byte("alert"), Body: fmt.Appendf(nil, `{"title":"%s","description":"what happened"}`, title)})
		if err != nil {
			t.Errorf("%q: %v", unit, err)
			continue
		}
		r, err := parse(string(out))
		if err != nil || len(out) > 480 || len(out) < 470 || !utf8.Valid(out) {
			t.Errorf("%q: %d bytes, %v: %s", unit, len(out), err, out)
		}
		msg, _ := r.get("msg")
		if id, _ := r.get("externalId"); id != "id-1" || msg != "what happened" || !strings.HasPrefix(strings.ReplaceAll(title, `\\`, `\`), r.name) {
			t.Errorf("%q: id %s, msg %q, name %q", unit, id, msg, r.name)
		}
	}
}

func TestExtensions(t *testing.T) {
	c := config()
	c.Version = 1
	c.Extensions = []Extension{
		{"cs6", "a.b", "my = label"},
		{"src", "ip", ""},
		{"c6a1", "ip6", "v6"},
		{"spt", "port", ""},
		{"smac", "mac", ""},
		{"end", "end", ""},
		{"zerotrustPlanet", "planet", ""},
		{"threatActor", "actor", ""},
	}
	var r fields.Repairs
	c.Repairs = &r
	const head = "CEF:1|ZeroTrust|Mac-Compliance-System|1.0|alert|alert|1|rt=0 dvchost=zerotrust-platform cat=alert msg=alert"
	for body, want := range map[string]string{
		`{}`: "",
		`{"a":{"b":["x","y=1"]},"ip":"10.0.0.1","ip6":"fe80::1","port":443,"mac":"00:0D:60:af:1b:61","end":1761739200000,"planet":true,"actor":"` + strings.Repeat("a", 50) + `"}`: ` cs6=x; y\=1 cs6Label=my \= label src=10.0.0.1 c6a1=fe80::1 c6a1Label=v6 spt=443 smac=00:0D:60:af:1b:61 end=1761739200000 zerotrustPlanet=true threatActor=` + strings.Repeat("a", 40),
		`{"a":{"b":null},"ip":"host","ip6":"10.0.0.1","port":44.5,"mac":"000D60af1b61","end":"2025-10-29T12:00:00Z","planet":"  "}`:                                                "",
		`{"ip":"\u0031\u0030.0.0.1"}`: " src=10.0.0.1",
		`{"port":65536}`:              "",
		`{"port":-1}`:                 "",
		`{"port":"65535"}`:            " spt=65535",
		`{"a":"text","ip":"fe80::1","ip6":"fe80::1%eth0","port":[],"end":{}}`: "",
	} {
		e := &agent.Event{Type: []byte("alert"), Body: []byte(body)}
		if got := encode(t, c, e); got != head+want {
			t.Errorf("%s\n got %s\nwant %s", body, got, head+want)
		}
	}
	if n := r.Count(fields.NotNumber); n != 11 {
		t.Errorf("%d values that do not fit were counted", n)
	}
}

func TestBadConfigs(t *testing.T) {
	long := strings.Repeat("x", 200)
	good := config()
	for want, change := range map[string]func(*Config){
		"cef_version: 2":                     func(c *Config) { c.Version = 2 },
		"vendor: ":                           func(c *Config) { c.Vendor = " \n" },
		"product: ":                          func(c *Config) { c.Product = "" },
		"product_version: ":                  func(c *Config) { c.ProductVersion = "" },
		"max_message: ":                      func(c *Config) { c.MaxMessage = 100 },
		"rfc: ":                              func(c *Config) { c.RFC = "x" },
		"extensions: cs6 needs a label":      func(c *Config) { c.Extensions = []Extension{{"cs6", "a", " "}} },
		"extensions: cs1 is filled in":       func(c *Config) { c.Extensions = []Extension{{"cs1", "a", "x"}} },
		"extensions: rawEvent is for":        func(c *Config) { c.Extensions = []Extension{{"rawEvent", "a", ""}} },
		"extensions: agentDnsDomain is for":  func(c *Config) { c.Extensions = []Extension{{"agentDnsDomain", "a", ""}} },
		"extensions: cs6Label goes with":     func(c *Config) { c.Extensions = []Extension{{"cs6Label", "a", ""}} },
		"extensions: \"a b\" is no key":      func(c *Config) { c.Extensions = []Extension{{"a b", "a", ""}} },
		"extensions: threatActor belongs to": func(c *Config) { c.Extensions = []Extension{{"threatActor", "a", ""}} },
		"extensions: src needs the path":     func(c *Config) { c.Extensions = []Extension{{"src", "", ""}} },
		"extensions: src cannot have":        func(c *Config) { c.Extensions = []Extension{{"src", "a", "x"}} },
		"extensions: src is given twice":     func(c *Config) { c.Extensions = []Extension{{"src", "a", ""}, {"src", "b", ""}} },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	good.Vendor, good.Hostname = long, "-"
	if got := encode(t, good, &agent.Event{}); !strings.HasPrefix(got, "CEF:0|"+long[:63]+"|") || !strings.Contains(got, "dvchost=zerotrust-platform") {
		t.Errorf("a long vendor: %s", got)
	}
}

func TestFramesOfSyslog(t *testing.T) {
	c := config()
	e := &agent.Event{Type: []byte("alert"), Source: []byte("DEV-1"), Severity: agent.Critical, Body: []byte(`{}`)}
	for rfc, want := range map[string]string{"": "<2>Jan  1 00:00:00 DEV-1 CEF:0|", "5424": "<2>1 1970-01-01T00:00:00.000Z DEV-1 - - alert - CEF:0|"} {
		c.HeaderConfig = rfc5424.HeaderConfig{RFC: rfc, Host: "h"}
		if got := encode(t, c, e); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", rfc, got)
		}
	}
}
