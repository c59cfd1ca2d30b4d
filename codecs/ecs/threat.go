package ecs

import (
	"bytes"

	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
)

// appendThreat appends the fields of ATT&CK, if the event names any, behind an
// object that is still open, and leaves its own open. Events name few
// techniques again and again, so that they are mostly there already.
func (c *Codec) appendThreat(dst []byte, f *fields.Fields) []byte {
	raw, ok := f.Attack()
	if ok {
		if raw == nil {
			return dst
		}
		if known := c.threats.Find(0, raw); known != "" {
			return append(dst, known...)
		}
	}
	mitre, any := f.Mitre()
	if !any {
		return dst
	}
	before := len(dst)
	if dst = appendAttack(dst, mitre); ok {
		c.threats.Keep(0, raw, dst[before:])
	}
	return dst
}

// appendAttack does the work of appendThreat. ECS wants arrays, even for one
// value, and the parent of a sub-technique beside it.
func appendAttack(dst []byte, m *fields.Mitre) []byte {
	before := len(dst)
	dst = append(dst, attack...)
	empty := len(dst)
	dst, tactic := open(dst, `"tactic":{`)
	dst = appendLabels(dst, m, fields.Tactics)
	dst = tactic.end(dst, '}')
	dst, technique := open(dst, `"technique":{`)
	dst = appendLabels(dst, m, fields.Techniques)
	dst, sub := open(dst, `"subtechnique":{`)
	dst = appendLabels(dst, m, fields.SubTechniques)
	dst = sub.end(dst, '}')
	if dst = technique.end(dst, '}'); len(dst) == empty {
		return dst[:before]
	}
	return dst
}

// appendLabels appends the arrays id and name of one part of ATT&CK.
func appendLabels(dst []byte, m *fields.Mitre, part fields.Part) []byte {
	dst, ids := open(dst, `"id":[`)
	if part == fields.SubTechniques {
		m.Each(fields.Techniques, func(l fields.Label) {
			if parent(l.ID) != nil {
				dst = ids.add(dst, l.ID)
			}
		})
	}
	m.Each(part, func(l fields.Label) {
		if p := parent(l.ID); p != nil && part == fields.Techniques {
			dst = ids.addParent(dst, p)
		} else {
			dst = ids.add(dst, l.ID)
		}
	})
	dst = ids.end(dst, ']')
	dst, names := open(dst, `"name":[`)
	m.Each(part, func(l fields.Label) { dst = names.add(dst, l.Name) })
	return names.end(dst, ']')
}

const attack = `},"threat":{"framework":"MITRE ATT&CK"`

// parent is the technique, without the closing quote, of a sub-technique such
// as "T1110.001", and nil for anything else.
func parent(id fields.Value) []byte {
	if len(id) < 2 || id[0] != '"' || id[1] != 'T' {
		return nil
	}
	for i, c := range id {
		if c == '.' {
			return id[:i]
		}
	}
	return nil
}

// A list is an object or array being written. If nothing is put into it, no trace of it stays.
type list struct {
	start, inside int
}

// open opens a list behind what is there.
func open(dst []byte, opening string) ([]byte, list) {
	start := len(dst)
	dst = append(comma(dst), opening...)
	return dst, list{start, len(dst)}
}

// few is how much of a list is searched for repeats, so that a huge one cannot take long.
const few = 1024

func (l list) has(dst, quoted []byte) bool {
	return bytes.Contains(dst[l.inside:min(len(dst), l.inside+few)], quoted)
}

// add appends a value as a string, unless it is absent or there already.
func (l list) add(dst []byte, v fields.Value) []byte {
	if v == nil || json.KindOf(v) == json.String && l.has(dst, v) {
		return dst
	}
	return v.AppendJSON(comma(dst))
}

// addParent is add for a technique that lacks its closing quote.
func (l list) addParent(dst, technique []byte) []byte {
	n := len(dst)
	dst = append(append(comma(dst), technique...), '"')
	if id := dst[len(dst)-len(technique)-1:]; l.has(dst[:n], id) {
		return dst[:n]
	}
	return dst
}

func (l list) end(dst []byte, closing byte) []byte {
	if len(dst) == l.inside {
		return dst[:l.start]
	}
	return append(dst, closing)
}

// comma separates what follows from what is there.
func comma(dst []byte) []byte {
	if c := dst[len(dst)-1]; c != '{' && c != '[' {
		return append(dst, ',')
	}
	return dst
}
