package fields

import (
	"math/bits"
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
	forms atomic.Uint64
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
	var known [len(s.shapes)]*shape
	for i := range known {
		if known[i] = s.shapes[i].Load(); known[i] != nil && known[i].usual.Load().fits(f) {
			return
		}
	}
	for _, k := range known {
		if k != nil && k.fits(f) {
			k.loosen(f)
			return
		}
	}
	f.scan(top)
	if n := s.misses.Add(1); seldom(n) {
		if learned := f.shape(); learned != nil {
			learned.form = r.forms.Add(1)
			learned.usual.Store(learned.fuse(0))
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

// seldom reports whether the nth event that was not as expected is worth
// learning from: the first ones are, then one in 1024. So events that are all different cost little,
// and what changes after a year is learnt as well.
func seldom(n uint64) bool { return n <= 64 || n%1024 == 0 }
