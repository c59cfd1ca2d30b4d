package json

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

const sample = ` {"event_id" : "ANO-1", "n": 85.0, "b":true,"z":null, "o": { "s":"a\"}b", "d":[1, {"x":"]"} ] }, "\u0061bc":"é", "n": 1e3, "e":""} `

func TestWalk(t *testing.T) {
	tests := []struct{ name, obj, want string }{
		{"all kinds", sample, `event_id="ANO-1" n=85.0 b=true z=null o={ "s":"a\"}b", "d":[1, {"x":"]"} ] } \u0061bc="é" n=1e3 e="" `},
		{"empty", `{}`, ``},
		{"empty key", `{"":1}`, `=1 `},
		{"backslashes", `{"a\\":"b\\","c":"\\\""}`, `a\\="b\\" c="\\\"" `},
		{"array", `[1]`, ``},
		{"nothing", ``, ``},
		{"truncated", `{"a":`, ``},
		{"truncated key", `{"a`, ``},
		{"no value", `{"a":}`, ``},
	}
	for _, tt := range tests {
		var got strings.Builder
		Walk([]byte(tt.obj), func(k, v []byte) bool { fmt.Fprintf(&got, "%s=%s ", k, v); return true })
		if got.String() != tt.want {
			t.Errorf("%s: Walk = %s, want %s", tt.name, got.String(), tt.want)
		}
	}
	n := 0
	Walk([]byte(sample), func(_, _ []byte) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("Walk went on for %d members after it was told to stop", n)
	}
}

func TestGet(t *testing.T) {
	f := func(want string, path ...string) {
		t.Helper()
		got, ok := Get([]byte(sample), path...)
		if ok != (want != "") || string(got) != want {
			t.Errorf("Get(%q) = %s, %v, want %s", path, got, ok, want)
		}
	}
	f(`"ANO-1"`, "event_id")
	f(`1e3`, "n") // the last of two
	f(`null`, "z")
	f(`"é"`, "abc") // the key has an escape
	f(`"a\"}b"`, "o", "s")
	f(`[1, {"x":"]"} ]`, "o", "d")
	f(``, "o", "q")
	f(``, "n", "q")
	f(``, "nothing")
	f(sample)
}

func TestElements(t *testing.T) {
	f := func(arr, want string) {
		t.Helper()
		var got []string
		Elements([]byte(arr), func(v []byte) bool { got = append(got, string(v)); return true })
		if g := strings.Join(got, "|"); g != want {
			t.Errorf("Elements(%s) = %s, want %s", arr, g, want)
		}
	}
	f(` [ 1 , "a,]" ,[2,3], {"x":[1]} , null ] `, `1|"a,]"|[2,3]|{"x":[1]}|null`)
	f(`[]`, ``)
	f(`{"a":1}`, ``)
	f(`[1,`, `1`)
	n := 0
	Elements([]byte(`[1,2,3]`), func([]byte) bool { n++; return false })
	if n != 1 {
		t.Errorf("Elements went on for %d elements", n)
	}
}

func TestUnquote(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		if got := string(Unquote([]byte("x"), []byte(raw))); got != "x"+want {
			t.Errorf("Unquote(%s) = %q, want %q", raw, got, "x"+want)
		}
	}
	f(`"plain"`, "plain")
	f(`""`, "")
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	f(`"\u00e9\u20AC"`, "é€")
	f(`"\ud83d\ude00!"`, "😀!")
	f(`"x\ud800y"`, "x\uFFFDy")
	f(`"\ude00"`, "\uFFFD")
	f(`"\ud800\u0041"`, "\uFFFDA")
	f(`"\ud800\ud83d\ude00"`, "\uFFFD😀")
	f(`"\u0000"`, "\x00")
	f(`42`, "42")
	f(`"`, `"`)
	f(`"\`, `"\`)
	f(`"\u12"`, `\u12`)
}

func TestAppendString(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := string(AppendString([]byte("x"), s)); got != "x"+want {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
		if got := string(AppendString(nil, []byte(s))); got != want {
			t.Errorf("AppendString([]byte(%q)) = %s, want %s", s, got, want)
		}
	}
	f("", `""`)
	f("plain", `"plain"`)
	f("a\"b\\c/<>&'\x7f\u2028", "\"a\\\"b\\\\c/<>&'\x7f\u2028\"")
	f("\n\r\t\x00\x1f", `"\n\r\t\u0000\u001f"`)
	f("é€😀", `"é€😀"`)
	f("a\xffb\xe2\x82", "\"a\uFFFDb\uFFFD\uFFFD\"")
}

