// Package format turns raw records, as the platform's database holds them,
// into the nested events that every output knows: contract section 8. It is
// applied once, on the way in. Numbers keep their literals, null and the empty
// string count as absent, and nothing that a record carries is lost: what has
// no place in the nested shape follows it at the top level, or, if the shape
// uses that name for something else, below "unmapped".
package format

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/json"
)

// A Formatter writes product and version into the "platform" of what it formats.
type Formatter struct {
	Product string
	Version string
}

// The event types that have raw records.
const (
	Anomaly    = "anomaly"
	Risk       = "risk_assessment"
	Compliance = "compliance_check"
)

// Format is Formatter.Format with the default identity.
func Format[K []byte | string](dst []byte, kind K, raw []byte) (out []byte, changed bool) {
	f := Formatter{Product: agent.DefaultIdentity.Product, Version: agent.DefaultIdentity.Version}
	return f.Format(dst, string(kind), raw)
}

// Format appends the nested event for raw, one valid JSON object, if kind names
// one of the three types and raw carries the raw keys of that type. Else
// nothing is appended and changed is false. A record that holds the nested
// object already is not raw. kind, not what raw says, becomes the event_type.
func (f Formatter) Format(dst []byte, kind string, raw []byte) (out []byte, changed bool) {
	r := record{raw: raw, start: len(dst)}
	switch kind {
	case Anomaly:
		if !r.read(anomalyKeys[:], Anomaly) || !r.has(anomalyID) {
			return dst, false
		}
		dst = f.anomaly(dst, &r)
	case Risk:
		if !r.read(riskKeys[:], "risk") || !r.has(assessmentID) {
			return dst, false
		}
		dst = f.risk(dst, &r)
	case Compliance:
		if !r.read(complianceKeys[:], "compliance") || !r.has(recordedAt) || !r.has(isCompliant) {
			return dst, false
		}
		dst = f.compliance(dst, &r)
	default:
		return dst, false
	}
	return r.finish(dst), true
}

// maxKeys is the length of the longest list of raw keys.
const maxKeys = 24

// A record is a raw record being formatted.
type record struct {
	raw   []byte
	start int // of the event in dst
	keys  []string
	value [maxKeys][]byte // by index into keys; nil if absent
	used  []string        // top-level keys that the nested shape has taken
	space [maxKeys]string // used's memory

	open bool // the object being written has no member yet
}

// read finds the values of keys. It is false if the record has an object at
// nested, for then it has been formatted already.
func (r *record) read(keys []string, nested string) bool {
	r.keys = keys
	r.used = r.space[:0]
	ok := true
	json.Walk(r.raw, func(key, value []byte) bool {
		if json.KeyIs(key, nested) && json.KindOf(value) == json.Object {
			ok = false
			return false
		}
		if i := indexKey(keys, key); i >= 0 {
			r.value[i] = nil
			if !json.IsAbsent(value) {
				r.value[i] = value
			}
		}
		return true
	})
	return ok
}

func indexKey(keys []string, key []byte) int {
	for i, k := range keys {
		if json.KeyIs(key, k) {
			return i
		}
	}
	return -1
}

func (r *record) has(i int) bool { return r.value[i] != nil }

// length is the number of elements of the array at i.
func (r *record) length(i int) int {
	n := 0
	json.Elements(r.value[i], func([]byte) bool { n++; return true })
	return n
}

// isTrue reports whether the value at i is true, as databases and their drivers write it.
func (r *record) isTrue(i int) bool {
	switch string(r.value[i]) {
	case "true", "1", `"true"`, `"1"`:
		return true
	}
	return false
}

// top begins a member at the top level.
func (r *record) top(dst []byte, key string) []byte {
	r.used = append(r.used, key)
	if len(dst) == r.start {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	return appendKey(dst, key)
}

// put writes the value at i as the top-level member key, if there is one.
func (r *record) put(dst []byte, key string, i int) []byte {
	if !r.has(i) {
		return dst
	}
	return append(r.top(dst, key), r.value[i]...)
}

// object begins a nested object; member and literal fill it, end closes it.
func (r *record) object(dst []byte, key string) []byte {
	r.open = true
	return append(r.top(dst, key), '{')
}

func (r *record) member(dst []byte, key string, i int) []byte {
	if !r.has(i) {
		return dst
	}
	return append(r.nested(dst, key), r.value[i]...)
}

func (r *record) literal(dst []byte, key, json string) []byte {
	return append(r.nested(dst, key), json...)
}

func (r *record) nested(dst []byte, key string) []byte {
	if !r.open {
		dst = append(dst, ',')
	}
	r.open = false
	return appendKey(dst, key)
}

func appendKey(dst []byte, key string) []byte {
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

const unmapped = "unmapped"

// finish appends what the record carries beyond its raw keys and closes the event.
func (r *record) finish(dst []byte) []byte {
	collisions := 0
	json.Walk(r.raw, func(key, value []byte) bool {
		switch {
		case r.isMapped(key, value):
		case json.KeyIs(key, unmapped) || indexKey(r.used, key) >= 0:
			collisions++
		default:
			dst = append(dst, ',', '"')
			dst = append(dst, key...)
			dst = append(dst, '"', ':')
			dst = append(dst, value...)
		}
		return true
	})
	if collisions > 0 {
		dst = append(dst, `,"unmapped":`...)
		open := byte('{')
		json.Walk(r.raw, func(key, value []byte) bool {
			if !r.isMapped(key, value) && (json.KeyIs(key, unmapped) || indexKey(r.used, key) >= 0) {
				dst = append(dst, open, '"')
				dst = append(dst, key...)
				dst = append(dst, '"', ':')
				dst = append(dst, value...)
				open = ','
			}
			return true
		})
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// isMapped reports whether the member went into the nested shape, or says no
// more than it: an absent raw key, and the event_type.
func (r *record) isMapped(key, value []byte) bool {
	return indexKey(r.keys, key) >= 0 || json.KeyIs(key, "event_type") ||
		json.IsAbsent(value) && indexKey(r.used, key) >= 0
}
