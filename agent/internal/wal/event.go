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
	knownBits    = severityBits | idInBody | typeInBody | sourceInBody
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
	i := putVarint(b, at+1, e.Time-base)
	i = putVarint(b, i, e.Received-base)
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

func putVarint(b []byte, i int, v int64) int { return putUvarint(b, i, uint64(v)<<1^uint64(v>>63)) }

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

// decodeEvent fills e from the front of src and returns the rest. e's byte
// fields are views into src.
func decodeEvent(src []byte, e *agent.Event, base int64) ([]byte, error) {
	if len(src) == 0 || src[0]&^knownBits != 0 {
		return nil, errBadEvent
	}
	flags := src[0]
	d := decoder{b: src[1:]}
	when := base + d.varint()
	received := base + d.varint()
	size := d.uvarint()
	// A part within the body is known by its place until the body is reached.
	var at [3]uint64
	var length [3]uint64
	var part [3][]byte
	for i, flag := range [3]byte{idInBody, typeInBody, sourceInBody} {
		if flags&flag != 0 {
			at[i] = d.uvarint()
			length[i] = d.uvarint()
		} else {
			part[i] = d.bytes(d.uvarint())
		}
	}
	body := d.bytes(size)
	if d.bad {
		return nil, errBadEvent
	}
	for i, flag := range [3]byte{idInBody, typeInBody, sourceInBody} {
		if flags&flag == 0 {
			continue
		}
		if at[i] > uint64(len(body)) || length[i] > uint64(len(body))-at[i] {
			return nil, errBadEvent
		}
		end := at[i] + length[i]
		part[i] = body[at[i]:end:end]
	}
	e.Time, e.Received, e.Severity = when, received, agent.Severity(flags&severityBits)
	e.ID, e.Type, e.Source, e.Body = part[0], part[1], part[2], body
	return d.b, nil
}

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

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

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
