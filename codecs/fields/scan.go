package fields

import (
	"encoding/binary"
	"math/bits"

	"github.com/adrian207/siemd/codecs/json"
)

// The body is valid JSON, so the scan only finds ends. It visits each byte
// once: an object with members of interest is entered instead of being
// skipped. On other bytes it stops early, and what it found by then stays.

// longest is the size of the longest text that scan compares keys with.
const longest = len(`"risk_components":`)

// scan reads the members of the object whose inside begins at i.
//
// The most frequent keys are compared with as they are written nearly always,
// without white space and escapes. That is faster than looking for the closing
// quote, since the processor goes on to the value without having to wait for its place.
func (f *Fields) scan(b []byte, i int) {
	g := top
members:
	for {
		i = skipSpace(b, i)
		var to *Value
		in := none
		n := 0
		if len(b)-i >= longest {
			switch key := (*[longest]byte)(b[i:]); g {
			case top:
				switch key[1] {
				case 'a':
					if string(key[:10]) == `"anomaly":` {
						n, in = 10, anomaly
					}
				case 'c':
					if string(key[:13]) == `"compliance":` {
						n, in = 13, compliance
					}
				case 'd':
					if string(key[:12]) == `"detection":` {
						n, in = 12, detection
					} else if string(key[:14]) == `"description":` {
						n, to = 14, &f.Description
					}
				case 'e':
					if string(key[:13]) == `"event_type":` {
						n = 13
					} else if string(key[:11]) == `"event_id":` {
						n = 11
					}
				case 'm':
					if string(key[:15]) == `"mitre_attack":` {
						n, in = 15, mitre
					}
				case 'r':
					if string(key[:7]) == `"risk":` {
						n, in = 7, risk
					} else if string(key[:18]) == `"risk_components":` {
						n, in = 18, components
					}
				case 's':
					if string(key[:9]) == `"source":` {
						n = 9
					} else if string(key[:11]) == `"severity":` {
						n = 11
					}
				case 't':
					if string(key[:8]) == `"title":` {
						n, to = 8, &f.Title
					} else if string(key[:12]) == `"timestamp":` {
						n = 12
					}
				case 'v':
					if string(key[:13]) == `"violations":` {
						n, in = 13, violations
					}
				}
			case anomaly:
				if string(key[:7]) == `"type":` {
					n, to = 7, &f.AnomalyType
				} else if string(key[:8]) == `"score":` {
					n, to = 8, &f.AnomalyScore
				} else if string(key[:13]) == `"confidence":` {
					n, to = 13, &f.Confidence
				}
			case detection:
				if string(key[:9]) == `"method":` {
					n, to = 9, &f.Method
				} else if string(key[:11]) == `"detector":` {
					n, to = 11, &f.Detector
				}
			case mitre:
				if string(key[:9]) == `"tactic":` {
					n, to = 9, &f.Mitre.Tactic
				} else if string(key[:12]) == `"technique":` {
					n, to = 12, &f.Mitre.Technique
				}
			}
		}
		if i += n; n == 0 && i < len(b) && b[i] != '}' {
			i, to, in = f.search(g, b, i)
		}
		i = skipSpace(b, i)
		if i >= len(b) {
			return
		}

		start := i
		switch c := b[i]; {
		case c == '"':
			// stringEnd, in place: most of an event is strings.
			i++
			for i+8 <= len(b) {
				if m := equal(binary.LittleEndian.Uint64(b[i:]), '"'*lows); m != 0 {
					i += bits.TrailingZeros64(m) / 8
					break
				}
				i += 8
			}
			if i < len(b) && b[i] == '"' && b[i-1] != '\\' {
				i++
			} else {
				i = stringEnd(b, start)
			}
		case c == '{' && in != none:
			g = in // none of whose members is a group
			i++
			continue
		case c == '{' || c == '[':
			i = compositeEnd(b, i)
		default: // of an empty object it is the end, and nothing is skipped
			i = scalarEnd(b, i)
		}
		if to != nil {
			*to = present(b[start:i])
		} else if in == mitre {
			f.Mitre.read(present(b[start:i]))
		}

		for {
			i = skipSpace(b, i)
			switch {
			case i >= len(b):
				return
			case b[i] == ',':
				i++
				continue members
			case b[i] != '}' || g == top:
				return
			}
			i++
			g = top
		}
	}
}

// search tells what the key that opens at i stands for, however it is written.
// start is where the value begins, white space aside, or len(b).
func (f *Fields) search(g group, b []byte, i int) (start int, to *Value, in group) {
	end, escaped := closing(b, i+1)
	if b[i] != '"' || end >= len(b) {
		return len(b), nil, none
	}
	key := b[i+1 : end]
	if escaped {
		key = json.Unquote(nil, b[i:end+1])
	}
	if i = end + 1; i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return len(b), nil, none
	}
	if len(key) <= longestName {
		to, in = f.named(g, key)
	}
	return i + 1, to, in
}
