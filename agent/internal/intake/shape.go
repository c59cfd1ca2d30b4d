package intake

import (
	"bytes"
	"encoding/binary"
)

// Events of one source look alike: they have the same keys in the same order,
// and only their values differ. A shape is what such texts have in common. A
// text of a known shape is checked by comparing what stands between its values
// with what stood there before, a stretch at a time, and by scanning the values.
//
// That proves as much as a scan: all between the values is the same, byte for
// byte, as in a text that was scanned and had neither fault nor oddity, and a
// string stands where a string stood, another scalar where a scalar stood.

// A step is a part of a shape: a stretch of text, and the value after it.
type step struct {
	text   []byte // from the end of the value before; strings leave their quotes to the stretches around them
	next   *step  // the first of those that may follow
	other  *step  // the next of those that may stand here instead
	quoted bool   // the value is a string
	end    bool   // there is no value: the text ends
	raw    bool   // end: the text has keys of a raw record
	slot   slot   // of the value
}

// Limits keep what is learnt within bounds, whatever texts come.
const (
	maxSteps    = 2048    // learnt since all were last forgotten
	maxStepText = 1 << 18 // bytes of their text, likewise
	maxForks    = 16      // steps that may follow another
	maxValues   = 256     // in a text whose shape is learnt
	maxLearnt   = 1 << 14 // bytes of such a text: a longer one would stay in memory whole if it has few values

	// Learning costs as much as some scans, so that it must pay: every text of a
	// known shape earns one credit, up to maxCredit, and a new shape costs
	// learnPrice. Texts that never repeat are given a chance now and then.
	maxCredit   = 64 * learnPrice
	learnPrice  = 8
	chanceEvery = 1024
)

// Shapes are those that a scanner has learnt. They form a tree by their beginnings.
type shapes struct {
	first  step // of all texts: has no text of its own
	steps  int  // learnt since all were last forgotten
	bytes  int  // of their text
	credit int
	texts  int
}

// match reports whether b has a known shape, and fills d then. Else d is in no
// defined state, and b may be anything.
func (s *shapes) match(b []byte, d *doc) bool {
	if s.texts++; s.texts%chanceEvery == 1 {
		s.credit = max(s.credit, 8*learnPrice)
	}
	*d = doc{}
	at, i := &s.first, 0
steps:
	for {
		for n := at.next; n != nil; n = n.other {
			j := i + len(n.text)
			if j > len(b) || !alike(b[i:j], n.text) {
				continue
			}
			if n.end {
				if j < len(b) {
					if space(b, j, d) < len(b) {
						continue
					}
					d.breaks = false
				}
				d.end, d.rawKeys = int32(j), n.raw
				s.credit = min(s.credit+1, maxCredit)
				return true
			}
			start := j
			if n.quoted {
				if j = plain(b, j); j >= len(b) {
					return false
				}
				if b[j] != '"' {
					var what string
					if j, what = odd(b, j, d, &d.escapes); what != "" {
						return false
					}
				}
				if n.slot != noSlot {
					d.value[n.slot] = span{int32(start) - 1, int32(j) + 1}
				}
			} else {
				// Where one stretch is the beginning of another, the value tells them apart.
				if j = scalar(b, j); j < 0 {
					continue
				}
				if n.slot != noSlot {
					d.value[n.slot] = span{int32(start), int32(j)}
				}
			}
			at, i = n, j
			continue steps
		}
		return false
	}
}

// alike is bytes.Equal for what has some tens of bytes, mostly is the same, and
// is compared so often that a call costs too much.
func alike(a, b []byte) bool {
	n := len(b)
	if n < 8 || len(a) != n {
		return string(a) == string(b)
	}
	diff := binary.LittleEndian.Uint64(a[n-8:]) ^ binary.LittleEndian.Uint64(b[n-8:])
	for i := 0; i < n-8; i += 8 {
		diff |= binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
	}
	return diff == 0
}

// scalar is the index after the number, true, false or null at i, or -1.
func scalar(b []byte, i int) int {
	switch at(b, i) {
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	}
	return number(b, i)
}

// learn adds the shape of b, in which a scan found d and no fault.
func (s *shapes) learn(b []byte, d *doc) {
	if len(b) > maxLearnt || d.start != 0 || d.badText || d.duplicates || d.escapedKeys || d.breaks || s.credit < learnPrice {
		return
	}
	s.credit -= learnPrice
	if s.steps > maxSteps || s.bytes > maxStepText {
		s.first.next, s.steps, s.bytes = nil, 0, 0
	}
	var inArray uint64 // by depth
	var values int
	at, from, key := &s.first, 0, false
	for i := 0; i < int(d.end) && values <= maxValues; {
		switch c := b[i]; c {
		case '{', '[':
			if d.slotAt(i) != noSlot {
				return // a member that siemd looks at is no scalar
			}
			inArray <<= 1
			if c == '[' {
				inArray |= 1
			}
			key = c == '{'
			i++
		case '}', ']':
			inArray >>= 1
			i++
		case ',':
			key = inArray&1 == 0
			i++
		case ':':
			key = false
			i++
		case ' ', '\t':
			i++
		case '"':
			end := plain(b, i+1)
			if b[end] != '"' {
				end, _ = odd(b, end, d, &d.escapes)
			}
			if !key {
				at = s.follow(at, step{text: bytes.Clone(b[from : i+1]), quoted: true, slot: d.slotAt(i)})
				from = end
				values++
			}
			i = end + 1
		default:
			at = s.follow(at, step{text: bytes.Clone(b[from:i]), slot: d.slotAt(i)})
			i = scalar(b, i)
			from = i
			values++
		}
	}
	if values <= maxValues {
		s.follow(at, step{text: bytes.Clone(b[from:d.end]), end: true, raw: d.rawKeys})
	}
}

// follow is the step after at that is like n, made if need be. Where there are
// too many already, it takes the place of the last.
func (s *shapes) follow(at *step, n step) *step {
	link := &at.next
	for forks := 1; *link != nil; forks++ {
		known := *link
		if known.end == n.end && bytes.Equal(known.text, n.text) {
			return known
		}
		if forks == maxForks {
			break
		}
		link = &known.other
	}
	s.steps++
	s.bytes += len(n.text)
	*link = &n
	return &n
}

// slotAt is the slot whose value begins at i.
func (d *doc) slotAt(i int) slot {
	for s := noSlot + 1; s < slots; s++ {
		if v := d.value[s]; v.end > 0 && int(v.start) == i {
			return s
		}
	}
	return noSlot
}
