package intake

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// TestVectors reads examples of events with what HEC and RFC 5424 make of them,
// from which time, severity and the event itself can be told.
func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pri := regexp.MustCompile(`^<(\d+)>1 (\S+) `)
	bySyslog := map[int]agent.Severity{6: agent.Informational, 5: agent.Low, 4: agent.Medium, 3: agent.High, 2: agent.Critical}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var v struct {
			Name, Raw, HEC, RFC5424, ES string
			RawB64                      []byte `json:"raw_b64"`
		}
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.Name, func(t *testing.T) {
			line := v.RawB64
			if line == nil {
				line = []byte(v.Raw)
			}
			var p Preparer
			var e agent.Event
			notes, refusal := p.Prepare(&e, line, "o", 0, received)
			if refusal != nil {
				t.Fatalf("refused: %+v", refusal)
			}
			var hec struct {
				Time  json.Number
				Event any
			}
			decode(t, []byte(v.HEC), &hec)
			if ms := fmt.Sprintf("%d.%03d", e.Time/1e9, e.Time%1e9/1e6); ms != hec.Time.String() {
				t.Errorf("time %s, want %s", ms, hec.Time)
			}
			var body any
			decode(t, e.Body, &body)
			if notes.MadeID { // the examples leave ids out that were made
				event := hec.Event.(map[string]any)
				id := body.(map[string]any)["event_id"]
				if id != string(e.ID) {
					t.Errorf("id %s is not in the body: %s", e.ID, e.Body)
				}
				event["event_id"] = id
			}
			if !same(body, hec.Event) {
				t.Errorf("body %s, want %v", e.Body, hec.Event)
			}
			var severity int
			fmt.Sscan(pri.FindStringSubmatch(v.RFC5424)[1], &severity)
			if want := bySyslog[severity&7]; e.Severity != want {
				t.Errorf("severity %v, want %v", e.Severity, want)
			}
			var action map[string]struct {
				ID string `json:"_id"`
			}
			if v.ES != "" {
				decode(t, []byte(v.ES), &action)
			}
			if want := action["index"].ID; want != "" && string(e.ID) != want && len(e.ID) <= 512 {
				t.Errorf("id %q, want %q", e.ID, want)
			}
		})
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// same compares decoded values, numbers by their exact value.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if _, ok := b[k]; !ok || !same(a[k], b[k]) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if a == b {
			return true
		}
		x, okX := new(big.Rat).SetString(a.String())
		y, okY := new(big.Rat).SetString(b.String())
		return okX && okY && x.Cmp(y) == 0
	}
	return reflect.DeepEqual(a, b)
}

func TestSeverities(t *testing.T) {
	text, err := os.ReadFile("testdata/severities.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]string
	decode(t, text, &rows)
	for _, row := range rows {
		quoted, _ := json.Marshal(row[0])
		for _, form := range []string{`{"severity":%s,"anomaly":{"severity":"low"}}`, `{"anomaly":{"severity":%s},"risk":{"level":"low"}}`, `{"risk":{"level":%s}}`} {
			if row[0] == "" && strings.Contains(form, "low") {
				continue // absent: the next one counts
			}
			line := strings.Replace(form, "%s", string(quoted), 1)
			var p Preparer
			var e agent.Event
			if _, refusal := p.Prepare(&e, []byte(line), "", 0, received); refusal != nil || e.Severity.String() != row[1] {
				t.Errorf("%s: %v, want %s", line, e.Severity, row[1])
			}
		}
	}
}
