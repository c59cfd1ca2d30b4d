package fields

import (
	"github.com/adrian207/siemd/codecs/json"
)

// The body is valid JSON, so the scan only finds ends. It visits each byte
// once: an object with members of interest is entered instead of being
// skipped. On other bytes it stops early, and what it found by then stays.

// nobody is the key of members that are passed by.
var nobody = &keys[0]

// scan reads the members of the body, an object of the group g.
func (f *Fields) scan(g group) {
	b := f.body
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return
	}
	i++
	for {
		i = skipSpace(b, i)
		if i >= len(b) {
			return
		}
		k := find(g, b[i:])
		switch {
		case k != nil:
			i += k.size
		case b[i] == '}':
			k = nobody // an empty object: nothing is read, and this ends it
		default:
			i, k = search(g, b, i)
		}
		if i = skipSpace(b, i); i >= len(b) {
			return
		}
		start := i
		switch c := b[i]; {
		case c == '"':
			i = stringEnd(b, i)
		case c == '{' && k.opens != none:
			if g = k.opens; g == mitre { // none of whose members is a group
				f.twice = f.at[attackOpens].end > 0
				f.at[attackOpens] = span{uint32(i), uint32(i) + 1}
			}
			i++
			continue
		case c == '{' || c == '[':
			i = compositeEnd(b, i)
		default:
			i = scalarEnd(b, i)
		}
		f.at[k.name] = span{uint32(start), uint32(i)}

		for {
			if i = skipSpace(b, i); i >= len(b) {
				return
			}
			if b[i] == ',' {
				i++
				break
			}
			if b[i] != '}' || g == top {
				return
			}
			if g == mitre {
				f.at[attackCloses] = span{uint32(i), uint32(i) + 1}
			}
			i++
			g = top
		}
	}
}

// search tells what the key that opens at i stands for, however it is written.
// start is where the value begins, white space aside, or len(b).
func search(g group, b []byte, i int) (start int, k *key) {
	end, escaped := closing(b, i+1)
	if b[i] != '"' || end >= len(b) {
		return len(b), nobody
	}
	name := b[i+1 : end]
	if escaped {
		name = json.Unquote(nil, b[i:end+1])
	}
	if i = skipSpace(b, end+1); i >= len(b) || b[i] != ':' {
		return len(b), nobody
	}
	var text [longest + compared]byte
	if size := len(name) + len(`"":`); size <= longest {
		n := copy(text[:], `"`)
		n += copy(text[n:], name)
		copy(text[n:], `":`)
		if k = find(g, text[:]); k != nil && k.size == size {
			return i + 1, k
		}
	}
	return i + 1, nobody
}
