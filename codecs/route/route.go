// Package route turns templates such as "zerotrust-{event_type}-%Y.%m.%d" into
// the names of indices and sources, in a way that an event cannot abuse.
//
// A value from an event stands only behind a literal beginning, which the
// operator chose, and only if every character of it is one that the target
// allows in such a value. An event that does not fit goes to a default name
// and is counted; it is never refused and never sent to a place of its own choosing.
package route

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
)

// Dates further from the time of receipt than this do not make indices.
const (
	oldest = 30 * 24 * 3600 * 1_000_000_000
	newest = 24 * 3600 * 1_000_000_000
)

// Between the parts of names.
const separators = "-_.:/ "

type verb uint8

const (
	literal verb = iota
	eventType
	source
	severity
	input
	year
	month
	day
	hour
)

var names = map[string]verb{"event_type": eventType, "source": source, "severity": severity, "input": input}

var dates = map[byte]verb{'Y': year, 'm': month, 'd': day, 'H': hour}

type part struct {
	verb verb
	text []byte // of a literal, escaped for JSON
}

// Template makes a name from an event. It is safe for concurrent use.
type Template struct {
	parts    []part
	fallback []byte // escaped for JSON
	before   []byte // what stands before each name, and
	after    []byte // behind it
	alphabet *Alphabet
	repairs  *fields.Repairs
	dated    bool

	uses  [hour + 1]bool // the verbs of parts
	known fields.Memo    // names by what they were made of
}

// Parse reads a template. It may hold {event_type}, {source}, {severity} and
// {input}, but not at its beginning, and %Y, %m, %d and %H of the event's UTC
// time; an event without a type has the type "event". fallback is the name for
// events whose values do not fit; if it is empty, the literal beginning
// without its trailing separators is. Fallbacks and clamped dates are counted in repairs.
func Parse(text, fallback string, a *Alphabet, repairs *fields.Repairs) (*Template, error) {
	t := &Template{alphabet: a, repairs: repairs}
	beginning, values := "", false
	for rest := text; rest != ""; {
		n := strings.IndexAny(rest, "{%")
		if n < 0 {
			n = len(rest)
		}
		if n > 0 {
			if len(t.parts) == 0 {
				beginning = rest[:n]
			}
			t.parts = append(t.parts, part{text: escape(nil, rest[:n])})
			if c, ok := a.literal(rest[:n]); !ok {
				return nil, fmt.Errorf("%q cannot be part of %s", c, a.Name)
			}
			rest = rest[n:]
			continue
		}
		p, size, err := directive(rest)
		if err != nil {
			return nil, err
		}
		t.dated = t.dated || p.verb >= year
		if p.verb < year {
			values = true
			if beginning == "" {
				return nil, fmt.Errorf("%s needs fixed text before it, so that an event cannot choose any name it likes", rest[:size])
			}
		}
		t.parts, t.uses[p.verb] = append(t.parts, p), true
		rest = rest[size:]
	}
	if text == "" {
		return t, nil
	}
	sample := strings.NewReplacer("%Y", "2025", "%m", "10", "%d", "29", "%H", "12",
		"{event_type}", "x", "{source}", "x", "{severity}", "x", "{input}", "x").Replace(text)
	if err := a.check(sample); err != nil {
		return nil, err
	}
	if values {
		if fallback == "" {
			fallback = strings.TrimRight(beginning, separators)
		}
		if strings.Trim(beginning, separators) == "" {
			return nil, fmt.Errorf("%q needs more fixed text at its beginning than %q", text, beginning)
		}
		if err := a.check(fallback); err != nil {
			return nil, err
		}
		t.fallback = escape(nil, fallback)
	}
	return t, nil
}

func directive(s string) (part, int, error) {
	if s[0] == '%' {
		if len(s) > 1 && dates[s[1]] != literal {
			return part{verb: dates[s[1]]}, 2, nil
		}
		return part{}, 0, errors.New("after % there must be one of Y, m, d, H")
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return part{}, 0, errors.New("{ has no }")
	}
	v, ok := names[s[1:end]]
	if !ok {
		return part{}, 0, fmt.Errorf("%s is unknown: there are {event_type}, {source}, {severity} and {input}", s[:end+1])
	}
	return part{verb: v}, end + 1, nil
}

