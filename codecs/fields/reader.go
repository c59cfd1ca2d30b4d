package fields

import (
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
)

// A Reader reads events like Fields.Read, faster where they resemble each
// other: programs write the events of a type with the same members in the same
// order, so that what stands between the values is known from an event before,
// and mostly even how long the values are, and some are always the same. What is expected is compared, not
// searched for, and the processor need not wait for the end of one value to look at the next.
//
// The zero Reader is ready. It is safe for concurrent use.
type Reader struct {
	slots [16]slot // by type
}

// A slot has what is known of the types that fall into it.
type slot struct {
	known  atomic.Pointer[family]
	misses atomic.Uint64
}

// A family is the shapes of a slot. It is never changed.
type family struct {
	shapes [maxShapes]*shape           // nil behind the last
	common [maxShapes][maxShapes]uint8 // steps at their beginning that two of them share
}

// Read fills f, which is zero, from e.
func (r *Reader) Read(f *Fields, e *agent.Event) {
	f.body = e.Body
	s := r.slot(e.Type)
	known := s.known.Load()
	if known != nil && known.read(f, e.Type) {
		return
	}
	f.Kind = KindOf(e.Type)
	f.scan(top)
	if n := s.misses.Add(1); seldom(n) {
		if more := known.learn(f, e.Type, n); more != nil {
			s.known.Store(more)
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

// read fills f from its body if that has one of the shapes of the type, or reports false and leaves f as it was.
func (known *family) read(f *Fields, eventType []byte) bool {
	if len(f.body) > maxBody {
		return false
	}
	var ends [maxSteps]uint16
	from := 0
	for n := 0; n < maxShapes && known.shapes[n] != nil; {
		s := known.shapes[n]
		if string(eventType) != s.eventType {
			n, from = n+1, 0
			continue
		}
		failed := s.walk(f.body, &ends, from)
		if failed < 0 {
			s.fill(f, &ends)
			return true
		}
		// The next one that does not fail for the same reason goes on where the two differ.
		common := &known.common[n]
		for n++; n < maxShapes; n++ {
			if from = int(common[n]); from <= failed {
				break
			}
		}
	}
	return false
}

// The first events that are not as expected are learnt from, and later ones
// seldom. So events that are all different cost little, and what changes after a year is learnt as well.
const (
	eager = 256
	every = 512
)

func seldom(n uint64) bool { return n <= eager || n%every == 0 }
