package rfc5424

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

func at(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

func TestHeader(t *testing.T) {
	e := &agent.Event{Time: at("2025-10-09T07:08:09.999999999Z"), Severity: agent.High, Type: []byte("alert"), Source: []byte("DEV-1")}
	for _, tt := range []struct {
		name   string
		config HeaderConfig
		event  *agent.Event
		want   string
	}{
		{"5424", HeaderConfig{Facility: 16, App: "zerotrust", Host: "h"}, e, "<131>1 2025-10-09T07:08:09.999Z DEV-1 zerotrust - alert "},
		{"fixed hostname", HeaderConfig{Facility: 16, App: "zerotrust", Hostname: "fixed", Host: "h"}, e, "<131>1 2025-10-09T07:08:09.999Z fixed zerotrust - alert "},
		{"no hostname", HeaderConfig{Hostname: "-", Host: "h"}, e, "<3>1 2025-10-09T07:08:09.999Z - - - alert "},
		{"no source", HeaderConfig{Facility: 23, App: "a", Host: "h"}, &agent.Event{}, "<190>1 1970-01-01T00:00:00.000Z h a - - "},
		{"nothing at all", HeaderConfig{}, &agent.Event{Time: -253402300799_999}, "<6>1 9999-12-31T23:59:59.999Z - - - - "},
		{"3164, padded day", HeaderConfig{RFC: "3164", Facility: 16, App: "zerotrust", Host: "h"}, e, "<131>Oct  9 07:08:09 DEV-1 "},
		{"3164 with a tag", HeaderConfig{RFC: "3164", Facility: 16, App: "zero trust:[1]", Tag: true}, e, "<131>Oct  9 07:08:09 DEV-1 zerotrust1: "},
		{"3164 with a long tag", HeaderConfig{RFC: "3164", App: strings.Repeat("a", 60), Tag: true}, e, "<3>Oct  9 07:08:09 DEV-1 " + strings.Repeat("a", 32) + ": "},
		{"3164 without an app", HeaderConfig{RFC: "3164", App: ":", Tag: true}, e, "<3>Oct  9 07:08:09 DEV-1 siemd: "},
		{"none", HeaderConfig{RFC: "none"}, e, ""},
		{"IPv6 is allowed", HeaderConfig{Host: "h"}, &agent.Event{Source: []byte("fe80::1%eth0")}, "<6>1 1970-01-01T00:00:00.000Z fe80::1%eth0 - - - "},
		{"IPv6 is not", HeaderConfig{Host: "h", NoIPv6: true}, &agent.Event{Source: []byte("fe80::1%eth0")}, "<6>1 1970-01-01T00:00:00.000Z h - - - "},
		{"IPv6 as the host is not", HeaderConfig{Host: "::1", NoIPv6: true}, &agent.Event{}, "<6>1 1970-01-01T00:00:00.000Z - - - - "},
		{"a MAC address has colons", HeaderConfig{Host: "h", NoIPv6: true}, &agent.Event{Source: []byte("host:1:x")}, "<6>1 1970-01-01T00:00:00.000Z host:1:x - - - "},
	} {
		h, err := NewHeader(tt.config)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := h.Append([]byte("."), tt.event); string(got) != "."+tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPriorityOfEveryFacilityAndSeverity(t *testing.T) {
	names := "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7"
	for i, name := range strings.Fields(names) {
		n, ok := Facility(name)
		if !ok || n != i {
			t.Errorf("%s is %d, %v", name, n, ok)
		}
		h, err := NewHeader(HeaderConfig{Facility: n})
		if err != nil {
			t.Fatal(err)
		}
		for s, want := range []int{6, 6, 5, 4, 3, 2, 2} { // one beyond the scale counts as its end
			m, err := parse(string(h.Append(nil, &agent.Event{Severity: agent.Severity(s)})) + "-")
			if err != nil || m.pri != i*8+want {
				t.Errorf("%s, %d: PRI %d, %v", name, s, m.pri, err)
			}
		}
	}
	if _, ok := Facility("local8"); ok {
		t.Error("local8 is a facility")
	}
}

func TestBadConfigs(t *testing.T) {
	for key, c := range map[string]Config{
		"rfc":         {HeaderConfig: HeaderConfig{RFC: "5425"}},
		"rfc ":        {HeaderConfig: HeaderConfig{RFC: "none"}},
		"facility":    {HeaderConfig: HeaderConfig{Facility: 24}},
		"bom":         {BOM: "on"},
		"max_message": {MaxMessage: 479},
		"sd_id":       {SDID: "origin"},
		"sd_id ":      {SDID: "x@"},
		"sd_id  ":     {SDID: "a b@1"},
		"sd_id   ":    {SDID: "a]@1"},
		"sd_id    ":   {SDID: strings.Repeat("a", 31) + "@1"},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(key)+": ") {
			t.Errorf("%+v: %v, want an error about %s", c, err, key)
		}
	}
	if err := checkSDID("é@1"); err == nil || !strings.Contains(err.Error(), `"é" cannot`) {
		t.Errorf("%v, want one that names the é", err)
	}
}

func TestDefaultSDID(t *testing.T) {
	for app, want := range map[string]string{
		"zerotrust": "zerotrust@32473", "": "siemd@32473", `a b="]@c`: "a_b____c@32473",
		strings.Repeat("x", 40): strings.Repeat("x", 26) + "@32473",
	} {
		if got := DefaultSDID(app); got != want || checkSDID(got) != nil {
			t.Errorf("%q: %q, want %q, %v", app, got, want, checkSDID(got))
		}
	}
}

func TestRFC3164KeepsTheID(t *testing.T) {
	c, err := New(Config{HeaderConfig: HeaderConfig{RFC: "3164", Facility: 16, App: "zerotrust", Host: "h"}, BOM: "always"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Encode(nil, &agent.Event{ID: []byte("A-1"), Type: []byte("alert"), Body: []byte(`{"title":"é"}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := `<134>Jan  1 00:00:00 h zerotrust: [zerotrust@32473 eventId="A-1" severity="informational"] é`
	if string(got) != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWhatIsTooLongIsCutAtTheEndOfTheText(t *testing.T) {
	var r fields.Repairs
	c, err := New(Config{HeaderConfig: HeaderConfig{App: "a", Repairs: &r}, MaxMessage: 480})
	if err != nil {
		t.Fatal(err)
	}
	e := &agent.Event{ID: []byte("A-1"), Type: []byte("alert"), Body: []byte(`{"title":"` + strings.Repeat("é", 400) + `"}`)}
	got, err := c.Encode(nil, e)
	if err != nil || len(got) < 479 || len(got) > 480 || !strings.HasSuffix(string(got), "é") || r.Count(fields.Truncated) != 1 {
		t.Errorf("%d bytes, %v, cut %d times: %q", len(got), err, r.Count(fields.Truncated), got)
	}
	e.ID = []byte(strings.Repeat("x", 500))
	if got, err := c.Encode(nil, e); !errors.Is(err, ErrTooLong) || len(got) != 0 {
		t.Errorf("structured data that is too long: %q, %v", got, err)
	}
	fixed, err := c.Encode(nil, &agent.Event{Body: []byte(`{"title":""}`)})
	if err != nil {
		t.Fatal(err)
	}
	e.ID = []byte(strings.Repeat("x", 480-len(fixed)-len(` eventId=""`)+len(" event")))
	e.Type = nil
	got, err = c.Encode(nil, e)
	if err != nil || len(got) != 480 || got[479] != ']' {
		t.Errorf("structured data that just fits: %d bytes %q, %v", len(got), got, err)
	}
}

func TestFormsOfAttack(t *testing.T) {
	c, err := New(Config{HeaderConfig: HeaderConfig{RFC: "3164", App: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	for mitre, want := range map[string]string{
		`{"tactic":"TA0006","technique":"T1110"}`:                                             ` tactic="TA0006" technique="T1110"`,
		`{"tactic":["TA0006","TA0011"],"technique":["T1110"]}`:                                ` tactic="TA0006; TA0011" technique="T1110"`,
		`{"tactic":{"id":"TA0006","name":"x"},"technique":[{"id":"T1110"},"T1071"]}`:          ` tactic="TA0006" technique="T1110; T1071"`,
		`[{"tactic":"TA0006","technique":"T1110"},{"technique":"T1071"},"odd",null]`:          ` tactic="TA0006" technique="T1110; T1071"`,
		`{"tactic_name":"Credential Access","technique":"T1110","sub_technique":"T1110.001"}`: ` tactic="Credential Access" technique="T1110; T1110.001"`,
		`{"tactic":null,"technique":""}`:                                                      ``,
		`"T1110"`:                                                                             ``,
		`["T1110"]`:                                                                           ``,
		`{"tactic":[[]],"technique":{}}`:                                                      ``,
	} {
		got, err := c.Encode(nil, &agent.Event{Body: []byte(`{"mitre_attack":` + mitre + `}`)})
		if err != nil {
			t.Fatal(err)
		}
		want = `severity="informational"` + want + `] event`
		if !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %s, want …%s", mitre, got, want)
		}
	}
}
