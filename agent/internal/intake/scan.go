package intake

import "github.com/adrian207/siemd/agent"

// maxDepth is how many objects and arrays may lie within one another, the
// event itself included.
const maxDepth = 64

// A span is a piece of the scanned text, by offsets. An empty one is absent.
type span struct{ start, end int32 }

func (s span) of(b []byte) []byte { return b[s.start:s.end] }

// A slot is a member that siemd looks at.
type slot uint8

const (
	noSlot slot = iota
	slotID
	slotTime
	slotType
	slotSource
	slotSeverity
	slotAnomalySeverity
	slotRiskLevel
	slots

	slotAnomaly = slots     // an object at the top level in which one member matters
	slotRisk    = slots + 1 // another
)

// A doc is what a scan finds.
type doc struct {
	value [slots]span // raw values, strings with their quotes; of duplicates the last

	start, end int32 // the text without the white space around it

	badText     bool // a string holds invalid UTF-8 or a lone surrogate
	duplicates  bool // an object has the same key twice
	escapes     bool // a string has escapes
	escapedKeys bool // a key has escapes: values may lack a member, and duplicates may be hidden
	breaks      bool // there are line breaks between tokens
	rawKeys     bool // there are keys of a raw record
}

// A fault says why a text is no event and where.
type fault struct {
	reason string // "" if there is none
	what   string
	at     int
}

// A scanner checks texts against RFC 8259 and finds what a doc has. It is
// reused from text to text and is not safe for concurrent use.
type scanner struct {
	shapes shapes
	frames [maxDepth + 1]frame
	keys   []keyRef // of all objects that are open, the outer ones first
}

type frame struct {
	bloom uint64 // of the object's keys
	keys  int32  // where the object's keys begin in scanner.keys
	start int32  // of the value being read
	slot  slot   // of the value being read
	array bool
}

// scan checks b and fills d. What d has is not to be used after a fault.
func (s *scanner) scan(b []byte, d *doc) fault {
	if s.shapes.match(b, d) {
		return fault{}
	}
	f := s.check(b, d)
	if f.reason == "" {
		s.shapes.learn(b, d)
	}
	return f
}

// check is scan for a text of any shape.
func (s *scanner) check(b []byte, d *doc) fault {
	*d = doc{}
	s.keys = s.keys[:0]
	i := 0
	if len(b) >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF {
		i = 3 // RFC 8259 allows to ignore a byte order mark
	}
	i = space(b, i, d)
	d.start, d.breaks = int32(i), false
	depth := 0
	f := &s.frames[0]
	*f = frame{array: true}
	for {
		// A value begins at i.
		f.start = int32(i)
		opened := false
		switch c := at(b, i); c {
		case '"':
			j := plain(b, i+1)
			if at(b, j) != '"' {
				var what string
				if j, what = odd(b, j, d, &d.escapes); what != "" {
					return fault{agent.ReasonNotJSON, what, j}
				}
			}
			i = j + 1
		case '{', '[':
			if depth == maxDepth {
				return fault{agent.ReasonTooDeep, "more than 64 objects and arrays within one another", i}
			}
			depth++
			f = &s.frames[depth]
			*f = frame{keys: int32(len(s.keys)), array: c == '['}
			if i++; at(b, i) <= ' ' {
				i = space(b, i, d)
			}
			if at(b, i) != c+2 { // the closing bracket
				opened = true
				break
			}
			i++
			depth--
			f = &s.frames[depth]
		case 't':
			if i = literal(b, i, "true"); i < 0 {
				return fault{agent.ReasonNotJSON, "want a value", int(f.start)}
			}
		case 'f':
			if i = literal(b, i, "false"); i < 0 {
				return fault{agent.ReasonNotJSON, "want a value", int(f.start)}
			}
		case 'n':
			if i = literal(b, i, "null"); i < 0 {
				return fault{agent.ReasonNotJSON, "want a value", int(f.start)}
			}
		default:
			if i = number(b, i); i < 0 {
				return notValue(b, int(f.start))
			}
		}
		for !opened {
			// A value ends at i. What follows goes on or closes.
			if f.slot != noSlot && f.slot < slots {
				d.value[f.slot] = span{f.start, int32(i)}
			}
			if depth == 0 {
				return s.end(b, i, d)
			}
			if at(b, i) <= ' ' {
				i = space(b, i, d)
			}
			c := at(b, i)
			if c == ',' {
				if i++; at(b, i) <= ' ' {
					i = space(b, i, d)
				}
				break
			}
			if f.array && c != ']' || !f.array && c != '}' {
				return notNext(b, i, f.array)
			}
			if !f.array {
				if keys := s.keys[f.keys:]; len(keys) > fewKeys {
					if bad := crowd(keys, b, d); bad.reason != "" {
						return bad
					}
				}
				s.keys = s.keys[:f.keys]
			}
			i++
			depth--
			f = &s.frames[depth]
		}
		if f.array {
			continue
		}
		// A key begins at i.
		if at(b, i) != '"' {
			return notKey(b, i)
		}
		j := plain(b, i+1)
		if at(b, j) != '"' {
			var what string
			if j, what = odd(b, j, d, &d.escapedKeys); what != "" {
				return fault{agent.ReasonNotJSON, what, j}
			}
		}
		s.key(f, b, i+1, j, d)
		f.slot = noSlot
		switch depth {
		case 1:
			f.slot = topSlot(b[i+1:j], d)
		case 2:
			switch s.frames[1].slot {
			case slotAnomaly:
				if string(b[i+1:j]) == "severity" {
					f.slot = slotAnomalySeverity
				}
			case slotRisk:
				if string(b[i+1:j]) == "level" {
					f.slot = slotRiskLevel
				}
			}
		}
		if i = j + 1; at(b, i) <= ' ' {
			i = space(b, i, d)
		}
		if at(b, i) != ':' {
			return fault{agent.ReasonNotJSON, "want a colon", i}
		}
		if i++; at(b, i) <= ' ' {
			i = space(b, i, d)
		}
	}
}

// end is what a text comes to whose value ends at i.
func (s *scanner) end(b []byte, i int, d *doc) fault {
	d.end = int32(i)
	breaks := d.breaks
	i = space(b, i, d)
	d.breaks = breaks
	if i < len(b) {
		return fault{agent.ReasonNotJSON, "something follows the value", i}
	}
	if b[d.start] != '{' {
		return fault{agent.ReasonNotObject, "the value is no object", int(d.start)}
	}
	return fault{}
}

// topSlot is the slot of a member at the top level.
func topSlot(key []byte, d *doc) slot {
	switch string(key) {
	case "event_id":
		return slotID
	case "timestamp":
		return slotTime
	case "event_type":
		return slotType
	case "source":
		return slotSource
	case "severity":
		return slotSeverity
	case "anomaly":
		d.value[slotAnomalySeverity] = span{} // of an earlier one with the same key
		return slotAnomaly
	case "risk":
		d.value[slotRiskLevel] = span{}
		return slotRisk
	case "anomaly_id", "assessment_id", "is_compliant":
		d.rawKeys = true
	}
	return noSlot
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// space is the index of the first byte from i that is no white space.
func space(b []byte, i int, d *doc) int {
	for i < len(b) {
		switch b[i] {
		case '\n', '\r':
			d.breaks = true
		case ' ', '\t':
		default:
			return i
		}
		i++
	}
	return i
}
