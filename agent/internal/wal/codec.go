package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// How a block's payload is compressed; the number is stored.
const (
	codecNone = 0
	codecS2   = 1
	codecZstd = 2
)

var codecs = map[string]byte{"": codecS2, "s2": codecS2, "none": codecNone, "zstd": codecZstd}

var errBadPayload = errors.New("the payload does not decompress")

// zstd's coders take megabytes, so they are made when they are first needed.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxRaw))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// compress appends the stored form of the parts, size bytes in all. What does
// not shrink is stored as it is; the codec that was used is returned.
func compress(dst []byte, codec byte, parts []part, size int) ([]byte, byte) {
	if size == 0 {
		return dst, codecNone
	}
	at := len(dst)
	packed := false
	switch codec {
	case codecS2:
		dst, packed = appendS2(dst, parts, size)
	case codecZstd:
		for i := range parts {
			dst = zstdEncoder().EncodeAll(parts[i].raw.b, dst) // DecodeAll takes several frames
		}
	}
	if codec != codecNone && (len(dst)-at < size || packed) {
		return dst, codec
	}
	dst = dst[:at]
	for i := range parts {
		dst = append(dst, parts[i].raw.b...)
	}
	return dst, codecNone
}

// appendS2 appends one s2 block. It is the size of the whole, and then what is
// in the blocks of the parts without their sizes, as s2.ConcatBlocks would do
// it. The header of a run is a literal. packed: some parts came compressed.
func appendS2(dst []byte, parts []part, size int) (out []byte, packed bool) {
	need := binary.MaxVarintLen32
	for i := range parts {
		if p := &parts[i]; p.packed != nil {
			packed = true
			need += 1 + p.heads + len(p.packed.b)
		} else {
			need += s2.MaxEncodedLen(len(p.raw.b))
		}
	}
	dst = binary.AppendUvarint(slices.Grow(dst, need), uint64(size))
	for i := range parts {
		p := &parts[i]
		if p.packed != nil {
			dst = append(dst, byte(p.heads-1)<<2) // a literal of less than 60 bytes
			dst = append(dst, p.head[:p.heads]...)
			dst = append(dst, p.packed.b...)
			continue
		}
		// Its size lands on the bytes before it, which are put back.
		var before, own [binary.MaxVarintLen32]byte
		n := binary.PutUvarint(own[:], uint64(len(p.raw.b)))
		from := len(dst) - n
		copy(before[:], dst[from:])
		dst = dst[:from+len(s2.Encode(dst[from:cap(dst)], p.raw.b))]
		copy(dst[from:], before[:n])
	}
	return dst, packed
}

// decompress fills dst, which has room for size bytes, from stored.
func decompress(dst []byte, codec byte, stored []byte, size int) ([]byte, error) {
	switch codec {
	case codecS2:
		n, err := s2.DecodedLen(stored)
		if err != nil || n != size {
			return nil, errBadPayload
		}
		dst, err = s2.Decode(dst[:size], stored)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBadPayload, err)
		}
	case codecZstd:
		var err error
		dst, err = zstdDecoder().DecodeAll(stored, dst[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBadPayload, err)
		}
	default:
		dst = append(dst[:0], stored...)
	}
	if len(dst) != size {
		return nil, errBadPayload
	}
	return dst, nil
}
