package fields_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/internal/vectors"
)

// check reads body with r, which may know its shape, and without.
func check(t interface{ Errorf(string, ...any) }, r *fields.Reader, eventType, body string) {
	e := agent.Event{Type: []byte(eventType), Body: []byte(body)}
	var got, want fields.Fields
	r.Read(&got, &e)
	want.Read(&e)
	if got.Kind != want.Kind || all(got) != all(want) {
		t.Errorf("%s: %s, want %s", body, all(got), all(want))
	}
	attack, ok := got.Attack()
	if wanted, plain := want.Attack(); ok != plain || !bytes.Equal(attack, wanted) {
		t.Errorf("%s: attack %s, %v, want %s, %v", body, attack, ok, wanted, plain)
	}
}

// Each pair is an event from which a shape is learnt, and one that has the
// same shape, or only seems to have it.
var pairs = [][2]string{
	{`{"title":"a","anomaly":{"score":1.5}}`, `{"title":"bcdefghijklmnopq","anomaly":{"score":-23.25}}`},
	{`{"title":"a","x":1,"description":"b"}`, `{"title":"\",\"x\":1,\"description\":\"","x":1,"description":"c"}`},
	{`{"title":"a\\","x":1}`, `{"title":"a\"","x":1}`},
	{`{"x":"ab","title":"c"}`, `{"x":"a\"","title":"c"}`},
	{`{"x":"ab","title":"c"}`, `{"x":"","title":""}`},
	{`{"x":"","title":""}`, `{"x":"\\","title":"\\"}`},
	{`{"x":12345678,"title":"12345678"}`, `{"x":1234567,"title":"1234567"}`},
	{`{"x":1,"title":"12345678901234567890"}`, `{"x":1e5,"title":"12345678901234567\"90"}`},
	{`{"x":1,"title":"12345678901234567890"}`, `{"x":1,"title":"12345678901234567"}`},
	{`{"x":1,"title":"abcdefghijkl"}`, `{"x":1,"title":"a","y":"fghi"}`},
	{`{"title":null,"x":true}`, `{"title":"a","x":false}`},
	{`{"title":"","x":true}`, `{"title":null,"x":[1]}`},
	{`{"title":5}`, `{"title":"5"}`},
	{`{"title":5}`, `{"title":null}`},
	{`{"title":{"a":1},"x":1}`, `{"title":{"b":[2,3]},"x":1}`},
	{`{"anomaly":null,"title":"a"}`, `{"anomaly":{"score":1},"title":"a"}`},
	{`{"anomaly":7,"title":"a"}`, `{"anomaly":{"score":1},"title":"a"}`},
	{`{"anomaly":[],"title":"a"}`, `{"anomaly":{"score":1},"title":"a"}`},
	{`{"anomaly":{},"title":"a"}`, `{"anomaly":{"score":1},"title":"a"}`},
	{`{"mitre_attack":[{"tactic":"TA1"}]}`, `{"mitre_attack":[{"tactic":"TA2"},{"technique":"T1"}]}`},
	{`{"mitre_attack":["x"]}`, `{"mitre_attack":{"tactic":"TA2"}}`},
	{`{"risk_factors":["a","b"],"x":{"risk_factors":[1]}}`, `{"risk_factors":[],"x":{"risk_factors":["]"]}}`},
	{`{"title":"a","title":"b"}`, `{"title":"c","title":""}`},
	{`{ "title" : "a" , "x" : 1 } `, `{ "title" : "bcd" , "x" : 1 } `},
	{`{"t\u0069tle":"a"}`, `{"t\u0069tle":"b"}`},
	{`{}`, `{}`},
	{`[{"title":"a"}]`, `[{"title":"b"}]`},
	{`{"title":"a"}`, `{"title":"a"`},
	{`{"title":"a","x":1}`, `{"title":"a","x":`},
	{`{"title":"a"}`, `{"title":"`},
	{`{"mitre_attack":{"tactic":"TA1","technique":"T1"}}`, `{"mitre_attack":{"tactic":"TA22","technique":""},"x":1}`},
	{`{"mitre_attack":{"x":{}}}`, `{"mitre_attack":{}}`},
	{`{"mitre_attack":{"tactic":"a"},"mitre_attack":{"technique":"b"}}`, `{"mitre_attack":{"tactic":"b"},"mitre_attack":["a"]}`},
}

