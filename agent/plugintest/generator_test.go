package plugintest

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestGeneratorMakesValidDistinctEvents(t *testing.T) {
	g := NewGenerator(1)
	types, severities, ids := map[string]int{}, map[string]int{}, map[string]bool{}
	total := 0
	for n := range int64(7000) {
		line := g.Append(nil)
		total += len(line)
		var e struct {
			ID       string `json:"event_id"`
			Type     string `json:"event_type"`
			Severity string `json:"severity"`
			Anomaly  struct{ Severity string }
			Risk     struct{ Level string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("event %d: %v: %s", n, err, line)
		}
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("event %d is not one line: %s", n, line)
		}
		if e.ID != g.ID(n) || ids[e.ID] {
			t.Fatalf("event %d has id %q, want a new %q", n, e.ID, g.ID(n))
		}
		ids[e.ID] = true
		types[e.Type]++
		severities[e.Severity+e.Anomaly.Severity+e.Risk.Level]++
		if checkKeys(line[:len(line)-1]) != nil {
			t.Fatalf("duplicate keys: %s", line)
		}
	}
	if len(types) != 7 || len(severities) != 5 {
		t.Errorf("types %v, severities %v; want all 7 and 5", types, severities)
	}
	if mean := total / 7000; mean < 380 || mean > 430 {
		t.Errorf("mean size %d bytes, want about 400", mean)
	}
}

func TestGeneratorIsDeterministic(t *testing.T) {
	a, b, c := NewGenerator(7), NewGenerator(7), NewGenerator(8)
	var x, y, z []byte
	for range 50 {
		x, y, z = a.Append(x), b.Append(y), c.Append(z)
	}
	if !bytes.Equal(x, y) {
		t.Error("the same seed gave different events")
	}
	if bytes.Equal(x, z) {
		t.Error("different seeds gave the same events")
	}
}

func TestGeneratorWithoutIDs(t *testing.T) {
	g := NewGenerator(1)
	g.NoID = true
	for range 14 {
		if line := g.Append(nil); bytes.Contains(line, []byte("event_id")) || !json.Valid(line) {
			t.Fatalf("bad line %s", line)
		}
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := NewGenerator(1)
	var buf []byte
	for b.Loop() {
		buf = g.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
