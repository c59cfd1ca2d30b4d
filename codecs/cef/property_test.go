package cef

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// extensionText is what a pair holds of a text, written unlike the codec.
func extensionText(s string, limit int) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if (r < 0x20 || r == 0x7f) && r != '\n' && r != '\r' {
			return ' '
		}
		return r
	}, s)
	return vectors.Cut(s, limit)
}

func check(t interface{ Fatalf(string, ...any) }, p vectors.Parts, c Config) {
	codec, err := New(c)
	if err != nil {
		t.Fatalf("config: %v", err)
	}
	e := p.Event()
	prefix := "before "
	out, err := codec.Encode([]byte(prefix), e)
	if err != nil {
		if !errors.Is(err, ErrTooLong) || c.MaxMessage == 0 || string(out) != prefix {
			t.Fatalf("%v, left %q", err, out)
		}
		return
	}
	s, ok := strings.CutPrefix(string(out), prefix)
	if !ok {
		t.Fatalf("what was there before is gone: %q", out)
	}
	if c.MaxMessage > 0 && len(s) > c.MaxMessage {
		t.Fatalf("%d bytes, allowed are %d", len(s), c.MaxMessage)
	}
	if !utf8.ValidString(s) {
		t.Fatalf("no UTF-8: %q", s)
	}
	r, err := parse(s)
	if err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	class := ""
	if p.Type == "anomaly" {
		class = vectors.Cut(vectors.OneLine(p.Class), maxClass)
	}
	if class == "" {
		class = vectors.Cut(vectors.OneLine(p.Type), maxClass)
	}
	if class == "" {
		class = "event"
	}
	if r.class != class {
		t.Fatalf("class %q, want %q, in %q", r.class, class, s)
	}
	whole := c.MaxMessage == 0 || len(s) < c.MaxMessage-1000
	if name := vectors.Cut(vectors.OneLine(p.Title), maxName); name != "" && r.name != name && (whole || r.name == "" || !strings.HasPrefix(name, r.name)) {
		t.Fatalf("name %q, want %q, in %q", r.name, name, s)
	}
	want := map[string]string{
		"externalId": extensionText(p.ID, 40), "deviceExternalId": extensionText(p.Source, 255), "cat": extensionText(p.Type, 1023),
	}
	if p.Type == "anomaly" && whole {
		want["cs1"], want["cs2"], want["cs3"] = extensionText(p.Tactic, 4000), extensionText(p.Technique, 4000), extensionText(p.Detector, 4000)
		want["cs5"] = extensionText(strings.Join(p.List, "; "), 4000)
	}
	if p.Type == "risk_assessment" && whole {
		want["cs1"] = extensionText(strings.Join(p.List, "; "), 4000)
	}
	if len(c.Extensions) > 0 && whole {
		want["cs6"], want["suser"] = extensionText(p.Level, 4000), extensionText(p.Class, 1023)
	}
	for key, text := range want {
		if got, ok := r.get(key); got != text || ok != (text != "") {
			t.Fatalf("%s is %q, want %q, in %q", key, got, text, s)
		}
	}
	msg, _ := r.get("msg")
	if text := extensionText(p.Description, 1023); text != "" && p.Type != "risk_assessment" && p.Type != "compliance_check" {
		if whole && msg != text || !strings.HasPrefix(text, msg) {
			t.Fatalf("msg is %q, want %q", msg, text)
		}
	}
}

func TestStrictParsersReadWhatWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config()
		c.Version = rapid.IntRange(0, 1).Draw(t, "version")
		c.Host = rapid.String().Draw(t, "host")
		if rapid.Bool().Draw(t, "limited") {
			c.MaxMessage = rapid.IntRange(rfc5424.MinMessage, 6000).Draw(t, "max")
		}
		if rapid.Bool().Draw(t, "extended") {
			c.Extensions = []Extension{{"cs6", "risk.level", "level"}, {"suser", "anomaly.type", ""}}
		}
		check(t, vectors.Draw(t), c)
	})
}

func config() Config {
	return Config{
		HeaderConfig: rfc5424.HeaderConfig{RFC: "none", Host: vectors.Host},
		Vendor:       vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version,
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("ANO-1", "anomaly", "DEV-1", "Title", "text", 600)
	f.Add(`\`, "anomaly", "a=b", "x| |10|src=1.1.1.1 cs1=evil cs1Label=role", "a\\\r\nb=c \\", 0)
	f.Add("\xff", "risk_assessment", "é", "", " \x00 ", 480)
	f.Fuzz(func(t *testing.T, id, typ, source, title, text string, limit int) {
		p := vectors.Parts{
			ID: id, Type: typ, Source: source, Title: title, Description: text, Class: title, Detector: text,
			Tactic: source, Technique: text, Level: title, List: []string{text, title},
		}.Valid()
		c := config()
		if limit >= rfc5424.MinMessage {
			c.MaxMessage = limit
		}
		check(t, p, c)
	})
}

// FuzzBody shows that a damaged body or text that is no UTF-8 does no harm.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"title":"a","risk":{"total_score":1.5,"level":[]},"risk_components":{"behavior":"x"}}`), []byte("risk_assessment"))
	f.Add([]byte(`{"description":"\u003d\`), []byte{0xff, '\n', '='})
	c := config()
	c.Extensions = []Extension{{"src", "src", ""}, {"cn1x", "a.b", ""}, {"flexString1", "title", "t"}}
	codec, err := New(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, other []byte) {
		out, err := codec.Encode(nil, &agent.Event{Body: body, ID: other, Type: other, Source: other})
		if err != nil {
			t.Fatal(err)
		}
		if fields.HasControl(out) {
			t.Errorf("control characters in %q", out)
		}
		if _, err := parse(string(out)); err != nil {
			t.Errorf("%v: %q", err, out)
		}
	})
}
