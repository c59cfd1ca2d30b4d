package intake

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/adrian207/siemd/agent"
)

// A keyRef is a key of an object that is open.
type keyRef struct {
	hash       uint32
	start, end int32
}

// maxKeys is how many members one object may have. Who has more has data where
// names should be, of which every target would make a field.
const maxKeys = 10_000

// fewKeys is how many keys of one object are compared with each other as they
// come. Of larger objects they are sorted in the end, so that no text takes
// time by the square of its size.
const fewKeys = 32

// key notes the key at b[start:end] and finds out whether the object has it already.
func (s *scanner) key(f *frame, b []byte, start, end int, d *doc) {
	h := hashKey(b, start, end)
	bit := uint64(1) << (h >> 26)
	n := len(s.keys)
	if f.bloom&bit != 0 && n-int(f.keys) < fewKeys {
		for _, k := range s.keys[f.keys:] {
			if k.hash == h && bytes.Equal(b[k.start:k.end], b[start:end]) {
				d.duplicates = true
			}
		}
	}
	f.bloom |= bit
	s.keys = append(s.keys, keyRef{h, int32(start), int32(end)})
}

// crowd looks at the keys of an object that has more than a few.
func crowd(keys []keyRef, b []byte, d *doc) fault {
	if len(keys) > maxKeys {
		return fault{agent.ReasonTooManyKeys, "more than 10000 members in one object", int(keys[maxKeys].start) - 1}
	}
	compare := func(x, y keyRef) int {
		if x.hash != y.hash {
			return int(int64(x.hash) - int64(y.hash))
		}
		return bytes.Compare(b[x.start:x.end], b[y.start:y.end])
	}
	slices.SortFunc(keys, compare)
	for i := 1; i < len(keys); i++ {
		if compare(keys[i-1], keys[i]) == 0 {
			d.duplicates = true
			break
		}
	}
	return fault{}
}

// hashKey mixes the length and the last eight bytes. It is cheap and easy to
// fool, which costs comparisons and nothing else.
func hashKey(b []byte, start, end int) uint32 {
	n := end - start
	var x uint64
	if end >= 8 {
		if x = binary.LittleEndian.Uint64(b[end-8 : end]); n < 8 {
			x >>= 64 - 8*n // drops what is before the key
		}
	} else {
		for i, c := range b[start:end] { // the same at the beginning of the text
			x |= uint64(c) << (8 * i)
		}
	}
	return uint32((x ^ uint64(n)<<59) * 0xD6E8FEB86659FD93 >> 32)
}
