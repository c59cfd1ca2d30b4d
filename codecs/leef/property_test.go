package leef

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

func config() Config {
	return Config{
		HeaderConfig: rfc5424.HeaderConfig{RFC: "none", Host: vectors.Host},
		Vendor:       vectors.Vendor, Product: vectors.Product, ProductVersion: vectors.Version,
	}
}

func check(t interface{ Fatalf(string, ...any) }, p vectors.Parts, c Config) {
	codec, err := New(c)
	if err != nil {
		t.Fatalf("config: %v", err)
	}
	prefix := "before "
	out, err := codec.Encode([]byte(prefix), p.Event())
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
	blank := func(text string) string {
		text = vectors.OneLine(text)
		if len([]rune(c.Delimiter)) == 1 {
			text = strings.ReplaceAll(text, c.Delimiter, " ")
		}
		return strings.Trim(text, " ")
	}
	class := ""
	if p.Type == "anomaly" {
		class = vectors.Cut(vectors.OneLine(p.Class), maxEventID)
	}
	if class == "" {
		class = vectors.Cut(vectors.OneLine(p.Type), maxEventID)
	}
	if class == "" {
		class = "event"
	}
	if class = strings.ReplaceAll(class, "|", "_"); r.event != class {
		t.Fatalf("EventID %q, want %q", r.event, class)
	}
	want := map[string]string{"cat": blank(p.Type), "resource": blank(p.Source), "externalId": blank(p.ID)}
	whole := c.MaxMessage == 0 || len(s) < c.MaxMessage-2000
	if whole {
		want["msg"] = blank(p.Description)
		switch p.Type {
		case "anomaly":
			want["mitreTactic"], want["mitreTechnique"] = blank(p.Tactic), blank(p.Technique)
			want["detector"], want["title"] = blank(p.Detector), blank(p.Title)
		case "risk_assessment":
			want["riskLevel"], want["riskFactors"] = blank(p.Level), blank(strings.Join(p.List, "; "))
		case "compliance_check":
			want["criticalPolicies"] = blank(strings.Join(p.List, "; "))
		default:
			want["title"] = blank(p.Title)
		}
	}
	for key, text := range want {
		if got, ok := r.get(key); got != text || ok != (text != "") {
			t.Fatalf("%s is %q, want %q, in %q", key, got, text, s)
		}
	}
	if msg, _ := r.get("msg"); !strings.HasPrefix(blank(p.Description), msg) {
		t.Fatalf("msg is %q, want the beginning of %q", msg, p.Description)
	}
	if title, _ := r.get("title"); !strings.HasPrefix(blank(p.Title), title) {
		t.Fatalf("title is %q, want the beginning of %q", title, p.Title)
	}
}

func TestStrictParsersReadWhatWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config()
		c.Version = rapid.SampledFrom([]string{"2.0", "1.0"}).Draw(t, "version")
		if c.Version == "2.0" {
			c.Delimiter = rapid.SampledFrom([]string{"", "^", "x09", "é", "~"}).Draw(t, "delimiter")
		}
		c.Host = rapid.String().Draw(t, "host")
		if rapid.Bool().Draw(t, "limited") {
			c.MaxMessage = rapid.IntRange(rfc5424.MinMessage, 6000).Draw(t, "max")
		}
		check(t, vectors.Draw(t), c)
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("ANO-1", "anomaly", "DEV-1", "Title", "text", 600)
	f.Add("a|b\tc=d", "a|b", "^", "\t", "x\tcat=evil^cat=evil", 0)
	f.Add("\xff", "risk_assessment", "é", "", " \x00 ", 480)
	f.Fuzz(func(t *testing.T, id, typ, source, title, text string, limit int) {
		p := vectors.Parts{
			ID: id, Type: typ, Source: source, Title: title, Description: text, Class: title, Detector: text,
			Tactic: source, Technique: text, Level: title, List: []string{text, title}, Time: int64(limit) * 1e12,
		}.Valid()
		p.Time = max(p.Time, 0)
		c := config()
		c.Delimiter = "^"
		if limit >= rfc5424.MinMessage {
			c.MaxMessage = limit
		}
		check(t, p, c)
	})
}

// FuzzBody shows that a damaged body or text that is no UTF-8 does no harm.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"title":"a","anomaly":{"type":["|"]},"compliance":{"score":[[]]}}`), []byte("compliance_check"))
	f.Add([]byte(`{"description":"\u0009\`), []byte{0xff, '\n', '='})
	c := config()
	c.Extensions = []Extension{{"usrName", "title"}, {"inner", "anomaly.type"}}
	codec, err := New(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, other []byte) {
		out, err := codec.Encode(nil, &agent.Event{Body: body, ID: other, Type: other, Source: other, Time: 1761739200e9})
		if err != nil {
			t.Fatal(err)
		}
		if fields.HasControl([]byte(strings.ReplaceAll(string(out), "\t", ""))) {
			t.Errorf("control characters in %q", out)
		}
		if _, err := parse(string(out)); err != nil {
			t.Errorf("%v: %q", err, out)
		}
	})
}
