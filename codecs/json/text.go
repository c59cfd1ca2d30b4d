package json

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote appends the text of the string literal raw, which includes its
// quotes. A surrogate without its other half becomes U+FFFD. What is no
// string literal is appended as it is.
func Unquote(dst, raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return append(dst, raw...)
	}
	return unescape(dst, raw[1:len(raw)-1])
}

// unescape is Unquote for the text between the quotes.
func unescape(dst, s []byte) []byte {
	for {
		n := bytes.IndexByte(s, '\\')
		if n < 0 || n+1 >= len(s) {
			return append(dst, s...)
		}
		dst = append(dst, s[:n]...)
		c := s[n+1]
		s = s[n+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(s)
			if r < 0 { // no JSON
				dst = append(dst, '\\', 'u')
				continue
			}
			s = s[4:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low = hex4(s[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c) // \" \\ \/ stand for themselves
	}
}

// Holds reports whether part stands in a JSON text, in any case, as it is
// written there or behind its escapes: é is also found in "\u00e9".
func Holds(text []byte, part string) bool {
	p := bytes.ToLower([]byte(part))
	if bytes.Contains(text, p) || bytes.Contains(bytes.ToLower(text), p) {
		return true
	}
	return bytes.IndexByte(text, '\\') >= 0 && bytes.Contains(bytes.ToLower(unescape(nil, text)), p)
}

// hex4 is the value of the four hexadecimal digits that s begins with, or -1.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a string literal with its quotes. Only what JSON
// demands is escaped: the quote, the backslash and control characters.
// Invalid UTF-8 becomes U+FFFD, one for each byte.
func AppendString[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			// Converting at most four bytes at a time keeps this free of allocations.
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// Compact appends value without insignificant white space.
func Compact(dst, value []byte) []byte {
	start := 0
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			i = stringEnd(value, i)
		case ' ', '\t', '\n', '\r':
			dst = append(dst, value[start:i]...)
			i = skipSpace(value, i)
			start = i
		default:
			i++
		}
	}
	return append(dst, value[start:]...)
}

// Text appends what a raw value says in a target that knows only text: a
// string its text, another scalar its literal, an array of strings its
// elements joined with "; ", another composite its compact JSON, and null nothing.
func Text(dst, value []byte) []byte {
	switch KindOf(value) {
	case Null:
		return dst
	case String:
		return Unquote(dst, value)
	case Array:
		return arrayText(dst, value)
	case Object:
		return Compact(dst, value)
	}
	return append(dst, value...)
}

func arrayText(dst, arr []byte) []byte {
	strings := true
	Elements(arr, func(v []byte) bool {
		strings = KindOf(v) == String
		return strings
	})
	if !strings {
		return Compact(dst, arr)
	}
	first := true
	Elements(arr, func(v []byte) bool {
		if !first {
			dst = append(dst, "; "...)
		}
		first = false
		dst = Unquote(dst, v)
		return true
	})
	return dst
}
