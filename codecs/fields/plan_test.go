package fields_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// A writer writes the title, the id and the score of events, by plan if there is one.
type writer struct {
	reader fields.Reader
	made   int // plans
	wrong  bool
}

var (
	madeOf = []fields.Set{fields.Of(fields.Title), fields.Itself, fields.Of(fields.AnomalyScore), fields.Attacks, fields.Itself}
	every  = fields.Every(len(madeOf))
)

func (w *writer) write(title, score, attack string, e *agent.Event) (text string, plan *fields.Plan) {
	e.Type = []byte("anomaly")
	e.Body = fmt.Appendf(nil, `{"event_id":"%s","title":"%s","anomaly":{"score":%s},"mitre_attack":%s,"x":1}`, e.ID, title, score, attack)
	var f fields.Fields
	w.reader.Read(&f, e)
	piece := func(dst []byte, p fields.Piece, r *fields.Repairs) []byte {
		dst = append(dst, p.Text...)
		switch p.Part {
		case 0:
			return append(dst, f.Get(fields.Title)...)
		case 2:
			if w.wrong {
				r.Add(fields.NotNumber)
			}
			return fmt.Append(append(dst, f.Get(fields.AnomalyScore)...), " ", e.Severity)
		case 3:
			raw, _ := f.Attack()
			return append(dst, raw...)
		}
		return append(dst, e.ID...)
	}
	if plan = f.Plan(e.Severity); plan == nil {
		plan = f.MakePlan(e.Severity, every, madeOf, piece)
		w.made++
	}
	var dst []byte
	for _, p := range plan.Pieces {
		dst = piece(dst, p, nil)
	}
	want := fmt.Sprintf(`"%s"%s%s %s%s%[2]s`, title, e.ID, score, e.Severity, attack)
	if title == "" {
		want = strings.TrimPrefix(want, `""`)
	}
	if string(dst) != want {
		return fmt.Sprintf("%s instead of %s", dst, want), plan
	}
	return want, plan
}

func TestPlans(t *testing.T) {
	var w writer
	write := func(title, score, attack string, severity agent.Severity) int {
		t.Helper()
		plan := every
		for i := range 4 { // until this is a known shape, and its plan made
			var text string
			if text, plan = w.write(title, score, attack, &agent.Event{ID: fmt.Append(nil, "id-", i), Severity: severity}); strings.Contains(text, "instead of") {
				t.Error(text)
			}
		}
		return len(plan.Pieces)
	}
	const attack = `{"tactic":"TA1"}`
	for _, step := range []struct {
		title, score, attack string
		pieces               int
	}{
		{"a", "1.5", attack, 2},
		{"a", "22", attack, 3},
		{"a", "0", attack, 3},
		{"b", "1.5", attack, 4},
		{"", "1.5", attack, 4},
		{"c", "1.5", `{"tactic":"TA2"}`, 5},
		{"c", "1.5", `["TA2"]`, 2}, // another shape
		{"c", "1.5", `["TA2","TA3"]`, 3},
		{"c", "1.5", attack, 5},
		{"c", "1.5", `{"other":1}`, 2},
		{"c", "1.5", `{"other":2}`, 3}, // which Attack tells, though Mitre does not
	} {
		for _, severity := range []agent.Severity{agent.High, agent.Low, agent.High, agent.Critical + 3} {
			if n := write(step.title, step.score, step.attack, severity); n != step.pieces {
				t.Errorf("%+v: %d pieces", step, n)
			}
		}
	}
	before := w.made
	for range 100 {
		write("d", "7", attack, agent.High)
	}
	if w.made != before {
		t.Errorf("%d plans for events that had one", w.made-before)
	}
}

func TestEventsWithoutAPlan(t *testing.T) {
	for name, w := range map[string]*writer{"repairs": {wrong: true}, "long": {}} {
		title := "a"
		if name == "long" {
			title = strings.Repeat("a", 3000)
		}
		for i := range 10 {
			text, plan := w.write(title, "1", "{}", &agent.Event{ID: fmt.Append(nil, i)})
			if strings.Contains(text, "instead of") || plan != every {
				t.Errorf("%s: %d pieces, %.100s", name, len(plan.Pieces), text)
			}
		}
	}
	var f fields.Fields
	f.Read(&agent.Event{Body: []byte("{}")})
	if f.Plan(agent.High) != nil || f.MakePlan(agent.High, every, madeOf, nil) != every {
		t.Error("a plan for an event of no known shape")
	}
}
