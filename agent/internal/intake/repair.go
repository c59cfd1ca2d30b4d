package intake

import (
	"unicode/utf8"

	"github.com/adrian207/siemd/codecs/json"
)

// mend appends src, which is valid but for its texts, with U+FFFD for each byte
// of invalid UTF-8 and for each lone surrogate. All else stays as it is written.
func mend(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); {
		size := 1
		bad := false
		switch c := src[i]; {
		case c == '\\':
			size, bad = escape(src[i:])
			size = max(size, 1)
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRune(src[i:])
			bad = r == utf8.RuneError && size == 1
		}
		if bad {
			dst = append(dst, src[start:i]...)
			dst = append(dst, "\uFFFD"...)
			start = i + size
		}
		i += size
	}
	return append(dst, src[start:]...)
}

// dedupe appends value without repeated keys: the last one stays, where it is.
// Two spellings of a key are the same key. removed says that there were any.
func dedupe(dst, value []byte) (out []byte, removed bool) {
	switch json.KindOf(value) {
	case json.Object:
		return dedupeObject(dst, value)
	case json.Array:
		dst = append(dst, '[')
		n := len(dst)
		json.Elements(value, func(v []byte) bool {
			if len(dst) > n {
				dst = append(dst, ',')
			}
			var r bool
			dst, r = dedupe(dst, v)
			removed = removed || r
			return true
		})
		return append(dst, ']'), removed
	}
	return append(dst, value...), false
}

func dedupeObject(dst, obj []byte) (out []byte, removed bool) {
	last := map[string]int{}
	members := 0
	json.Walk(obj, func(key, _ []byte) bool {
		last[meaning(key)] = members
		members++
		return true
	})
	dst = append(dst, '{')
	n, i := len(dst), -1
	json.Walk(obj, func(key, value []byte) bool {
		if i++; last[meaning(key)] != i {
			removed = true
			return true
		}
		if len(dst) > n {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), key...), '"', ':')
		var r bool
		dst, r = dedupe(dst, value)
		removed = removed || r
		return true
	})
	return append(dst, '}'), removed
}

// meaning is what a key, as it is written, stands for.
func meaning(key []byte) string {
	quoted := append(append([]byte{'"'}, key...), '"')
	return string(json.Unquote(nil, quoted))
}
