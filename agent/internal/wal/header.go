package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/adrian207/siemd/agent"
)

// The layout is documented in doc.go.
const (
	magic       = "\xf5SWB"
	version     = 1
	fixedHeader = 64
	maxHeader   = 16 << 20
	maxRaw      = 256 << 20 // no block is larger before compression
	maxInputs   = 4096
	maxNumber   = 1 << 62 // of blocks and events; what is above is damage
)

// Fields of the header. A reader that does not know a field skips it if the
// number is odd and refuses the block if it is even.
const (
	fieldInputs  = 2
	fieldKinds   = 3
	fieldTargets = 4
	fieldMarks   = 5
)

// ErrNewer says that the log was written by a newer version. Nothing was touched.
var ErrNewer = errors.New("written by a newer version")

var (
	errShort     = errors.New("the block is cut short")
	errNoBlock   = errors.New("not a block")
	errBadHeader = errors.New("the block's header is damaged")
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

// A header is all that a block says about itself without its payload.
type header struct {
	size     int // of the header itself, encoded
	codec    byte
	number   uint64 // of the block: 1, 2, 3 ... without gaps; tidwall's index
	first    uint64 // sequence number of the first event
	count    uint32
	raw      uint32 // size of the payload before compression
	stored   uint32 // and after
	crc      uint32 // of the payload as stored
	time     int64  // when it was written, UTC nanoseconds
	durable  uint64 // the highest block known to be fsynced at that time
	inputs   []string
	kinds    []kind // empty: unknown
	targets  []string
	marks    []agent.Mark
	tooKinds bool
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// next is the sequence number after the block's last.
func (h *header) next() uint64 { return h.first + uint64(h.count) }

// entrySize is the size of header and payload.
func (h *header) entrySize() int64 { return int64(h.size) + int64(h.stored) }

// appendHeader appends the encoded header to dst, ready to be followed by the payload.
func appendHeader(dst []byte, h *header) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, fixedHeader)...)
	if len(h.inputs) > 0 {
		dst = appendField(dst, fieldInputs, func(b []byte) []byte { return appendStrings(b, h.inputs) })
	}
	if len(h.kinds) > 0 && !h.tooKinds {
		dst = appendField(dst, fieldKinds, func(b []byte) []byte { return appendKinds(b, h.kinds) })
	}
	if len(h.targets) > 0 {
		dst = appendField(dst, fieldTargets, func(b []byte) []byte { return appendStrings(b, h.targets) })
	}
	if len(h.marks) > 0 {
		dst = appendField(dst, fieldMarks, func(b []byte) []byte { return appendMarks(b, h.marks) })
	}
	h.size = len(dst) - start
	seal(dst[start:], h)
	return dst
}

// seal writes the fixed part of the encoded header b, and its checksum.
func seal(b []byte, h *header) {
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], uint32(h.size))
	b[12], b[13] = version, h.codec
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], h.first)
	le.PutUint32(b[32:], h.count)
	le.PutUint32(b[36:], h.raw)
	le.PutUint32(b[40:], h.stored)
	le.PutUint32(b[44:], h.crc)
	le.PutUint64(b[48:], uint64(h.time))
	le.PutUint64(b[56:], h.durable)
	le.PutUint32(b[4:], checksum(b[8:]))
}

