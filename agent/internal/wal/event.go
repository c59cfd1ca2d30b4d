package wal

import (
	"encoding/binary"
	"errors"
	"slices"
	"unsafe"

	"github.com/adrian207/siemd/agent"
)

// Flags in the first byte of a stored event; the low three bits are the severity.
const (
	severityBits = 0x07
	idInBody     = 0x08
	typeInBody   = 0x10
	sourceInBody = 0x20
	inBody       = idInBody | typeInBody | sourceInBody
	knownBits    = severityBits | inBody
)

var errBadEvent = errors.New("a stored event does not decode")

// maxEventHead is the most that an event takes beside the bytes of its fields:
// flags, four varints, and two more for each part.
const maxEventHead = 1 + 9*binary.MaxVarintLen64

// appendEvent appends the stored form of e to dst. base is the time that the
// event's times are stored relative to.
func appendEvent(dst []byte, e *agent.Event, base int64) []byte {
	at := len(dst)
	dst = slices.Grow(dst, maxEventHead+len(e.ID)+len(e.Type)+len(e.Source)+len(e.Body))
	b := dst[:cap(dst)]
	i := putUvarint(b, at+1, zigzag(e.Time-base))
	i = putUvarint(b, i, zigzag(e.Received-base))
	i = putUvarint(b, i, uint64(len(e.Body)))
	flags := byte(e.Severity) & severityBits
	if i = putPart(b, i, e.ID, e.Body); i < 0 {
		flags, i = flags|idInBody, -i
	}
	if i = putPart(b, i, e.Type, e.Body); i < 0 {
		flags, i = flags|typeInBody, -i
	}
	if i = putPart(b, i, e.Source, e.Body); i < 0 {
		flags, i = flags|sourceInBody, -i
	}
	b[at] = flags
	return b[:i+copy(b[i:], e.Body)]
}

// putPart stores part at b[i] as offset and length if it lies within body,
// and gives the end with a minus, else as it is.
func putPart(b []byte, i int, part, body []byte) int {
	at, ok := within(part, body)
	if ok {
		i = putUvarint(b, i, uint64(at))
		return -putUvarint(b, i, uint64(len(part)))
	}
	i = putUvarint(b, i, uint64(len(part)))
	return i + copy(b[i:], part)
}

// putUvarint stores v at b[i], where there must be room, and gives the end.
func putUvarint(b []byte, i int, v uint64) int {
	for v >= 0x80 {
		b[i] = byte(v) | 0x80
		v >>= 7
		i++
	}
	b[i] = byte(v)
	return i + 1
}

// within reports where in body part lies, if it is a part of the same memory.
func within(part, body []byte) (int, bool) {
	if len(part) == 0 || len(part) > len(body) {
		return 0, false
	}
	p, b := uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(unsafe.Pointer(unsafe.SliceData(body)))
	if p < b || p-b > uintptr(len(body)-len(part)) {
		return 0, false
	}
	return int(p - b), true
}

// decodeEvent fills e, but for Seq, Input and Wire, from the front of src and
// returns the rest. e's byte fields are views into src.
func decodeEvent(src []byte, e *agent.Event, base int64) ([]byte, error) {
	if len(src) == 0 || src[0]&^knownBits != 0 {
		return nil, errBadEvent
	}
	flags := src[0]
	var v [9]uint64   // both times, the size of the body, and of each part offset and length
	var own [3][]byte // the parts that are not in the body
	i := 1
	if flags&inBody == inBody { // most are so
		i = uvarints(src, i, v[:])
	} else {
		i = uvarints(src, i, v[:3])
		for k := range own {
			at := v[3+2*k : 5+2*k]
			if flags&(idInBody<<k) != 0 {
				i = uvarints(src, i, at)
			} else if i = uvarints(src, i, at[1:]); i >= 0 && at[1] <= uint64(len(src)-i) {
				end := i + int(at[1])
				own[k], i = src[i:end:end], end
			} else {
				return nil, errBadEvent
			}
		}
	}
	if i < 0 || v[2] > uint64(len(src)-i) {
		return nil, errBadEvent
	}
	end := i + int(v[2])
	body := src[i:end:end]
	e.Time, e.Received, e.Severity, e.Body = base+unzigzag(v[0]), base+unzigzag(v[1]), agent.Severity(flags&severityBits), body
	e.ID, e.Type, e.Source = own[0], own[1], own[2]
	ok := true
	if flags&idInBody != 0 {
		e.ID, ok = cut(body, v[3], v[4], ok)
	}
	if flags&typeInBody != 0 {
		e.Type, ok = cut(body, v[5], v[6], ok)
	}
	if flags&sourceInBody != 0 {
		e.Source, ok = cut(body, v[7], v[8], ok)
	}
	if !ok {
		return nil, errBadEvent
	}
	return src[end:], nil
}

// cut is n bytes of b from at on, and ok, or false if there are not as many.
func cut(b []byte, at, n uint64, ok bool) ([]byte, bool) {
	if at > uint64(len(b)) || n > uint64(len(b))-at {
		return nil, false
	}
	return b[at : at+n : at+n], ok
}

// uvarints fills dst with the varints from b[i] on, and gives their end, or -1
// if there are not as many. i may be -1.
func uvarints(b []byte, i int, dst []uint64) int {
	for k := range dst {
		v, shift := uint64(0), 0
		for {
			if uint(i) >= uint(len(b)) || shift > 63 {
				return -1
			}
			c := b[i]
			i++
			v |= uint64(c&0x7f) << shift
			if c < 0x80 {
				break
			}
			shift += 7
		}
		dst[k] = v
	}
	return i
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// A decoder takes values off the front of b. After a value that is not there
// it is bad, and gives zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := uint64(d.b[0])
		d.b = d.b[1:]
		return v
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 { return unzigzag(d.uvarint()) }

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.bytes(d.uvarint())) }