// Around has AppendJSON append text before and behind each name, which costs it nothing.
func (t *Template) Around(before, after []byte) { t.before, t.after = before, after }

// Fixed is the name, escaped for JSON, if it is the same for every event.
func (t *Template) Fixed() (name []byte, ok bool) {
	switch len(t.parts) {
	case 0:
		return nil, true
	case 1:
		return t.parts[0].text, t.parts[0].verb == literal
	}
	return nil, false
}

// AppendJSON appends the name for e, escaped for a JSON string but without
// quotes, and reports whether it is of e's own values: false means the default
// name, which the codec tells the target beside the event.
func (t *Template) AppendJSON(dst []byte, e *agent.Event) (name []byte, own bool) {
	var when int64
	if t.dated {
		when = t.when(e)
	}
	if t.uses[source] || t.uses[input] {
		dst, own = t.append(append(dst, t.before...), e, when) // there may be any number of them
		return append(dst, t.after...), own
	}
	number, key := uint64(when)/perHour, []byte(nil)
	if t.uses[severity] {
		number = number<<8 | uint64(e.Severity)
	}
	if t.uses[eventType] {
		key = e.Type
	}
	if name := t.known.Find(number, key); name != "" {
		return append(dst, name...), true
	}
	start := len(dst)
	dst, own = t.append(append(dst, t.before...), e, when)
	if dst = append(dst, t.after...); own {
		t.known.Keep(number, key, dst[start:])
	}
	return dst, own
}

const perHour = 3600 * 1_000_000_000

// append does the work of AppendJSON.
func (t *Template) append(dst []byte, e *agent.Event, when int64) (name []byte, own bool) {
	start := len(dst)
	var y, m, d, h int64
	if t.dated {
		y, m, d, h = fields.Date(when)
	}
	for i := range t.parts {
		p := &t.parts[i]
		ok := true
		switch p.verb {
		case literal:
			dst = append(dst, p.text...)
		case eventType:
			dst, ok = value(t.alphabet, dst, fields.TypeOf(e))
		case source:
			dst, ok = value(t.alphabet, dst, e.Source)
		case severity:
			dst = append(dst, fields.SeverityName(e.Severity)...)
		case input:
			dst, ok = value(t.alphabet, dst, e.Input)
		case year:
			dst = append(dst, digit(y/1000), digit(y/100), digit(y/10), digit(y))
		case month:
			dst = append(dst, digit(m/10), digit(m))
		case day:
			dst = append(dst, digit(d/10), digit(d))
		case hour:
			dst = append(dst, digit(h/10), digit(h))
		}
		if !ok {
			return t.fall(dst[:start]), false
		}
	}
	// What has escapes is longer here than what the target gets, and checked by its values alone.
	if t.fallback != nil && t.alphabet.values != "" && !t.alphabet.fits(dst[start:]) {
		return t.fall(dst[:start]), false
	}
	return dst, true
}

// Flag is what an event is marked with that went to a default name: a tag of
// an ECS document, or an indexed field of Splunk with the value "default".
const Flag = "siemd_route"

func (t *Template) fall(dst []byte) []byte {
	t.repairs.Add(fields.RouteFallback)
	return append(dst, t.fallback...)
}

// when is the event's time, or that of its receipt if the two are so far apart
// that the event's would make an index nobody expects. Both are stored with
// the event, so a retry goes to the same index.
func (t *Template) when(e *agent.Event) int64 {
	// A time beyond what nanoseconds count is negative, and so too far from it as well.
	if e.Received != 0 && (e.Time < e.Received-oldest || e.Time > e.Received+newest) {
		t.repairs.Add(fields.DateClamped)
		return e.Received
	}
	return e.Time
}

func digit(n int64) byte { return byte('0' + n%10) }

// escape appends text as the inside of a JSON string.
func escape[T []byte | string](dst []byte, text T) []byte {
	n := len(dst)
	dst = json.AppendString(dst, text)
	copy(dst[n:], dst[n+1:len(dst)-1])
	return dst[:len(dst)-2]
}