// appendField appends number, length and value. The length has four bytes, so
// that the value can be written in place.
func appendField(dst []byte, number uint64, value func([]byte) []byte) []byte {
	dst = binary.AppendUvarint(dst, number)
	at := len(dst)
	dst = value(append(dst, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func appendStrings(dst []byte, list []string) []byte {
	for _, s := range list {
		dst = appendBytes(dst, s)
	}
	return dst
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendKinds(dst []byte, kinds []kind) []byte {
	for i := range kinds {
		dst = append(dst, byte(kinds[i].severity))
		dst = binary.AppendUvarint(dst, kinds[i].count)
		dst = appendBytes(dst, kinds[i].typ)
	}
	return dst
}

// appendMarks stores a nil Pos as length 0 and others as length + 1.
func appendMarks(dst []byte, marks []agent.Mark) []byte {
	for _, m := range marks {
		dst = appendBytes(dst, m.Key)
		if m.Pos == nil {
			dst = binary.AppendUvarint(dst, 0)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(m.Pos))+1)
		dst = append(dst, m.Pos...)
	}
	return dst
}

// headerSize tells how many bytes of src the header at its front takes, from
// the first 12 bytes. errShort: there are fewer. errNoBlock: it is none.
func headerSize(src []byte) (int, error) {
	if len(src) < 12 {
		return 0, errShort
	}
	if string(src[:4]) != magic {
		return 0, errNoBlock
	}
	size := binary.LittleEndian.Uint32(src[8:])
	if size < 13 || size > maxHeader {
		return 0, errNoBlock
	}
	return int(size), nil
}

// decodeHeader fills h from the front of src. Strings and marks are copied;
// the slices of h are reused. The errors are errShort, errNoBlock,
// errBadHeader, and ErrNewer for an intact header that this version must not read.
func decodeHeader(src []byte, h *header) error {
	size, err := headerSize(src)
	if err != nil {
		return err
	}
	if len(src) < size {
		return errShort
	}
	src = src[:size]
	le := binary.LittleEndian
	if le.Uint32(src[4:]) != checksum(src[8:]) {
		return errBadHeader
	}
	// Magic, checksum, size and version are where they are in all versions.
	if src[12] > version {
		return fmt.Errorf("block version %d: %w", src[12], ErrNewer)
	}
	if size < fixedHeader || src[12] == 0 {
		return errBadHeader
	}
	if src[13] > codecZstd {
		return fmt.Errorf("block codec %d: %w", src[13], ErrNewer)
	}
	if flags := le.Uint16(src[14:]); flags != 0 {
		return fmt.Errorf("block flags %#x: %w", flags, ErrNewer)
	}
	*h = header{
		size: size, codec: src[13],
		number: le.Uint64(src[16:]), first: le.Uint64(src[24:]), count: le.Uint32(src[32:]),
		raw: le.Uint32(src[36:]), stored: le.Uint32(src[40:]), crc: le.Uint32(src[44:]),
		time: int64(le.Uint64(src[48:])), durable: le.Uint64(src[56:]),
		inputs: h.inputs[:0], kinds: h.kinds[:0], marks: h.marks[:0],
	}
	if h.number == 0 || h.first == 0 || h.number >= maxNumber || h.first >= maxNumber || h.raw > maxRaw || h.stored > 2*maxRaw {
		return errBadHeader
	}
	return h.fields(src[fixedHeader:])
}

func (h *header) fields(src []byte) error {
	for d := (decoder{b: src}); len(d.b) > 0; {
		number := d.uvarint()
		length := d.bytes(4)
		if d.bad {
			return errBadHeader
		}
		value := decoder{b: d.bytes(uint64(binary.LittleEndian.Uint32(length)))}
		if d.bad {
			return errBadHeader
		}
		for len(value.b) > 0 {
			switch number {
			case fieldInputs:
				h.inputs = append(h.inputs, value.string())
			case fieldTargets:
				h.targets = append(h.targets, value.string())
			case fieldKinds:
				sev := value.bytes(1)
				if value.bad {
					return errBadHeader
				}
				k := kind{severity: agent.Severity(sev[0]), count: value.uvarint()}
				k.typ = value.bytes(value.uvarint())
				h.kinds = append(h.kinds, k)
			case fieldMarks:
				m := agent.Mark{Key: value.string()}
				if n := value.uvarint(); n > 0 {
					m.Pos = slices.Clone(value.bytes(n - 1))
					if m.Pos == nil {
						m.Pos = []byte{}
					}
				}
				h.marks = append(h.marks, m)
			default:
				if number%2 == 0 {
					return fmt.Errorf("block field %d: %w", number, ErrNewer)
				}
				value.b = nil
			}
			if value.bad {
				return errBadHeader
			}
		}
	}
	for i := range h.kinds {
		h.kinds[i].typ = slices.Clone(h.kinds[i].typ)
	}
	return nil
}
