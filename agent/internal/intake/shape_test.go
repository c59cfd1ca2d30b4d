package intake

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// agree scans text with what s has learnt and without any of it, and wants the same.
func agree(t *testing.T, s *scanner, text []byte) {
	t.Helper()
	var fresh scanner
	var got, want doc
	gotFault, wantFault := s.scan(text, &got), fresh.check(text, &want)
	if gotFault != wantFault {
		t.Fatalf("%q:\n got fault %+v\nwant fault %+v", text, gotFault, wantFault)
	}
	if wantFault.reason == "" && got != want {
		t.Fatalf("%q:\n got %+v\nwant %+v", text, got, want)
	}
}

// knows reports whether s takes text without a scan.
func knows(s *scanner, text string) bool {
	var d doc
	return s.shapes.match([]byte(text), &d)
}

func TestShapes(t *testing.T) {
	const learnt = `{"event_id":"a","n":1,"severity":"low","list":["x",true],"o":{},"anomaly":{"severity":"high"}}`
	for _, c := range []struct {
		name, text string
		known      bool
	}{
		{"the same", learnt, true},
		{"other values", `{"event_id":"bcd","n":-1.5e3,"severity":"","list":["yy",null],"o":{},"anomaly":{"severity":"none"}}`, true},
		{"escapes", `{"event_id":"\"\\\u00e4","n":1,"severity":"low","list":["x",true],"o":{},"anomaly":{"severity":"high"}}`, true},
		{"beyond ASCII", `{"event_id":"é漢😀","n":1,"severity":"low","list":["x",true],"o":{},"anomaly":{"severity":"high"}}`, true},
		{"white space at the end", learnt + " \r\n", true},
		{"white space at the beginning", " " + learnt, false},
		{"white space within", strings.Replace(learnt, `:`, `: `, 1), false},
		{"another key", strings.Replace(learnt, `"n"`, `"m"`, 1), false},
		{"the same key twice", strings.Replace(learnt, `"n"`, `"list"`, 1), false},
		{"a string for a number", strings.Replace(learnt, `1`, `"1"`, 1), false},
		{"a number for a string", strings.Replace(learnt, `"a"`, `7`, 1), false},
		{"an object for a string", strings.Replace(learnt, `"a"`, `{}`, 1), false},
		{"a longer list", strings.Replace(learnt, `true]`, `true,1]`, 1), false},
		{"something after it", learnt + "x", false},
		{"two texts", learnt + learnt, false},
		{"no end", learnt[:len(learnt)-1], false},
		{"an escape that is none", strings.Replace(learnt, `"a"`, `"\x"`, 1), false},
		{"a control character", strings.Replace(learnt, `"a"`, "\"\x01\"", 1), false},
		{"a leading zero", strings.Replace(learnt, `1`, `01`, 1), false},
		{"a number that does not end", strings.Replace(learnt, `1`, `1.`, 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			agree(t, &s, []byte(learnt))
			if got := knows(&s, c.text); got != c.known {
				t.Errorf("known: %v, want %v", got, c.known)
			}
			agree(t, &s, []byte(c.text))
			agree(t, &s, []byte(c.text)) // learnt meanwhile, if it can be
		})
	}
}

// What was learnt must never change what a scan says, whatever comes.
func TestShapesAgreeWithScan(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g := plugintest.NewGenerator(3)
	texts := [][]byte{
		[]byte(usual), []byte(`{}`), []byte(`{"a":[]}`), []byte(`{"a":[1,"b",{"c":null}],"severity":5}`), []byte(`[1,2]`), []byte(`"x"`), []byte(`17`),
		[]byte(`{"severity":{"a":1},"timestamp":[1]}`), []byte(`{"anomaly":{"severity":1},"risk":{"level":"x"}}`), []byte(`{"anomaly_id":"r","x":1}`),
	}
	for range 40 {
		texts = append(texts, bytes.TrimSpace(g.Append(nil)))
	}
	var s scanner
	rounds := 60_000
	if testing.Short() {
		rounds = 6_000
	}
	pieces := []string{`"`, `,`, `:`, `{`, `}`, `[`, `]`, `0`, `-`, `.`, `e`, `null`, `true`, ` `, "\n", `\`, `\"`, `\ud800`, "\xff", "é", `"a":1,`, `"severity":"low",`, `{}`, `""`}
	for range rounds {
		text := bytes.Clone(texts[r.IntN(len(texts))])
		for range r.IntN(3) {
			at := r.IntN(len(text) + 1)
			to := min(len(text), at+r.IntN(4))
			text = append(append(bytes.Clone(text[:at]), pieces[r.IntN(len(pieces))]...), text[to:]...)
		}
		agree(t, &s, text)
	}
	if s.shapes.steps == 0 {
		t.Fatal("nothing was learnt")
	}
}

// Texts that never repeat must not make a scanner grow, nor learn for ever.
func TestShapesAreBounded(t *testing.T) {
	var s scanner
	var d doc
	learnt := 0
	for i := range 20_000 {
		before := s.shapes.credit
		s.scan(fmt.Appendf(nil, `{"key%d":{"%d":1,"x":[1,2,3,"%d"]}}`, i, i*7, i), &d)
		if s.shapes.credit < before {
			learnt++
		}
		if s.shapes.steps > maxSteps+maxValues || s.shapes.bytes > maxStepText+1<<10 {
			t.Fatalf("%d steps, %d bytes", s.shapes.steps, s.shapes.bytes)
		}
	}
	if limit := 8 * (20_000/chanceEvery + 1); learnt > limit {
		t.Errorf("learnt %d shapes, want at most %d", learnt, limit)
	}
	// What repeats then is learnt all the same.
	for range 4 * chanceEvery {
		s.scan([]byte(usual), &d)
	}
	if !knows(&s, usual) {
		t.Error("a text that came 4,096 times is not known")
	}
}

// What stands between the values of one huge text is not kept either.
func TestHugeShapesAreNotLearnt(t *testing.T) {
	var s scanner
	var d doc
	text := fmt.Appendf(nil, `{"a":1,"%s":{}}`, strings.Repeat("k", 10<<20))
	for range 2 {
		if f := s.scan(text, &d); f.reason != "" {
			t.Fatal(f)
		}
	}
	if s.shapes.bytes > maxStepText {
		t.Errorf("%d bytes are kept of a text of %d", s.shapes.bytes, len(text))
	}
}

func FuzzShapes(f *testing.F) {
	f.Add([]byte(usual), []byte(strings.Replace(usual, `0.92`, `[1]`, 1)))
	f.Add([]byte(`{"a":1}`), []byte(`{"a":"1"}`))
	f.Add([]byte(`{"a":[1]}`), []byte(`{"a":[]}`))
	f.Fuzz(func(t *testing.T, learnt, text []byte) {
		var s scanner
		agree(t, &s, learnt)
		agree(t, &s, text)
		agree(t, &s, learnt)
	})
}
