package leef

import (
	"errors"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

func TestLines(t *testing.T) {
	const now = 1761739200e9
	for _, tt := range []struct {
		name   string
		change func(*Config)
		event  agent.Event
		want   string
	}{
		{
			"before 13 digits", nil,
			agent.Event{Time: 31536000e9, Body: []byte(`{}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=Jan 01 1971 00:00:00.000 UTC\tdevTimeFormat=MMM dd yyyy HH:mm:ss.SSS z\tsev=1",
		},
		{"the first of 13 digits", nil, agent.Event{Time: 1e18, Body: []byte(`{}`)}, "LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=1000000000000\tsev=1"},
		{
			"where nanoseconds end", nil,
			agent.Event{Time: -253402300799_999, Body: []byte(`{}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=Dec 31 9999 23:59:59.999 UTC\tdevTimeFormat=MMM dd yyyy HH:mm:ss.SSS z\tsev=1",
		},
		{
			"another delimiter", func(c *Config) { c.Delimiter = "^" },
			agent.Event{Time: now, ID: []byte("a^b\tc"), Type: []byte("x^y"), Body: []byte(`{}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|x^y|^|devTime=1761739200000^sev=1^cat=x y^externalId=a b c",
		},
		{"in hex", func(c *Config) { c.Delimiter = "0x5E" }, agent.Event{Time: now, Body: []byte(`{}`)}, "LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|0x5E|devTime=1761739200000^sev=1"},
		{
			"header behind RFC 5424", func(c *Config) { c.HeaderConfig = rfc5424.HeaderConfig{RFC: "5424", Host: "h"} },
			agent.Event{Time: now, Source: []byte("2001:db8::1"), Body: []byte(`{}`)},
			"<6>1 2025-10-29T12:00:00.000Z h - - - - LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=1761739200000\tsev=1\tresource=2001:db8::1",
		},
		{
			"spaces", nil,
			agent.Event{Time: now, Type: []byte(" \t "), Body: []byte(`{"title":" \n","description":"  a "}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=1761739200000\tsev=1\tmsg=a",
		},
		{
			"an odd class", nil,
			agent.Event{Time: now, Type: []byte("anomaly"), Body: []byte(`{"anomaly":{"type":["a|b","c"]}}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|a_b; c|x09|devTime=1761739200000\tsev=1\tcat=anomaly",
		},
		{
			"extensions", func(c *Config) {
				c.Extensions = []Extension{{"usrName", "user.name"}, {"n", "n"}, {"list", "list"}, {"no", "user.none"}, {"nil", "nil"}}
			},
			agent.Event{Time: now, Body: []byte(`{"user":{"name":" a\tb=c|\nd "},"n":1.50,"list":["x","y"],"nil":null,"description":"text"}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=1761739200000\tsev=1\tusrName=a b=c| d\tn=1.50\tlist=x; y\tmsg=text",
		},
		{
			"an extension with a limit", func(c *Config) { c.Extensions = []Extension{{"usrName", "u"}, {"user", "u"}} },
			agent.Event{Time: now, Body: []byte(`{"u":"` + strings.Repeat("é", 254) + ` x","description":"text"}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|x09|devTime=1761739200000\tsev=1\tusrName=" + strings.Repeat("é", 254) + "\tuser=" + strings.Repeat("é", 254) + " x\tmsg=text",
		},
		{
			"extensions and another delimiter", func(c *Config) {
				c.Delimiter, c.Extensions = "^", []Extension{{"a", "a"}, {"b", "b"}}
			},
			agent.Event{Time: now, Body: []byte(`{"a":"1^b=2","b":"^"}`)},
			"LEEF:2.0|ZeroTrust|Mac-Compliance-System|1.0|event|^|devTime=1761739200000^sev=1^a=1 b=2",
		},
		{
			"pipes in the vendor", func(c *Config) { c.Vendor = "a|b" },
			agent.Event{Time: now, Body: []byte(`{}`)},
			"LEEF:2.0|a_b|Mac-Compliance-System|1.0|event|x09|devTime=1761739200000\tsev=1",
		},
	} {
		c := config()
		if tt.change != nil {
			tt.change(&c)
		}
		codec, err := New(c)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, err := codec.Encode(nil, &tt.event); err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %q\nwant %q", tt.name, err, got, tt.want)
		}
	}
}

func TestALineThatIsTooLong(t *testing.T) {
	var r fields.Repairs
	c := config()
	c.MaxMessage, c.Repairs = 480, &r
	codec, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("é", 400)
	e := &agent.Event{Time: 1761739200e9, ID: []byte("A"), Type: []byte("alert"), Body: []byte(`{"title":"t","description":"` + text + `"}`)}
	got, err := codec.Encode(nil, e)
	if err != nil || len(got) < 479 || len(got) > 480 || !strings.HasSuffix(string(got), "é") || !strings.Contains(string(got), "\ttitle=t\tmsg=é") {
		t.Errorf("%d bytes, %v: %q", len(got), err, got)
	}
	e.Body = []byte(`{"title":"` + text + `","description":"d"}`)
	if got, err = codec.Encode(nil, e); err != nil || len(got) < 479 || len(got) > 480 || !strings.Contains(string(got), "\texternalId=A\ttitle=éé") || r.Count(fields.PairDropped) != 1 {
		t.Errorf("%v, %d dropped, %d bytes: %q", err, r.Count(fields.PairDropped), len(got), got)
	}
	e.Type = []byte("compliance_check")
	e.Body = []byte(`{"violations":{"critical_policies":["` + text + `"]},"title":"t","description":"d"}`)
	if got, err = codec.Encode(nil, e); err != nil || !strings.HasSuffix(string(got), "externalId=A") || r.Count(fields.PairDropped) != 3 {
		t.Errorf("%v, %d dropped: %q", err, r.Count(fields.PairDropped), got)
	}
	e.ID = []byte(text)
	if got, err = codec.Encode(nil, e); !errors.Is(err, ErrTooLong) || len(got) != 0 {
		t.Errorf("%v: %q", err, got)
	}
}

func TestBadConfigs(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"leef_version: ":          func(c *Config) { c.Version = "3" },
		"delimiter: LEEF 1.0":     func(c *Config) { c.Version, c.Delimiter = "1.0", "^" },
		"delimiter: \"ab\"":       func(c *Config) { c.Delimiter = "ab" },
		"delimiter: \"x12345\"":   func(c *Config) { c.Delimiter = "x12345" },
		"delimiter: \"x\" ":       func(c *Config) { c.Delimiter = "x" },
		"delimiter: \"5E\"":       func(c *Config) { c.Delimiter = "5E" },
		"delimiter: \"=\"":        func(c *Config) { c.Delimiter = "=" },
		"delimiter: \"|\"":        func(c *Config) { c.Delimiter = "|" },
		"delimiter: \"x20\"":      func(c *Config) { c.Delimiter = "x20" },
		"delimiter: \"x0A\"":      func(c *Config) { c.Delimiter = "x0A" },
		"delimiter: \"xD800\"":    func(c *Config) { c.Delimiter = "xD800" },
		"vendor: ":                func(c *Config) { c.Vendor = "" },
		"product: ":               func(c *Config) { c.Product = " " },
		"product_version: ":       func(c *Config) { c.ProductVersion = "" },
		"max_message: ":           func(c *Config) { c.MaxMessage = -1 },
		"extensions: \"\"":        func(c *Config) { c.Extensions = []Extension{{"", "a"}} },
		"extensions: \"a b\"":     func(c *Config) { c.Extensions = []Extension{{"a b", "a"}} },
		"extensions: sev is":      func(c *Config) { c.Extensions = []Extension{{"sev", "a"}} },
		"extensions: identMAC is": func(c *Config) { c.Extensions = []Extension{{"identMAC", "a"}} },
		"extensions: a needs":     func(c *Config) { c.Extensions = []Extension{{"a", "b..c"}} },
		"extensions: a is given":  func(c *Config) { c.Extensions = []Extension{{"a", "b"}, {"a", "c"}} },
		"facility: ":              func(c *Config) { c.Facility = -1 },
	} {
		c := config()
		change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
