package fields

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
)

// A Reader reads events like Fields.Read, faster where they resemble each
// other: programs write the events of a type with the same members in the same
// order, so that what stands between the values is known from an event before,
// and mostly even how long the values are. What is expected is compared, not
// searched for, and the processor need not wait for the end of one value to look at the next.
//
// The zero Reader is ready. It is safe for concurrent use.
type Reader struct {
	slots [16]slot // by type
}

// A slot has the last two shapes of the types that fall into it.
type slot struct {
	shapes [2]atomic.Pointer[shape]
	misses atomic.Uint64
}

// Read fills f, which is zero, from e.
func (r *Reader) Read(f *Fields, e *agent.Event) {
	f.Kind, f.body = KindOf(e.Type), e.Body
	s := r.slot(e.Type)
	for i := range s.shapes {
		if known := s.shapes[i].Load(); known != nil {
			if known.read(f) {
				return
			}
			f.at = [names]span{}
		}
	}
	f.scan(top)
	// Ever more seldom, so that events that are all different cost nothing in the long run.
	if n := s.misses.Add(1); n&(n-1) == 0 {
		if learned := f.shape(); learned != nil {
			s.shapes[bits.TrailingZeros64(n)%2].Store(learned)
		}
	}
}

// slot keeps the seven types that every app has apart.
func (r *Reader) slot(eventType []byte) *slot {
	h := len(eventType)
	if h > 0 {
		h += 11*int(eventType[0]) + 31*int(eventType[h/2])
	}
	return &r.slots[h%len(r.slots)]
}

// A shape is how an event is written: the texts around its values. Objects are
// part of the texts, down to their members, arrays are values.
type shape struct {
	steps []step
	end   string
}

// A step is a text and the value behind it.
type step struct {
	text string // of a string with its opening quote, and behind a string from its closing quote on
	kind kind
	name Name
	size int    // of the value, without quotes, when it was learnt
	mark uint64 // the bit by which the end of the value is told in its last eight bytes, if it has that size
}

type kind uint8

const (
	anything kind = iota // but an object
	object               // of interest as a whole
	number               // of at most seven bytes
	text
)

// The limits of what is learnt: longer events are rare, and reading them in the usual way costs them little.
const (
	maxSteps = 64
	maxShape = 16 << 10
)

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
		end := start + st.size
		switch {
		case end+8 > len(b):
		case st.kind == text:
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
		case st.kind == number:
			if m := notNumber(binary.LittleEndian.Uint64(b[start:])); m&-m == st.mark {
				f.at[st.name] = span{uint32(start), uint32(end)}
				i = end
				continue
			}
		}
		// Of another size, or of a kind whose size says little.
		switch {
		case st.kind == text:
			if i, _ = closing(b, start); i >= len(b) {
				return false
			}
			f.at[st.name] = span{uint32(start - 1), uint32(i + 1)}
		case b[start] == '{' && st.kind != object:
			return false // it may have members of interest
		default:
			i = valueEnd(b, start)
			f.at[st.name] = span{uint32(start), uint32(i)}
		}
	}
	return string(b[i:]) == s.end
}

// shape is that of the body, which f was read from, or nil if it is not worth knowing.
func (f *Fields) shape() *shape {
	b := f.body
	if len(b) > maxShape {
		return nil
	}
	s := &shape{}
	from := 0 // what is not in a text yet
	for i := 0; i < len(b); {
		if c := b[i]; c <= ' ' || c == ',' || c == ':' || c == '}' {
			i++
			continue
		}
		st := step{kind: anything, name: f.nameAt(i)}
		if b[i] == '{' {
			if st.name == unmapped {
				i++
				continue
			}
			st.kind = object
		}
		end := valueEnd(b, i)
		if colon := skipSpace(b, end); b[i] == '"' && colon < len(b) && b[colon] == ':' {
			i = colon // it was a key
			continue
		}
		if end == i || b[i] == '"' && end-i < 2 || len(s.steps) == maxSteps {
			return nil // no JSON, or too much of it
		}
		switch st.size = end - i; {
		case b[i] == '"':
			st.kind, st.size = text, st.size-2
			i++
			end--
		case (b[i] == '-' || '0' <= b[i] && b[i] <= '9') && st.size < 8:
			st.kind = number
		}
		st.mark = 0x80 << (st.size % 8 * 8)
		st.text = string(b[from:i])
		s.steps = append(s.steps, st)
		if from, i = end, end; st.kind == text {
			i++
		}
	}
	s.end = string(b[from:])
	return s
}

// nameAt is the name of the value that begins at i.
func (f *Fields) nameAt(i int) Name {
	for n := unmapped + 1; n < names; n++ {
		if at := f.at[n]; at.end > 0 && int(at.start) == i {
			return n
		}
	}
	return unmapped
}
