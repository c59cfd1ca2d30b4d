package fields

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	for raw, want := range map[string]string{
		`"a"`: "a", `"a\tb\u00e9\""`: "a\tb\u00e9\"", `85.0`: "85.0", `true`: "true", `null`: "", ``: "", `""`: "",
		`["a","b\n"]`: "a; b\n", `[]`: "", `["a", 1]`: `["a",1]`, `{"a" : 1}`: `{"a":1}`,
	} {
		v := Value(raw)
		if got := v.AppendText([]byte(".")); string(got) != "."+want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
		if text, ok := v.Plain(); ok && string(text) != want {
			t.Errorf("%s: plain %q, want %q", raw, text, want)
		}
		var s string
		if raw == "" || raw == "null" {
			continue
		}
		quoted := v.AppendJSON([]byte("."))
		if err := json.Unmarshal(quoted[1:], &s); err != nil || s != want {
			t.Errorf("%s: as JSON %s, %v", raw, quoted, err)
		}
	}
}

func TestShortTexts(t *testing.T) {
	const whole = "0123456789abcdefghijklmnopqrstuvwxyz"
	for n := range len(whole) {
		for _, room := range []int{0, n, 15, 16, 17, 100} {
			for _, behind := range []int{0, 1, len(whole) - n} {
				text := []byte(whole)[: n : n+min(behind, len(whole)-n)]
				dst := append(make([]byte, 0, 1+room), '.')
				if got := AppendShort(dst, text); string(got) != "."+whole[:n] {
					t.Fatalf("%q of %d bytes with %d behind them, into %d", got, n, behind, room)
				}
			}
		}
	}
}

func TestLines(t *testing.T) {
	var r Repairs
	for in, want := range map[string]string{
		"plain é": "plain é", "a\r\nb": "a b", "a\n\rb": "a  b", "\r\n\r\n": "  ", "\x00\x1f\x7f\u0080\u2028": "   \u0080\u2028", "": "",
	} {
		if got := AppendLine([]byte("."), []byte(in), &r); string(got) != "."+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if n := r.Count(ControlChar); n != 4 {
		t.Errorf("%d lines repaired", n)
	}
	if got := Value(`"a\r\n\u0001é"`).AppendLine([]byte("."), nil); string(got) != ".a  é" {
		t.Errorf("%q", got)
	}
}

func TestSearchesAgreeWithPlainLoops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "text")
		if rapid.Bool().Draw(t, "printable") {
			for i := range text {
				text[i] = text[i]%0x5f + 0x20
			}
		}
		control := bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
		special := bytes.ContainsAny(text, `"\]`)
		if HasControl(text) != control || IsClean(text, '"', '\\', ']') != (!control && !special) {
			t.Errorf("%q: control %v, clean %v", text, HasControl(text), IsClean(text, '"', '\\', ']'))
		}
		ascii := !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
		if IsASCII(text) != ascii {
			t.Errorf("%q: ASCII %v", text, IsASCII(text))
		}
		var back string
		if err := json.Unmarshal(AppendString(nil, text), &back); err != nil || back != strings.ToValidUTF8(string(text), "\uFFFD") && utf8.Valid(text) {
			t.Errorf("%q became %q, %v", text, back, err)
		}
		if got := AppendInside([]byte("."), text); !bytes.Equal(append(append([]byte(`."`), got[1:]...), '"'), AppendString([]byte("."), text)) {
			t.Errorf("inside of %q is %q", text, got)
		}
	})
}

func TestCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		n := rapid.IntRange(-1, 40).Draw(t, "n")
		runes := []rune(s)
		if got, want := string(CutChars([]byte(s), max(n, 0))), string(runes[:min(len(runes), max(n, 0))]); got != want {
			t.Errorf("%q to %d characters: %q, want %q", s, n, got, want)
		}
		want := ""
		for i := range s + "x" {
			if i <= n && i <= len(s) {
				want = s[:i]
			}
		}
		if got := string(CutBytes([]byte(s), n)); got != want {
			t.Errorf("%q to %d bytes: %q, want %q", s, n, got, want)
		}
		if got := string(Trim([]byte(" " + s + "  "))); got != strings.Trim(s, " ") {
			t.Errorf("%q trimmed: %q", s, got)
		}
	})
	if got := CutBytes([]byte("\x80\x80\x80\x80\x80\x80"), 5); len(got) != 5 {
		t.Errorf("what is no UTF-8 was cut to %d bytes", len(got))
	}
}
