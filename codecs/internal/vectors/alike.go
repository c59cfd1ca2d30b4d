package vectors

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// Alike checks that a codec that has written events before writes one that
// resembles them as it would have without, and repairs as much. fresh makes the codec, which counts in r.
func Alike(t *testing.T, fresh func(r *fields.Repairs) (agent.Encoder, error)) {
	t.Helper()
	start := func() (agent.Encoder, *fields.Repairs) {
		var r fields.Repairs
		c, err := fresh(&r)
		if err != nil {
			t.Fatal(err)
		}
		return c, &r
	}
	c, counted := start()
	before := counts(counted)
	same := func(e *agent.Event) {
		t.Helper()
		got, err := c.Encode(nil, e)
		first, r := start()
		want, wantErr := first.Encode(nil, e)
		if !bytes.Equal(got, want) || !errors.Is(err, wantErr) {
			t.Fatalf("%s, %v, but %s, %v where no event came before", got, err, want, wantErr)
		}
		repaired := counts(counted)
		for why, n := range counts(r) {
			if repaired[why] != before[why]+n {
				t.Fatalf("%s: %d repairs of %s, want %d", fields.Reason(why), repaired[why]-before[why], e.Body, n)
			}
		}
		before = repaired
	}
	for _, change := range changes {
		for _, usual := range Samples(t)[:5] {
			changed := *usual
			change(&changed)
			for range 3 {
				same(&changed)
			}
			same(usual)
		}
	}
	for _, v := range Load(t, "core-*") {
		usual := v.Raw(t)
		for _, value := range scalar.FindAllIndex(usual, -1) {
			for _, others := range [][]string{{`"other"`, `"other"`, `"another"`}, {"17.5", "17.5", "8"}} {
				c, counted = start() // for which nothing else has ever changed
				before = counts(counted)
				same(Event(t, usual))
				for _, other := range others {
					same(Event(t, slices.Concat(usual[:value[0]+1], []byte(other), usual[value[1]:])))
				}
				same(Event(t, usual))
			}
		}
	}
	for _, v := range Load(t, "*") {
		if raw := v.Raw(t); len(raw) > 0 {
			for range 3 {
				same(Event(t, raw))
			}
		}
	}
}

func counts(r *fields.Repairs) (all []uint64) {
	for _, why := range fields.Reasons() {
		all = append(all, r.Count(why))
	}
	return all
}

// scalar is the value of a member, with the colon before it.
var scalar = regexp.MustCompile(`:("[^"\\]*"|[-0-9.]+|true|false)`)

// changes make something else of a sample.
var changes = []func(e *agent.Event){
	func(*agent.Event) {},
	replace(`"description":"`, `"description":"other `),
	func(e *agent.Event) { e.ID = nil },
	func(e *agent.Event) { e.ID = []byte(`a"]b|=`) },
	func(e *agent.Event) { e.ID = bytes.Repeat([]byte("x"), 600) },
	func(e *agent.Event) { e.Source = nil },
	func(e *agent.Event) { e.Source = []byte("h\\1\n") },
	func(e *agent.Event) { e.Severity = agent.Critical + 1 },
	func(e *agent.Event) { e.Severity = agent.Unset },
	func(e *agent.Event) { e.Type = []byte("risk_assessment") },
	func(e *agent.Event) { e.Type = []byte("../\x7f") },
	func(e *agent.Event) { e.Time -= 400 * 24 * 3600e9 },
	func(e *agent.Event) { e.Time = 0 },
	replace(`"title":"`, `"title":"\\|é\n`),
	replace(`"title":"Unusual outbound traffic volume"`, `"title":["a"]`),
	replace(`"description":"`, `"description":"\u0000 = `),
	replace(`"score":`, `"score":1e99,"score":`),
	replace(`"score":0.`, `"score":1e`),
	replace(`"score":0.`, `"score":"x","y":0.`),
	replace(`"T1048"`, `"T1048.001"`),
	replace(`"technique":"T1048"`, `"technique":["T1048","T1049"]`),
	replace(`"StatisticalDetector"`, `null`),
	replace(`"network"`, `" "`),
}

func replace(old, with string) func(e *agent.Event) {
	return func(e *agent.Event) { e.Body = bytes.Replace(e.Body, []byte(old), []byte(with), 1) }
}
