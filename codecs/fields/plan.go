package fields

import "github.com/adrian207/siemd/agent"

// A codec writes events part after part. In events of one shape and severity
// most parts are always the same: a Plan has their text, and between that the
// parts that are to be written anew for each event. It is made of one such event.

// A Set is what a part is made of: members, or Itself. The type and the
// severity need no mention, as a plan is for one of each.
type Set uint64

// Itself is what each event has for itself: its id, time, source and body.
const Itself Set = 1 << names

// Attacks is all that Fields.Mitre and Fields.Attack tell of.
const Attacks Set = 1<<names - 1<<tactic | 1<<attacks

// Of is the set of some members.
func Of(members ...Name) (s Set) {
	for _, n := range members {
		s |= 1 << n
	}
	return s
}

// A Plan is the pieces of an encoded event in order. It is never changed.
type Plan struct{ Pieces []Piece }

// A Piece is a text and the part behind it, by its number. Behind the last text
// there may be none: then the number is beyond all.
type Piece struct {
	Text string
	Part int
}

// maxPlan is the most text that a plan may have, in bytes. A Reader keeps at
// most one for each of its 128 shapes and six severities.
const maxPlan = 2 << 10

// Every is the plan of n parts and no text. It is right for any event.
func Every(n int) *Plan {
	p := &Plan{make([]Piece, n)}
	for i := range p.Pieces {
		p.Pieces[i].Part = i
	}
	return p
}

// Plan is the plan for events of the shape of f's, or nil if there is none yet.
func (f *Fields) Plan(s agent.Severity) *Plan {
	if f.shape == nil {
		return nil
	}
	return f.shape.plans[min(s, agent.Critical)].Load()
}

// MakePlan makes the plan of the event that f was read from, and keeps it for
// those of its shape, if the Reader knows that. of is what each part is made
// of; write appends a piece of the event and counts in r. If something is
// repaired, which is to be counted for each event, or the texts are long, the plan is every.
func (f *Fields) MakePlan(s agent.Severity, every *Plan, of []Set, write func(dst []byte, p Piece, r *Repairs) []byte) *Plan {
	if f.shape == nil {
		return every
	}
	plan, size := &Plan{}, 0
	var text []byte
	var r Repairs
	for part, set := range of {
		if set&f.shape.changing == 0 {
			text = write(text, Piece{Part: part}, &r)
			continue
		}
		plan.Pieces = append(plan.Pieces, Piece{string(text), part})
		size += len(text)
		text = text[:0]
	}
	if len(text) > 0 {
		plan.Pieces = append(plan.Pieces, Piece{string(text), len(of)})
		size += len(text)
	}
	if size > maxPlan || r.any() {
		plan = every
	}
	f.shape.plans[min(s, agent.Critical)].Store(plan)
	return plan
}