func TestEventsOfOneShape(t *testing.T) {
	for _, p := range pairs {
		for _, p := range [][2]string{p, {p[1], p[0]}} {
			var r fields.Reader
			for _, i := range []int{0, 1, 0, 0, 1, 1} {
				check(t, &r, "anomaly", p[i])
			}
		}
	}
}

// Values that never changed are parts of the texts around them, until they do.
func TestValuesThatChangeAfterAWhile(t *testing.T) {
	const form = `{"event_id":"%d","title":"%s","x":%d,"anomaly":{"type":"%s","score":%s},"description":"%s","mitre_attack":{"tactic":%s,"technique":"%s"}}`
	usual := []any{0, "a title", 7, "network", "0.5", "described", `"TA1"`, "T1"}
	for change := range usual {
		var r fields.Reader
		for n := range 20 {
			usual[0] = n
			check(t, &r, "anomaly", fmt.Sprintf(form, usual...))
		}
		for _, other := range []any{"", 0, "null", `"TA2"`, "TA2", "network", 123456, `["TA3","TA4"]`, `{"id":"TA5"}`, "1e5", "-"} {
			now := slices.Clone(usual)
			now[change] = other
			for range 3 {
				if body := fmt.Sprintf(form, now...); json.Valid([]byte(body)) {
					check(t, &r, "anomaly", body)
				}
				check(t, &r, "anomaly", fmt.Sprintf(form, usual...))
			}
		}
	}
}

// Every value is read at every size, whatever size the shape has it with.
func TestValuesOfAllSizes(t *testing.T) {
	for _, form := range []string{`{"title":"%s","x":1}`, `{"title":"%s"}`, `{"x":["%[1]s"],"title":"%[1]s","description":"%[1]s"}`} {
		for learnt := range 20 {
			var r fields.Reader
			check(t, &r, "", fmt.Sprintf(form, strings.Repeat("a", learnt)))
			for n := range 20 {
				for _, c := range []string{"a", `\"`, `\\`, ",", "#"} {
					check(t, &r, "", fmt.Sprintf(form, strings.Repeat(c, n)))
					check(t, &r, "", fmt.Sprintf(form, strings.Repeat("b", n)+c))
				}
			}
		}
	}
	for learnt := 1; learnt < 12; learnt++ {
		var r fields.Reader
		for n := 1; n < 12; n++ {
			for _, value := range []string{strings.Repeat("1", n), "-" + strings.Repeat("1", n), "0." + strings.Repeat("5", n), "1e" + strings.Repeat("1", n), "1E+" + strings.Repeat("1", n)} {
				check(t, &r, "", `{"anomaly":{"score":`+strings.Repeat("9", learnt)+`},"title":"a"}`)
				check(t, &r, "", `{"anomaly":{"score":`+value+`},"title":"a"}`)
				check(t, &r, "", `{"title":`+value+`}`)
			}
		}
	}
}

