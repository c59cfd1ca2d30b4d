package rfc5424

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

// check encodes p and reads the message back with a strict parser.
func check(t interface{ Fatalf(string, ...any) }, p vectors.Parts, c Config) {
	e := p.Event()
	codec, err := New(c)
	if err != nil {
		t.Fatalf("config: %v", err)
	}
	prefix := "something before "
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
		t.Fatalf("%d bytes, allowed are %d: %q", len(s), c.MaxMessage, s)
	}
	if fields.HasControl([]byte(s)) || !utf8.ValidString(s) {
		t.Fatalf("not one line of UTF-8: %q", s)
	}
	m, err := parse(s)
	if err != nil {
		t.Fatalf("%v: %q", err, s)
	}
	if m.pri>>3 != c.Facility {
		t.Fatalf("facility %d in %q", m.pri>>3, s)
	}
	for _, f := range []struct{ param, text string }{
		{"eventId", p.ID},
		{"device", p.Source},
		{"tactic", p.Tactic},
		{"technique", p.Technique},
		{"severity", fields.SeverityName(p.Severity)},
	} {
		want := vectors.OneLine(f.text)
		if got, ok := m.param(f.param); got != want || ok != (want != "") {
			t.Fatalf("%s is %q, want %q, in %q", f.param, got, want, s)
		}
	}
	if p.Type == "risk_assessment" || p.Type == "compliance_check" {
		return
	}
	want := p.Title
	if want == "" {
		if want = p.Type; want == "" {
			want = "event"
		}
	}
	want = vectors.OneLine(want)
	if c.BOM == "always" || c.BOM == "auto" && !fields.IsASCII([]byte(want)) {
		want = bom + want
	}
	if len(out)-len(prefix) > c.MaxMessage-utf8.UTFMax && c.MaxMessage > 0 || !m.hasMsg {
		if !strings.HasPrefix(want, m.msg) {
			t.Fatalf("%q is no beginning of %q", m.msg, want)
		}
	} else if m.msg != want {
		t.Fatalf("text is %q, want %q", m.msg, want)
	}
}

func TestStrictParsersReadWhatWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			HeaderConfig: HeaderConfig{Facility: rapid.IntRange(0, 23).Draw(t, "facility"), App: rapid.String().Draw(t, "app"), Host: rapid.String().Draw(t, "host")},
			BOM:          rapid.SampledFrom([]string{"off", "auto", "always"}).Draw(t, "bom"),
		}
		if rapid.Bool().Draw(t, "limited") {
			c.MaxMessage = rapid.IntRange(MinMessage, 3000).Draw(t, "max")
		}
		check(t, vectors.Draw(t), c)
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("ANO-1", "anomaly", "DEV-1", "Title", "TA0006", 500)
	f.Add("x\"] [evil@1 a=\"b", "\n", "\xff\x00", "ok\r\n<8>1 - - - - - -", `\`, 0)
	f.Fuzz(func(t *testing.T, id, typ, source, title, tactic string, limit int) {
		p := vectors.Parts{ID: id, Type: typ, Source: source, Title: title, Tactic: tactic, Technique: tactic}.Valid()
		if limit < MinMessage {
			limit = 0
		}
		check(t, p, Config{HeaderConfig: HeaderConfig{Facility: 16, App: "zerotrust", Host: source}, MaxMessage: limit, BOM: "auto"})
	})
}

// FuzzBody shows that a damaged body or text that is no UTF-8 does no harm.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"title":"a","mitre_attack":[{"tactic":["TA0001",{"id":"TA0002"}]}],"anomaly":{"score":{}}}`), []byte("anomaly"))
	f.Add([]byte(`{"title":"\ud800\`), []byte{0xff, '\n'})
	codec, err := New(Config{HeaderConfig: HeaderConfig{Facility: 1, App: "a"}})
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
