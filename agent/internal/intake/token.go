package intake

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/adrian207/siemd/agent"
)

const (
	lanes = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain is the index of the first byte from i that ends the plain run of a
// string: a quote, a backslash, a control character, a byte beyond ASCII; or len(b).
func plain(b []byte, i int) int {
	for i+8 <= len(b) {
		// The top bit of each byte of m tells whether it is one of those. Above
		// the lowest that is set there may be wrong ones, since borrows run upwards.
		x := binary.LittleEndian.Uint64(b[i:])
		m := (((x ^ lanes*'"') - lanes) | ((x ^ lanes*'\\') - lanes) | (x - lanes*' ') | x) & highs
		if m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// odd goes on in a string at i, where its plain run ends, to the index of the
// closing quote. If there is an escape, *escapes is set. What is not "" says
// what is wrong at the index.
func odd(b []byte, i int, d *doc, escapes *bool) (end int, what string) {
	for {
		switch c := at(b, i); {
		case c == '"':
			return i, ""
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				d.badText = true
			}
			if i += size; at(b, i) >= utf8.RuneSelf {
				continue
			}
		case c == '\\':
			*escapes = true
			size, lone := escape(b[i:])
			if size == 0 {
				return i, "no such escape"
			}
			if lone {
				d.badText = true
			}
			i += size
		case i >= len(b):
			return i, "the string does not end"
		default:
			return i, "a raw control character in a string"
		}
		i = plain(b, i)
	}
}

// escape is the size of the escape that s begins with, both halves of a pair of
// surrogates included; 0 if it is none. lone says that it is half a pair.
func escape(s []byte) (size int, lone bool) {
	switch at(s, 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, false
	case 'u':
		high, ok := hex4(s, 2)
		if !ok {
			return 0, false
		}
		if high&0xF800 != 0xD800 {
			return 6, false
		}
		if high < 0xDC00 && at(s, 6) == '\\' && at(s, 7) == 'u' {
			if low, ok := hex4(s, 8); ok && low&0xFC00 == 0xDC00 {
				return 12, false
			}
		}
		return 6, true
	}
	return 0, false
}

func hex4(s []byte, i int) (v uint32, ok bool) {
	if i+4 > len(s) {
		return 0, false
	}
	for _, c := range s[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint32(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			v = v<<4 | uint32(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// literal is the index after word at i, or -1.
func literal(b []byte, i int, word string) int {
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word)
	}
	return -1
}

// number is the index after the number at i, or -1.
func number(b []byte, i int) int {
	if at(b, i) == '-' {
		i++
	}
	digits := digitRun(b, i)
	if digits == i || at(b, i) == '0' && digits > i+1 {
		return -1
	}
	i = digits
	if at(b, i) == '.' {
		if digits = digitRun(b, i+1); digits == i+1 {
			return -1
		}
		i = digits
	}
	if at(b, i)|0x20 == 'e' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		if digits = digitRun(b, i); digits == i {
			return -1
		}
		i = digits
	}
	return i
}

// digitRun is the index of the first byte from i that is no digit.
func digitRun(b []byte, i int) int {
	for i+8 <= len(b) {
		// Digits become 0 to 9, to which 0x76 can be added without a carry into the top bit.
		x := binary.LittleEndian.Uint64(b[i:]) ^ lanes*'0'
		if m := (x + lanes*0x76 | x) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

func notValue(b []byte, i int) fault {
	what := "want a value"
	switch c := at(b, i); {
	case i >= len(b):
		what = "the text ends where a value belongs"
	case c == '-', '0' <= c && c <= '9':
		what = "no such number"
	case c < ' ':
		what = "a raw control character"
	}
	return fault{agent.ReasonNotJSON, what, i}
}

func notKey(b []byte, i int) fault {
	what := "want a key in quotes"
	switch c := at(b, i); {
	case i >= len(b):
		what = "the text ends where a key belongs"
	case c == '}':
		what = "a comma before the closing brace"
	case c < ' ':
		what = "a raw control character"
	}
	return fault{agent.ReasonNotJSON, what, i}
}

func notNext(b []byte, i int, array bool) fault {
	what := "want a comma or a closing brace"
	switch {
	case i >= len(b):
		what = "the text ends before its object or array does"
	case array:
		what = "want a comma or a closing bracket"
	case b[i] < ' ':
		what = "a raw control character"
	}
	return fault{agent.ReasonNotJSON, what, i}
}
