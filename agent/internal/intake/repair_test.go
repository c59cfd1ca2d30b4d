package intake

import (
	"encoding/json"
	"testing"
)

func TestMend(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		if got := string(mend([]byte("x"), []byte(src))); got != "x"+want {
			t.Errorf("mend(%q) = %q, want %q", src, got[1:], want)
		}
	}
	f(`{"a":"b"}`, `{"a":"b"}`)
	f(`"\u0041\ud83d\ude00\n\\ud800"`, `"\u0041\ud83d\ude00\n\\ud800"`)
	f(`"x\ud800y"`, "\"x\uFFFDy\"")
	f(`"\ud800\ud83d\ude00"`, "\"\uFFFD\\ud83d\\ude00\"")
	f(`"\udc00\uDBFF"`, "\"\uFFFD\uFFFD\"")
	f("\"\xff\xe2\x82é\"", "\"\uFFFD\uFFFD\uFFFDé\"")
	f("\"\xed\xa0\x80\"", "\"\uFFFD\uFFFD\uFFFD\"")
	f("{\"k\xff\" : \"\uFFFD\"}", "{\"k\uFFFD\" : \"\uFFFD\"}")
}

func TestDedupe(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		got, removed := dedupe([]byte("x"), []byte(src))
		if string(got) != "x"+want || removed != (src != want) {
			t.Errorf("dedupe(%s) = %s, %v, want %s", src, got[1:], removed, want)
		}
	}
	f(`{"a":1,"b":2}`, `{"a":1,"b":2}`)
	f(`{}`, `{}`)
	f(`{"a":1,"b":2,"a":3.0}`, `{"b":2,"a":3.0}`)
	f(`{"a":1,"\u0061":2,"b":"\u0041"}`, `{"\u0061":2,"b":"\u0041"}`)
	f(`{"o":{"x":1,"x":{"y":1,"y":2}},"l":[{"z":1,"z":2},[],null]}`, `{"o":{"x":{"y":2}},"l":[{"z":2},[],null]}`)
	f(`{"":1,"":2}`, `{"":2}`)
}

// FuzzRepair holds what mending and deduping promise for any valid text.
func FuzzRepair(f *testing.F) {
	for _, s := range []string{`{"a":1,"a":2}`, `{"a":"\ud800","b":"\xff"}`, `[{"\u0061":1,"a":{"b":1,"b":1}}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if !json.Valid(src) {
			mend(nil, src) // and no panic
			return
		}
		var before, after any
		if json.Unmarshal(src, &before) != nil {
			return // a number that float64 cannot hold: nothing to compare with
		}
		mended := mend(nil, src)
		out, _ := dedupe(nil, mended)
		if !json.Valid(out) || json.Unmarshal(out, &after) != nil || !same(before, after) {
			t.Fatalf("%q became %q", src, out)
		}
		var s scanner
		var d doc
		if s.scan(out, &d); d.badText || d.duplicates {
			t.Fatalf("%q became %q, and is not clean", src, out)
		}
	})
}
