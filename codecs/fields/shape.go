package fields

import (
	"encoding/binary"
	"math/bits"
)

// A shape is how an event is written: the texts around its values. Objects are
// part of the texts, down to their members, arrays are values. Values that never changed are parts of the texts too.
type shape struct {
	steps []step
	end   string  // the text behind the last value
	fixed []fixed // in end

	all       []step   // with every value
	last      string   // the text behind the last of them
	lastFixed []fixed  // in last
	values    []string // of the event that it was learnt from, by step of all, without quotes
	loose     uint64   // those that changed, by step of all
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

// A fixed value is a part of a text.
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

// walk fills f with the values of s from the step at from on. ends has where
// the values before it end in the body, without their quotes, and is filled further. walk returns
// the index of the step of which the body is not, or -1 if it has the shape s.
func (s *shape) walk(f *Fields, ends *[maxSteps]uint16, from int) (failed int) {
	b := f.body
	i := 0
	if from > 0 {
		i = int(ends[from-1])
	}
	for k := from; k < len(s.steps); k++ {
		st := &s.steps[k]
		start := i + len(st.text)
		if start >= len(b) || string(b[i:start]) != st.text {
			return k
		}
		for _, c := range st.fixed {
			f.at[c.name] = span{uint32(i) + c.start, uint32(i) + c.end}
		}
		end := start + st.size
		if st.kind == text {
			quotes, other := uint64(0), uint64(1)
			if end+8 <= len(b) && b[end] == '"' {
				at := start
				for other = 0; at+8 <= end; at += 8 {
					other |= equal(binary.LittleEndian.Uint64(b[at:]), '"'*lows)
				}
				quotes = equal(binary.LittleEndian.Uint64(b[at:]), '"'*lows)
			}
			if other != 0 || quotes&-quotes != st.mark || b[end-1] == '\\' { // it is of another size
				if end, _ = closing(b, start); end >= len(b) {
					return k
				}
			}
			f.at[st.name] = span{uint32(start - 1), uint32(end + 1)}
		} else {
			if st.kind == number && start+8 < len(b) {
				end = start + bits.TrailingZeros64(notNumber(binary.LittleEndian.Uint64(b[start:])))/8
			}
			if st.kind != number || start+8 >= len(b) || end == start || b[end] != ',' && b[end] != '}' {
				if b[start] == '{' && st.kind != object {
					return k // it may have members of interest
				}
				end = valueEnd(b, start)
			}
			f.at[st.name] = span{uint32(start), uint32(end)}
		}
		ends[k&(maxSteps-1)] = uint16(end)
		i = end
	}
	if string(b[i:]) != s.end {
		return len(s.steps)
	}
	for _, c := range s.fixed {
		f.at[c.name] = span{uint32(i) + c.start, uint32(i) + c.end}
	}
	return -1
}

// fill fills f with the values of the first n steps, which walk did with another shape that begins with the same.
func (s *shape) fill(f *Fields, ends *[maxSteps]uint16, n int) {
	i := uint32(0)
	for k := range s.steps[:n] {
		st, end := &s.steps[k], uint32(ends[k])
		for _, c := range st.fixed {
			f.at[c.name] = span{i + c.start, i + c.end}
		}
		v := span{i + uint32(len(st.text)), end}
		if st.kind == text {
			v = span{v.start - 1, v.end + 1}
		}
		f.at[st.name] = v
		i = end
	}
}
