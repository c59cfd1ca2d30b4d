package wal

import (
	"errors"
	"fmt"
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

// compress appends the stored form of raw to dst. What does not shrink is
// stored as it is; the codec that was used is returned.
func compress(dst []byte, codec byte, raw []byte) ([]byte, byte) {
	at := len(dst)
	switch {
	case len(raw) == 0:
		return dst, codecNone
	case codec == codecS2:
		need := s2.MaxEncodedLen(len(raw))
		if cap(dst)-at < need {
			dst = append(make([]byte, 0, at+need), dst...)
		}
		dst = dst[:at+len(s2.Encode(dst[at:at+need], raw))]
	case codec == codecZstd:
		dst = zstdEncoder().EncodeAll(raw, dst)
	}
	if codec == codecNone || len(dst)-at >= len(raw) {
		return append(dst[:at], raw...), codecNone
	}
	return dst, codec
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
