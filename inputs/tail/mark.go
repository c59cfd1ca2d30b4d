package tail

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
)

// window is how much of a file's head and of what stands before the position is hashed.
const window = 1024

// A print identifies text that was read: its length, its first KiB and its last KiB.
// The hash of the head is FNV-1a, because that can grow byte by byte.
type print struct {
	offset  int64  // of the next line
	head    uint64 // hash of the first headLen bytes
	headLen int    // min(offset, window)
	tail    uint64 // hash of the tailLen bytes before offset
	tailLen int
}

const fnvBasis, fnvPrime = 14695981039346656037, 1099511628211

func growHead(h uint64, text []byte) uint64 {
	for _, c := range text {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

// advance moves p over text[seen:]; the bytes before seen are those before the old offset.
func (p *print) advance(text []byte, seen int) {
	if p.headLen == 0 {
		p.head = fnvBasis
	}
	if grow := min(window-p.headLen, len(text)-seen); grow > 0 {
		p.head = growHead(p.head, text[seen:seen+grow])
		p.headLen += grow
	}
	p.offset += int64(len(text) - seen)
	last := text[max(0, len(text)-window):]
	p.tail, p.tailLen = xxhash.Sum64(last), len(last)
}

// A state is how far a file was read. It is what a mark holds.
type state struct {
	print
	origin   string       // identity that ids are derived from
	gen      int          // how often the file was truncated
	skipping bool         // the offset is inside a line that was too long
	finished bool         // nothing will be added: rotated away or unlinked, and read to the end
	seq      uint64       // the last event of it, as far as known
	unsought bool         // copies made since at may be known to nobody
	seqSure  bool         // seq covers everything before offset
	at       int64        // when this was written, or copiesTo if unsought; Unix nanoseconds
	past     []generation // what was read before truncations, the latest first; never written to
}

// A generation is what a file held before it was truncated.
type generation struct {
	print
	gen int
	at  int64 // when the truncation was noticed, Unix nanoseconds
}

// Generations are remembered until the copies that were made of them are told
// from other files: of those of the last minute many, of older ones a few.
const (
	maxPast    = 128
	oldPast    = 4
	recentPast = time.Minute
)

// remember puts what s holds before the generations that it held before.
func (s *state) remember(now time.Time) {
	past := append(make([]generation, 0, len(s.past)+1), generation{s.print, s.gen, now.UnixNano()})
	for _, g := range s.past {
		if len(past) < oldPast || len(past) < maxPast && now.UnixNano()-g.at < int64(recentPast) {
			past = append(past, g)
		}
	}
	s.past = past
}

const stateVersion = 1

// appendState appends the mark for s.
func appendState(dst []byte, s *state) []byte {
	dst = append(dst, stateVersion)
	var flags byte
	for i, f := range []bool{s.skipping, s.finished, s.seqSure, s.unsought} {
		if f {
			flags |= 1 << i
		}
	}
	dst = append(dst, flags)
	dst = appendPrint(dst, &s.print)
	dst = binary.AppendUvarint(dst, uint64(s.gen))
	dst = binary.AppendUvarint(dst, s.seq)
	dst = binary.AppendUvarint(dst, uint64(s.at))
	dst = binary.AppendUvarint(dst, uint64(len(s.origin)))
	dst = append(dst, s.origin...)
	dst = binary.AppendUvarint(dst, uint64(len(s.past)))
	for i := range s.past {
		dst = appendPrint(dst, &s.past[i].print)
		dst = binary.AppendUvarint(dst, uint64(s.past[i].gen))
		dst = binary.AppendUvarint(dst, uint64(s.past[i].at))
	}
	return dst
}

func appendPrint(dst []byte, p *print) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.offset))
	dst = binary.AppendUvarint(dst, uint64(p.headLen))
	dst = binary.LittleEndian.AppendUint64(dst, p.head)
	dst = binary.AppendUvarint(dst, uint64(p.tailLen))
	return binary.LittleEndian.AppendUint64(dst, p.tail)
}

var errMark = errors.New("not a mark of this version of tail")

// parseState reads what appendState wrote.
func parseState(b []byte) (state, error) {
	var s state
	d := decoder{b: b}
	if d.byte() != stateVersion {
		return s, errMark
	}
	flags := d.byte()
	s.skipping, s.finished, s.seqSure, s.unsought = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0
	s.print = d.print()
	s.gen = int(d.number(1 << 31))
	s.seq = d.number(1 << 62)
	s.at = int64(d.number(1 << 62))
	s.origin = d.text(256)
	for range d.number(maxPast) {
		s.past = append(s.past, generation{d.print(), int(d.number(1 << 31)), int64(d.number(1 << 62))})
	}
	if d.bad || len(d.b) != 0 {
		return state{}, errMark
	}
	return s, nil
}

// A decoder takes fields off the front of b and remembers if one was missing or out of range.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.b) < n {
		d.bad = true
		return make([]byte, n)
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) number(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > limit {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(limit uint64) string {
	return string(d.take(int(d.number(limit))))
}

func (d *decoder) print() (p print) {
	p.offset = int64(d.number(1 << 62))
	p.headLen = int(d.number(window))
	p.head = binary.LittleEndian.Uint64(d.take(8))
	p.tailLen = int(d.number(window))
	p.tail = binary.LittleEndian.Uint64(d.take(8))
	if int64(p.tailLen) > p.offset || int64(p.headLen) > p.offset {
		d.bad = true
	}
	return p
}
