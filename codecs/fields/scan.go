package fields

import (
	"encoding/binary"
	"math/bits"

	"github.com/adrian207/siemd/codecs/json"
)

// The body is valid JSON, so the scan only finds ends. It visits each byte
// once: an object with members of interest is entered instead of being
// skipped. On other bytes it stops early, and what it found by then stays.

// A group is an object whose members are looked at.
type group uint8

const (
	none group = iota
	top
	anomaly
	detection
	risk
	components
	compliance
	violations
	mitre
)

// members reads the object that opens at i and returns the index behind it.
func (f *Fields) members(b []byte, i int, g group) int {
	for i++; ; i++ {
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != '"' {
			return i + 1 // the end of an empty object, or no JSON
		}
		end, escaped := closing(b, i+1)
		if end >= len(b) {
			return end
		}
		key := b[i+1 : end]
		if escaped {
			key = json.Unquote(nil, b[i:end+1])
		}
		i = skipSpace(b, end+1)
		if i >= len(b) || b[i] != ':' {
			return len(b)
		}
		start := skipSpace(b, i+1)
		if start >= len(b) {
			return len(b)
		}
		switch c := b[start]; {
		case c == '"':
			i = stringEnd(b, start)
			f.set(g, key, b[start:i])
		case c == '{' && inside(g, key) != none:
			i = f.members(b, start, inside(g, key))
		default:
			i = valueEnd(b, start)
			f.set(g, key, b[start:i])
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ',' {
			return i + 1
		}
	}
}

// inside is the group that a member of g opens.
func inside(g group, key []byte) group {
	if g != top {
		return none
	}
	switch string(key) {
	case "anomaly":
		return anomaly
	case "detection":
		return detection
	case "risk":
		return risk
	case "risk_components":
		return components
	case "compliance":
		return compliance
	case "violations":
		return violations
	case "mitre_attack":
		return mitre
	}
	return none
}

// skipSpace is the index of the first byte from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// closing is the index of the quote that closes the string whose text begins
// at i, or len(b), and whether there are escapes before it.
func closing(b []byte, i int) (end int, escaped bool) {
	const quotes, slashes = '"' * lows, '\\' * lows
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		q, s := x^quotes, x^slashes
		m := ((q-lows)&^q | (s-lows)&^s) & highs
		if m == 0 {
			i += 8
			continue
		}
		// The lowest bit set is exact; a borrow can spoil only those above it.
		i += bits.TrailingZeros64(m) / 8
		if b[i] == '"' {
			return i, escaped
		}
		escaped = true
		i += 2
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return len(b), escaped
}

// stringEnd is the index behind the string that opens at i. It is closing for
// those who need not know of escapes, and so looks at quotes only.
func stringEnd(b []byte, i int) int {
	const quotes = '"' * lows
	for i++; i < len(b); {
		if i+8 <= len(b) {
			q := binary.LittleEndian.Uint64(b[i:]) ^ quotes
			m := (q - lows) &^ q & highs
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		if b[i] == '"' && !isEscaped(b, i) {
			return i + 1
		}
		i++
	}
	return len(b)
}

// isEscaped reports whether an odd number of backslashes precedes i.
func isEscaped(b []byte, i int) bool {
	n := 0
	for n < i && b[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// valueEnd is the index behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for ; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = stringEnd(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(b)
	}
	for i < len(b) && b[i] > ' ' && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}
