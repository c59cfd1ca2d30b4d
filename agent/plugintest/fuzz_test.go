package plugintest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzNextValue holds the scanner to encoding/json, which is laxer about UTF-8 alone.
func FuzzNextValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\u00e9\n",null,true,{}]}`, `{"a"}`, `[1,]`, `01`, `"\x"`, "\"\xff\"", `{} {}`, ``, ` `, `-`, `1.`, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > maxDepth {
			return
		}
		value, rest, err := nextValue(b)
		ok := err == nil && value != nil && skipSpace(rest, 0) == len(rest)
		if want := json.Valid(b) && utf8.Valid(b); ok != want {
			t.Errorf("%q: %v (%v), encoding/json says %v", b, ok, err, want)
		}
	})
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"<34>1 - h a - m [a@1 b=\"c\"] x", "<34>Oct  9 22:14:15 h t: x", `CEF:0|v|p|1|c|n|5|a=b c=d\=`, "LEEF:2.0|v|p|1|id|^|a=b^c=d"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		ParseRFC5424(b)
		ParseRFC3164(b)
		ParseCEF(b)
		ParseLEEF(b)
		quickSyslogID(b)
		quickID(b)
		if !bytes.Equal(b, before) {
			t.Error("a parser wrote to its input")
		}
	})
}

func FuzzBulk(f *testing.F) {
	f.Add([]byte("{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":\"1\"}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		actions, err := parseActions(b, "i")
		if err != nil {
			return
		}
		validate(actions)
		for _, a := range actions {
			checkDocument(a.doc, true)
		}
	})
}

func FuzzFaults(f *testing.F) {
	f.Add("503:20%:n=5,slow=50ms,item=429:1%,413:over=100KB:taken")
	f.Fuzz(func(t *testing.T, spec string) {
		list, err := parseFaults(spec, time.Time{})
		for _, x := range list {
			if err == nil && (x.share < 0 || x.share > 1) {
				t.Errorf("%q: share %v", spec, x.share)
			}
		}
	})
}
