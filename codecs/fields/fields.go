// Package fields takes out of an event, in one walk over its body, the members
// that the line formats and ECS map, and renders them as text. It also holds
// what all codecs share: scales of severity, times, and counters of repairs.
//
// Values are views into the event's body and live as long as it does. Nothing
// allocates, but for what a Reader learns.
package fields

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/json"
)

// A Value is a raw JSON value, a view into the body. Nil means that the member
// is absent; null, "" and arrays of nothing else count as absent too.
type Value []byte

// A Kind is one of the three event types with a mapping of their own, or Other.
type Kind uint8

// The kinds. The zero value is Other.
const (
	Other Kind = iota
	Anomaly
	Risk
	Compliance
)

// KindOf is the kind of events of a type.
func KindOf(eventType []byte) Kind {
	switch string(eventType) {
	case "anomaly":
		return Anomaly
	case "risk_assessment":
		return Risk
	case "compliance_check":
		return Compliance
	}
	return Other
}

// Fields are the mapped members of one event.
type Fields struct {
	Kind Kind

	body  []byte
	at    [names]span
	shape *shape // of the body, if it is known: then at has only what it does not
	twice bool   // there is more than one mitre_attack that is an object
}

// A span is where a value stands in the body; its end is 0 if it does not.
type span struct{ start, end uint32 }

// Read fills f, which is zero, from e. A member that occurs again
// replaces the first. Members of a type other than
// their container's own (an "anomaly" that is a string, say) are ignored.
func (f *Fields) Read(e *agent.Event) {
	f.Kind, f.body = KindOf(e.Type), e.Body
	f.scan(top)
}

// Get is the value of the member called n, or nil.
func (f *Fields) Get(n Name) Value { return present(f.raw(n)) }

// raw is the value of the member called n as it stands there, or nil.
func (f *Fields) raw(n Name) []byte {
	if at := f.at[n]; at.end > 0 {
		return f.body[at.start:at.end]
	}
	if f.shape != nil {
		return f.shape.always[n]
	}
	return nil
}

// Score is the one figure that the kind is about, if it has one.
func (f *Fields) Score() Value {
	switch f.Kind {
	case Anomaly:
		return f.Get(AnomalyScore)
	case Risk:
		return f.Get(RiskScore)
	case Compliance:
		return f.Get(ComplianceScore)
	}
	return nil
}

// Outcome is "success" or "failure" for a compliance check that says so, else "".
func (f *Fields) Outcome() string {
	if f.Kind == Compliance {
		switch string(f.Get(IsCompliant)) {
		case "true", `"true"`:
			return "success"
		case "false", `"false"`:
			return "failure"
		}
	}
	return ""
}

// Headline is what an event without a title is called: a fixed text for risk
// and compliance, else its type, else "event".
func (f *Fields) Headline(e *agent.Event) []byte {
	switch f.Kind {
	case Risk:
		return riskHeadline
	case Compliance:
		return complianceHeadline
	}
	return TypeOf(e)
}

var (
	riskHeadline       = []byte("Risk assessment")
	complianceHeadline = []byte("Compliance check")
	event              = []byte("event")
)

// TypeOf is the event's type, or "event" if it has none.
func TypeOf(e *agent.Event) []byte {
	if len(e.Type) == 0 {
		return event
	}
	return e.Type
}

// present is v, or nil if it counts as absent.
func present(v []byte) Value {
	if len(v) <= len("null") && json.IsAbsent(v) || len(v) > 0 && v[0] == '[' && isHollow(v) {
		return nil
	}
	return v
}

// isHollow reports whether an array holds nothing, or one empty string alone.
func isHollow(array []byte) bool {
	i := skipSpace(array, 1)
	if i+1 < len(array) && array[i] == '"' && array[i+1] == '"' {
		i = skipSpace(array, i+2)
	}
	return i < len(array) && array[i] == ']'
}