func TestHolds(t *testing.T) {
	f := func(text, part string, want bool) {
		t.Helper()
		if got := Holds([]byte(text), part); got != want {
			t.Errorf("%s holds %q: %t", text, part, got)
		}
	}
	f(`{"title":"caf\u00e9 Zürich"}`, "café zÜrich", true)
	f(`{"title":"caf\u00e9"}`, `caf\u00E9`, true)
	f(`{"title":"a \"b\" \/c\ud83d\ude00"}`, "a \"b\" /c\U0001F600", true)
	f(`{"title":"plain"}`, `"title":"PLAIN"`, true)
	f(`{"title":"plain"}`, "", true)
	f(`{"title":"plain"}`, "plane", false)
	f(`{"title":"caf\u00e8"}`, "café", false)
}

func TestText(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		if got := string(Text([]byte("x"), []byte(value))); got != "x"+want {
			t.Errorf("Text(%s) = %s, want %s", value, got, want)
		}
	}
	f(`"a\nb"`, "a\nb")
	f(`85.0`, "85.0")
	f(`true`, "true")
	f(`null`, "")
	f(``, "")
	f(`["a", "b\"c"]`, `a; b"c`)
	f(`[]`, ``)
	f(`["a", 1 ]`, `["a",1]`)
	f(`{"a": [1, "x y"]}`, `{"a":[1,"x y"]}`)
}

func TestKinds(t *testing.T) {
	f := func(value string, want Kind, absent bool) {
		t.Helper()
		if got := KindOf([]byte(value)); got != want || IsAbsent([]byte(value)) != absent {
			t.Errorf("KindOf(%s) = %v, absent %v", value, got, IsAbsent([]byte(value)))
		}
	}
	f(`null`, Null, true)
	f(`""`, String, true)
	f(``, None, true)
	f(`?`, None, false)
	f(`false`, Bool, false)
	f(`-1`, Number, false)
	f(`[]`, Array, false)
	f(`{}`, Object, false)
}

func TestNothingAllocates(t *testing.T) {
	buf := make([]byte, 0, 4096)
	in := []byte(sample)
	n := testing.AllocsPerRun(100, func() {
		count := 0
		Walk(in, func(_, _ []byte) bool { count++; return true })
		v, _ := Get(in, "o", "s")
		buf = Unquote(buf[:0], v)
		buf = AppendString(buf, "a\"é\xff")
		buf = AppendString(buf, v)
		buf = Compact(buf, in)
		buf = Text(buf, in[1:])
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzJSON holds all functions to the standard library on valid input and to
// not panicking on any.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{sample, `{"a":[1,2,{"b":"c"}]}`, `["a","b"]`, `"\ud800x"`, `{"a\\":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":`, `[`, `{"":""}`, ` [ ] `, `"`, `\`, `{"a" 1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var keys int
		Walk(b, func(_, _ []byte) bool { keys++; return true })
		Elements(b, func([]byte) bool { return true })
		compact := Compact(nil, b)
		text := Text(nil, b)
		Unquote(nil, b)
		KeyIs(b, "ab")

		quoted := AppendString(nil, b)
		var back string
		if err := stdjson.Unmarshal(quoted, &back); err != nil || back != string(bytes.ToValidUTF8(b, []byte("\uFFFD"))) && utf8.Valid(b) {
			t.Errorf("AppendString(%q) = %s: %v", b, quoted, err)
		}
		if got := string(Unquote(nil, quoted)); got != back {
			t.Errorf("Unquote(%s) = %q, want %q", quoted, got, back)
		}
		if !stdjson.Valid(b) {
			return
		}
		var std bytes.Buffer
		stdjson.Compact(&std, b)
		if !bytes.Equal(std.Bytes(), compact) {
			t.Errorf("Compact(%q) = %q, want %q", b, compact, std.Bytes())
		}
		var v any
		if stdjson.Unmarshal(b, &v) != nil {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for k, want := range v {
				if !utf8.Valid(b) {
					break // the standard library mends keys, we have nothing to mend
				}
				raw, ok := Get(b, k)
				if !ok && !strings.ContainsRune(k, utf8.RuneError) {
					t.Fatalf("Get(%q, %q) found nothing", b, k)
				}
				var got any
				if ok && (stdjson.Unmarshal(raw, &got) != nil || fmt.Sprint(got) != fmt.Sprint(want)) {
					t.Errorf("Get(%q, %q) = %s", b, k, raw)
				}
			}
			if keys < len(v) {
				t.Errorf("Walk(%q) saw %d of %d members", b, keys, len(v))
			}
		case []any:
			n := 0
			Elements(b, func(raw []byte) bool { n++; return stdjson.Valid(raw) })
			if n != len(v) {
				t.Errorf("Elements(%q) saw %d of %d elements", b, n, len(v))
			}
		case string:
			if trimmed := bytes.Trim(b, " \t\r\n"); utf8.Valid(b) && string(Text(nil, trimmed)) != v {
				t.Errorf("Text(%s) = %q, want %q (%q)", b, Text(nil, trimmed), v, text)
			}
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	in := Compact(nil, []byte(sample))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		Walk(in, func(_, _ []byte) bool { n++; return true })
	}
}
