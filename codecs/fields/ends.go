package fields

import (
	"encoding/binary"
	"math/bits"
)

// skipSpace is the index of the first byte from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// equal has the top bit set of each byte of x that is the one that every byte
// of pattern is. Only the lowest such bit is exact: a borrow can spoil those above.
func equal(x, pattern uint64) uint64 {
	x ^= pattern
	return (x - lows) &^ x & highs
}

// closing is the index of the quote that closes the string whose text begins
// at i, or len(b), and whether there are escapes before it.
func closing(b []byte, i int) (end int, escaped bool) {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		m := equal(x, '"'*lows) | equal(x, '\\'*lows)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if b[i] == '"' {
			return i, escaped
		}
		escaped = true
		i += 2
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return len(b), escaped
}

// stringEnd is the index behind the string that opens at i. It is closing for
// those who need not know of escapes, and so looks at quotes only.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); {
		if i+8 <= len(b) {
			m := equal(binary.LittleEndian.Uint64(b[i:]), '"'*lows)
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		if b[i] == '"' && !isEscaped(b, i) {
			return i + 1
		}
		i++
	}
	return len(b)
}

// isEscaped reports whether an odd number of backslashes precedes i.
func isEscaped(b []byte, i int) bool {
	n := 0
	for n < i && b[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// valueEnd is the index behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return compositeEnd(b, i)
	}
	return scalarEnd(b, i)
}

// compositeEnd is the index behind the object or array that opens at i.
func compositeEnd(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			i = stringEnd(b, i) - 1
		case c < '[': // brackets and braces are behind nearly all else that stands outside of strings
		case c|0x20 == '{':
			depth++
		case c|0x20 == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// scalarEnd is the index behind the number or word that begins at i.
func scalarEnd(b []byte, i int) int {
	for i < len(b) && (b[i]-'-' <= '9'-'-' || b[i] > ' ' && b[i] != ',' && b[i] != '}' && b[i] != ']') {
		i++ // the first comparison holds for digits, the minus and the point
	}
	return i
}

// notNumber has the top bit set of the first byte of x that is no digit, sign
// of minus or point. Only the lowest such bit is exact.
func notNumber(x uint64) uint64 {
	return ((x-'-'*lows)&^x | (x + (0x7f-'9')*lows) | x) & highs
}
