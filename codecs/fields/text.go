package fields

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/adrian207/siemd/codecs/json"
)

// Plain is the text of v without a copy, if v needs no unescaping and no
// joining. Otherwise ok is false and the text is to be had by AppendText.
func (v Value) Plain() (text []byte, ok bool) {
	switch json.KindOf(v) {
	case json.String:
		if len(v) < 2 {
			return nil, true // a quote at the end of what is no JSON
		}
		text = v[1 : len(v)-1]
		return text, bytes.IndexByte(text, '\\') < 0
	case json.Array, json.Object:
		return nil, false
	case json.Null:
		return nil, true
	}
	return v, true
}

// AppendText appends the text of v: see json.Text.
func (v Value) AppendText(dst []byte) []byte { return json.Text(dst, v) }

// AppendJSON appends the text of v as a JSON string.
func (v Value) AppendJSON(dst []byte) []byte {
	if len(v) > 0 && v[0] == '"' {
		return append(dst, v...)
	}
	return v.appendQuoted(dst)
}

// appendQuoted is AppendJSON for what is no string.
func (v Value) appendQuoted(dst []byte) []byte {
	if text, ok := v.Plain(); ok {
		return json.AppendString(dst, text)
	}
	n := len(dst)
	dst = v.AppendText(dst)
	m := len(dst)
	dst = json.AppendString(dst, dst[n:m])
	return append(dst[:n], dst[m:]...)
}

// IsNumber reports whether v is a JSON number.
func (v Value) IsNumber() bool { return json.KindOf(v) == json.Number }

// FitsFloat reports whether v, a number, is within the range of a 32-bit float.
func (v Value) FitsFloat() bool {
	small := len(v) <= 38
	for _, c := range v {
		small = small && c <= '9' // no exponent
	}
	if small {
		return true
	}
	_, err := strconv.ParseFloat(string(v), 32)
	return err == nil
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// HasControl reports whether text has a C0 control character or DEL.
func HasControl(text []byte) bool { return !IsClean(text, 0, 0, 0) }

// IsClean reports whether text has no C0 control character, no DEL, and none of a, b and c.
func IsClean(text []byte, a, b, c byte) bool {
	if len(text) >= 8 {
		as, bs, cs := lows*uint64(a), lows*uint64(b), lows*uint64(c)
		for i := 0; i+8 <= len(text); i += 8 {
			if special(binary.LittleEndian.Uint64(text[i:]), as, bs, cs) {
				return false
			}
		}
		// The last word overlaps the one before.
		return !special(binary.LittleEndian.Uint64(text[len(text)-8:]), as, bs, cs)
	}
	for _, x := range text {
		if x < ' ' || x == 0x7f || x == a || x == b || x == c {
			return false
		}
	}
	return true
}

// special does the work of IsClean for eight bytes.
func special(x, as, bs, cs uint64) bool {
	// A byte below 0x20 borrows into its top bit; one of 0x80 or more has it
	// set itself. A byte that is equal is zero after the xor, and borrows.
	low := (x - 0x20*lows) &^ x
	d, a, b, c := x^0x7f*lows, x^as, x^bs, x^cs
	return (low|(d-lows)&^d|(a-lows)&^a|(b-lows)&^b|(c-lows)&^c)&highs != 0
}

// AppendShort is append for a text that mostly has at most 16 bytes: it takes
// no look at how many exactly, but copies 16.
func AppendShort(dst, text []byte) []byte {
	n := len(dst)
	if len(text) > 16 || cap(text) < 16 || cap(dst)-n < 16 {
		return append(dst, text...)
	}
	*(*[16]byte)(dst[n : n+16]) = *(*[16]byte)(text[:16])
	return dst[:n+len(text)]
}

// AppendString appends text as a JSON string.
func AppendString(dst, text []byte) []byte {
	if isPlain(text) {
		dst = append(append(dst, '"'), text...)
		return append(dst, '"')
	}
	return json.AppendString(dst, text)
}

// isPlain reports whether text stands in a JSON string as it is and is ASCII.
func isPlain(text []byte) bool {
	if len(text) >= 8 {
		odd := uint64(0)
		for i := 0; i+8 < len(text); i += 8 {
			odd |= strange(binary.LittleEndian.Uint64(text[i:]))
		}
		// The last word overlaps the one before.
		return (odd|strange(binary.LittleEndian.Uint64(text[len(text)-8:])))&highs == 0
	}
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// strange sets a top bit if one of the bytes of x is a control character, a
// quote, a backslash, or beyond ASCII.
func strange(x uint64) uint64 {
	// DEL and what is beyond have the top bit set after adding one; the others
	// borrow into it. A carry or borrow into a neighbour comes only from a byte that is strange itself.
	return x | (x + lows) | (x - ' '*lows) | ((x ^ '"'*lows) - lows) | ((x ^ '\\'*lows) - lows)
}

// AppendInside appends text as the inside of a JSON string, without the quotes.
func AppendInside(dst, text []byte) []byte {
	if isPlain(text) {
		return AppendShort(dst, text)
	}
	n := len(dst)
	dst = json.AppendString(dst, text)
	copy(dst[n:], dst[n+1:len(dst)-1])
	return dst[:len(dst)-2]
}

// IsASCII reports whether text has no byte of 0x80 or more.
func IsASCII(text []byte) bool {
	for len(text) >= 8 {
		if binary.LittleEndian.Uint64(text)&highs != 0 {
			return false
		}
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// AppendLine appends text with every control character as a space; CR and LF
// together are one. U+0085, U+2028 and C1 controls stay.
func AppendLine(dst, text []byte, r *Repairs) []byte {
	if !HasControl(text) {
		return append(dst, text...)
	}
	r.Add(ControlChar)
	for i, c := range text {
		switch {
		case c == '\n' && i > 0 && text[i-1] == '\r':
		case c < ' ' || c == 0x7f:
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendLine appends the text of v with every control character as a space.
func (v Value) AppendLine(dst []byte, r *Repairs) []byte {
	if text, ok := v.Plain(); ok {
		return AppendLine(dst, text, r)
	}
	n := len(dst)
	dst = v.AppendText(dst)
	m := len(dst)
	dst = AppendLine(dst, dst[n:m], r)
	return append(dst[:n], dst[m:]...)
}

// Trim is text without leading and trailing spaces.
func Trim(text []byte) []byte {
	for len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	for len(text) > 0 && text[len(text)-1] == ' ' {
		text = text[:len(text)-1]
	}
	return text
}

// CutChars is the beginning of text with at most n characters.
func CutChars(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	i := 0
	for ; n > 0 && i < len(text); n-- {
		_, size := utf8.DecodeRune(text[i:])
		i += size
	}
	return text[:i]
}

// CutBytes is the longest beginning of text with at most n bytes that ends
// where a character ends.
func CutBytes(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	n = max(n, 0)
	for i := n; i > n-utf8.UTFMax; i-- {
		if i <= 0 {
			return text[:0]
		}
		if utf8.RuneStart(text[i]) {
			return text[:i]
		}
	}
	return text[:n] // no UTF-8
}
