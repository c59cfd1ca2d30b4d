package fields

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
)

// A shape is how events of a type are written: the texts around their values.
// Objects are part of the texts, down to their members, arrays are values.
// Values that never changed are parts of the texts too.
type shape struct {
	eventType string
	kind      Kind
	steps     []step
	end       string        // the text behind the last value
	places    []place       // of values that have a name and have changed
	braces    []place       // of mitre_attack, if it is an object and has changed
	always    [names][]byte // values that have a name and never changed; nobody writes to them
	attack    []byte        // mitre_attack, if it is an object and never changed
	changing  Set           // what is in places and braces, and Itself

	plans [agent.Critical + 1]atomic.Pointer[Plan] // by severity

	from  Fields // the event that it was learnt from
	whole string // its body
	all   []step // with every value of that
	last  string // the text behind the last of them
	loose uint64 // those of all that changed
}

// A step is a text and the value behind it.
type step struct {
	text  string // of a string with its opening quote, and behind a string from its closing quote on
	kind  kind
	name  Name
	size  int    // of the value, without quotes, when it was learnt
	mark  uint64 // the bit by which the end of a string is told in its last eight bytes, if it has that size
	start int    // of the value, without quotes, when it was learnt
}

// A place is where something with a name stands: that far behind the value before a step.
type place struct {
	name  Name
	step  int
	start int
}

type kind uint8

const (
	anything kind = iota // but an object
	object               // of interest as a whole
	number               // of at most seven bytes
	text
)

// walk finds where the values of s end in b, without their quotes, from the
// step at from on: ends has those before it. It returns the index of the step
// of which b is not, or -1 if b has the shape s.
func (s *shape) walk(b []byte, ends *[maxSteps]uint16, from int) (failed int) {
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
		}
		ends[k&(maxSteps-1)] = uint16(end)
		i = end
	}
	if string(b[i:]) != s.end {
		return len(s.steps)
	}
	return -1
}

// fill fills f with what walk has found in its body.
func (s *shape) fill(f *Fields, ends *[maxSteps]uint16) {
	f.Kind, f.shape = s.kind, s
	for _, p := range s.places {
		start, end := p.find(ends), int(ends[p.step&(maxSteps-1)])
		if s.steps[p.step].kind == text {
			end++
		}
		f.at[p.name] = span{uint32(start), uint32(end)}
	}
	for _, p := range s.braces {
		start := p.find(ends)
		f.at[p.name] = span{uint32(start), uint32(start + 1)}
	}
}

// find is where the place is in a body in which the values end at ends.
func (p *place) find(ends *[maxSteps]uint16) int {
	if p.step == 0 {
		return p.start
	}
	return int(ends[(p.step-1)&(maxSteps-1)]) + p.start
}
