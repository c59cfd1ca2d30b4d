package fields

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// A shape is how an event is written: the texts around its values. Objects are
// part of the texts, down to their members, arrays are values.
type shape struct {
	form  uint64 // its number among those of a Reader
	steps []step
	end   string  // the text behind the last value
	fixed []fixed // in end

	firstAttack, lastAttack Name // where what Mitre reads begins and ends, or unmapped

	usual  atomic.Pointer[shape] // the same with values that never changed as parts of the texts; nil if this is such a one
	values []string              // of the event that it was learnt from, by step, without quotes
	loose  uint64                // in usual: those that changed, by step
}

// A step is a text and the value behind it.
type step struct {
	text  string // of a string with its opening quote, and behind a string from its closing quote on
	kind  kind
	name  Name
	size  int     // of the value, without quotes, when it was learnt
	mark  uint64  // the bit by which the end of a string is told in its last eight bytes, if it has that size
	fixed []fixed // in text
}

// A fixed value is a part of a text: what never changed.
type fixed struct {
	name       Name
	start, end uint32
}

type kind uint8

const (
	anything kind = iota // but an object
	object               // of interest as a whole
	number               // of at most seven bytes
	text
)

// fits fills f from its body if that has the shape s, or reports false and leaves f as it was.
func (s *shape) fits(f *Fields) bool {
	if !s.read(f) {
		f.at = [names]span{}
		return false
	}
	f.known = s
	return true
}

// read fills f from its body if that has the shape s, or returns false: f is to be cleared then.
func (s *shape) read(f *Fields) bool {
	b := f.body
	i := 0
	for k := range s.steps {
		st := &s.steps[k]
		start := i + len(st.text)
		if start >= len(b) || string(b[i:start]) != st.text {
			return false
		}
		for _, v := range st.fixed {
			f.at[v.name] = span{uint32(i) + v.start, uint32(i) + v.end}
		}
		end := start + st.size
		if st.kind == text {
			if end+8 <= len(b) && b[end] == '"' {
				other, at := uint64(0), start
				for ; at+8 <= end; at += 8 {
					other |= equal(binary.LittleEndian.Uint64(b[at:]), '"'*lows)
				}
				quotes := equal(binary.LittleEndian.Uint64(b[at:]), '"'*lows)
				if other == 0 && quotes&-quotes == st.mark && b[end-1] != '\\' {
					f.at[st.name] = span{uint32(start - 1), uint32(end + 1)}
					i = end
					continue
				}
			}
			if i, _ = closing(b, start); i >= len(b) { // it is of another size
				return false
			}
			f.at[st.name] = span{uint32(start - 1), uint32(i + 1)}
			continue
		}
		if st.kind == number && start+8 < len(b) {
			end = start + bits.TrailingZeros64(notNumber(binary.LittleEndian.Uint64(b[start:])))/8
			if c := b[end]; end > start && (c == ',' || c == '}') {
				f.at[st.name] = span{uint32(start), uint32(end)}
				i = end
				continue
			}
		}
		if b[start] == '{' && st.kind != object {
			return false // it may have members of interest
		}
		i = valueEnd(b, start)
		f.at[st.name] = span{uint32(start), uint32(i)}
	}
	if string(b[i:]) != s.end {
		return false
	}
	for _, v := range s.fixed {
		f.at[v.name] = span{uint32(i) + v.start, uint32(i) + v.end}
	}
	return true
}
