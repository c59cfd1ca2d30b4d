package agent

import (
	"fmt"
	"strings"
	"time"
)

// An Event is one JSON object on its way from the log to a SIEM. Its byte
// fields are views into a buffer of the log: they are valid until the call that
// was given the event returns, and nobody may write to them.
type Event struct {
	Seq      uint64 // place in the log, from 1; 0 before it is stored
	Time     int64  // when it happened, UTC nanoseconds since 1970; see When
	Received int64  // when siemd took it, UTC nanoseconds since 1970
	Severity Severity
	ID       []byte // the sender's or a derived one; the same on every retry; never empty
	Type     []byte // "anomaly", "alert", ...; empty if the sender named none and the input has no default
	Source   []byte // the device or host that it is about; may be empty
	Input    string // the name of the input that took it
	Body     []byte // one JSON object on one line, as the sender wrote it
	Wire     []byte // what the output's Encode made of it; nil if the output is no Encoder
}

// When is the moment that an event's Time stands for. Nanoseconds do not fit
// into 64 bits from the year 2262 on: such a time is the milliseconds since
// 1970 as a negative number, up to the year 9999. There are none before 1970.
func When(t int64) time.Time {
	if t < 0 {
		return time.UnixMilli(-t).UTC()
	}
	return time.Unix(0, t).UTC()
}

// A Batch is what an input hands over in one go. All slices may be reused as
// soon as Submit or Emit has returned.
type Batch struct {
	// Lines are JSON texts, one object each, not yet looked at. A line may
	// end in CR; empty lines are skipped.
	Lines [][]byte

	// Fields are added to events that lack them, before those of the input's config.
	Fields []Field

	// Origin names where the lines came from (a file's identity, a request)
	// and Offsets where each began in it. From both and the line itself an id
	// is derived for events that carry none, so that the same line of the same
	// file has the same id in any run. Without either the id is random.
	Origin  string
	Offsets []int64

	// File is what a person calls the origin: the path. It is kept with refused lines.
	File string

	// Refused are lines that the input itself could not take (too long, for
	// instance): they are kept with their reason, like those that intake refuses.
	Refused []Refusal

	// Mark is saved in the same fsync as the lines.
	Mark *Mark

	// Since is when the oldest of the lines can have been written at the
	// earliest, UTC nanoseconds since 1970, if the input knows; else 0. An
	// output's max_wait counts from it, otherwise from the receipt.
	Since int64

	// Targets limits the events to these outputs. Nil: all that want them.
	Targets []string
}

// A Field is a member that is added to events. Member is its JSON, name and value.
type Field struct {
	Name   string
	Member []byte
}

// A Mark is how far an input has come in one of its sources. Keys are private
// to the input. A nil Pos forgets the key.
type Mark struct {
	Key string
	Pos []byte
}

// A Refusal is a line that cannot become an event, and why.
type Refusal struct {
	Line   int    // index into Batch.Lines; in Batch.Refused it is not used
	Text   []byte // the raw line, up to the limit; in a Receipt it is nil
	Offset int64  // where it began in its source
	Reason string // one of the Reason constants
	Detail string // a sentence for people: where in the line and what
}

// Reasons for refusing a line. They are metric labels and part of the contract.
const (
	ReasonNotJSON     = "not_json"
	ReasonNotObject   = "not_object"
	ReasonTooLong     = "too_long"
	ReasonTooDeep     = "too_deep"      // more than 64 objects and arrays within one another
	ReasonTooManyKeys = "too_many_keys" // more than 10,000 members in one object
)

// A Receipt says what became of a Batch.
type Receipt struct {
	First, Last uint64    // sequence numbers of the accepted events, consecutive; 0 if none
	Accepted    int       // number of events stored
	Refused     []Refusal // in the order of the lines
}

// Severity is an event's rank. Unset is below all and means that nobody stated one.
type Severity uint8

// The severities of protocols 10, in rising order.
const (
	Unset Severity = iota
	Informational
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"", "informational", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// ParseSeverity knows the five names and their aliases in any case. The text
// is not kept. It does not allocate.
func ParseSeverity(text []byte) (Severity, bool) {
	switch string(text) { // most are written so
	case "low":
		return Low, true
	case "medium":
		return Medium, true
	case "high":
		return High, true
	case "critical":
		return Critical, true
	}
	var buf [16]byte
	if len(text) > len(buf) {
		return Unset, false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	switch string(buf[:len(text)]) {
	case "informational", "info", "information", "none", "notice", "debug":
		return Informational, true
	case "low", "minor":
		return Low, true
	case "medium", "moderate", "warn", "warning":
		return Medium, true
	case "high", "major", "error", "err", "severe":
		return High, true
	case "critical", "crit", "very-high", "fatal", "emergency", "alert":
		return Critical, true
	}
	return Unset, false
}

// UnmarshalText accepts only the five names: a config is not a place for aliases.
func (s *Severity) UnmarshalText(text []byte) error {
	for i := Informational; i <= Critical; i++ {
		if string(text) == severityNames[i] {
			*s = i
			return nil
		}
	}
	return fmt.Errorf("%q is not a severity: want one of %s", text, strings.Join(severityNames[1:], ", "))
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