// Events of one type whose members come and go have many shapes, which begin alike.
func TestShapesThatBeginAlike(t *testing.T) {
	members := []string{
		`"title":"one or %d"`, `"x":%d`, `"anomaly":{"score":%d,"type":"network"}`, `"description":"%d times"`, `"mitre_attack":{"tactic":"TA%d"}`,
		`"mitre_attack":[{"tactic":"TA%d"}]`, `"risk_factors":["a","%d"]`, `"y":{"z":"%d"}`,
	}
	for _, several := range [][]int{{0, 2, 4}, {0, 1, 2, 3, 4, 7}, {1, 3, 5, 6}, {0, 1, 2, 3, 6, 7}} {
		var r fields.Reader
		var events []*agent.Event
		for n := range 1500 {
			body := fmt.Sprintf(`{"event_id":"%d"`, n)
			for i, m := range several {
				if uint32(n)*2654435761>>(8+i)&1 == 1 {
					body += "," + fmt.Sprintf(members[m], n*7%1000)
				}
			}
			body += `,"severity":"low"}`
			check(t, &r, "alert", body)
			events = append(events, &agent.Event{Type: []byte("alert"), Body: []byte(body)})
		}
		if len(several) > 3 {
			continue // too many to be known all at once
		}
		allocs := testing.AllocsPerRun(1, func() {
			for _, e := range events {
				var f fields.Fields
				r.Read(&f, e)
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations for events of known shapes", allocs)
		}
	}
}

// The seven types do not push each other out, and reading them learns nothing
// after a while, so that it does not allocate.
func TestAReaderLearnsAndIsDone(t *testing.T) {
	g := plugintest.NewGenerator(1)
	var events []*agent.Event
	for range 700 {
		events = append(events, vectors.Event(t, bytes.TrimSpace(g.Append(nil))))
	}
	var r fields.Reader
	each := func() {
		for _, e := range events {
			var f fields.Fields
			r.Read(&f, e)
		}
	}
	each()
	if n := testing.AllocsPerRun(5, each); n != 0 {
		t.Errorf("%v allocations for events of known shapes", n)
	}
	// None of which is of the same shape as any before.
	for i := range events {
		events[i] = &agent.Event{Type: []byte("alert"), Body: fmt.Appendf(nil, `{"title":"a","key%d":1}`, i)}
	}
	each()
	if n := testing.AllocsPerRun(5, each); n > 200 {
		t.Errorf("%v allocations for events of unknown shapes", n)
	}
	for range 20 {
		each()
	}
	if n := testing.AllocsPerRun(1, each); n > 100 {
		t.Errorf("%v allocations for events of unknown shapes, which have been many by now", n)
	}
}

// Whatever events come, what is kept of them stays within 4 MB.
func TestAReaderKeepsLittle(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var r fields.Reader
	before := heap()
	for n := range 2000 {
		body := fmt.Sprintf(`{"title":"%d"`, n)
		for len(body) < 4000 {
			body += fmt.Sprintf(`,"the name of a member, which is rather long so that there are not too many, %d":%d`, n+len(body), n)
		}
		var f fields.Fields
		r.Read(&f, &agent.Event{Type: fmt.Append(nil, n%97), Body: []byte(body + "}")})
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("%d bytes are kept", grown)
	} else if grown < 100<<10 {
		t.Errorf("only %d bytes are kept: nothing was learnt", grown)
	}
	runtime.KeepAlive(&r)
}

func TestAReaderIsSafeForConcurrentUse(t *testing.T) {
	var r fields.Reader
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				p := pairs[(n+i)%len(pairs)]
				check(t, &r, "anomaly", p[n/len(pairs)%2])
			}
		})
	}
	wg.Wait()
}

// FuzzShape reads an event with the shape of two others, which may be the same.
func FuzzShape(f *testing.F) {
	for _, p := range pairs {
		f.Add([]byte(p[0]), []byte(p[0]), []byte(p[1]))
		f.Add([]byte(p[0]), []byte(p[1]), []byte(p[1]))
	}
	f.Add(vectors.Sample(), vectors.Sample(), vectors.Sample())
	f.Add(vectors.Samples(f)[0].Body, vectors.Samples(f)[1].Body, vectors.Sample())
	f.Fuzz(func(t *testing.T, learnt, loosened, body []byte) {
		if !json.Valid(learnt) || !json.Valid(loosened) {
			return // the log has no such events, and what comes of them is not defined
		}
		var r fields.Reader
		check(t, &r, "", string(learnt))
		check(t, &r, "", string(loosened))
		if json.Valid(body) {
			check(t, &r, "", string(body))
			check(t, &r, "", string(learnt))
			check(t, &r, "", string(body))
			return
		}
		var any fields.Fields
		r.Read(&any, &agent.Event{Body: body})
	})
}
