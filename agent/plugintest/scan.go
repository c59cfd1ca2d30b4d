package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested before a mock refuses it; the real ones have limits near it.
const maxDepth = 1000

var errCutShort = errors.New("the text ends within a value")

// nextValue is the JSON value that b begins with, white space before it left
// out, and what follows it. It is strict: RFC 8259, valid UTF-8.
// At the end of b both are nil.
func nextValue(b []byte) (value, rest []byte, err error) {
	i := skipSpace(b, 0)
	if i == len(b) {
		return nil, nil, nil
	}
	end, err := skipValue(b, i, 0)
	if err != nil {
		return nil, nil, err
	}
	return b[i:end], b[end:], nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func skipValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, errCutShort
	}
	if depth > maxDepth {
		return i, errors.New("nested too deep")
	}
	switch c := b[i]; {
	case c == '{':
		return skipObject(b, i, depth, nil)
	case c == '[':
		return skipArray(b, i, depth, nil)
	case c == '"':
		return skipString(b, i)
	case c == '-' || '0' <= c && c <= '9':
		return skipNumber(b, i)
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(b[i:], []byte(word)) {
			return i + len(word), nil
		}
	}
	return i, fmt.Errorf("unexpected %q", b[i])
}

// skipObject steps over the object at b[i] and tells member of each key, with
// quotes and escapes, and value.
func skipObject(b []byte, i, depth int, member func(key, value []byte) error) (int, error) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) {
			return i, errCutShort
		}
		if b[i] != '"' {
			return i, fmt.Errorf("want a key, not %q", b[i])
		}
		keyEnd, err := skipString(b, i)
		if err != nil {
			return keyEnd, err
		}
		at := skipSpace(b, keyEnd)
		if at >= len(b) {
			return at, errCutShort
		}
		if b[at] != ':' {
			return at, fmt.Errorf("want a colon, not %q", b[at])
		}
		at = skipSpace(b, at+1)
		end, err := skipValue(b, at, depth+1)
		if err != nil {
			return end, err
		}
		if member != nil {
			if err := member(b[i:keyEnd], b[at:end]); err != nil {
				return end, err
			}
		}
		more, next, err := afterItem(b, end, '}')
		if err != nil || !more {
			return next, err
		}
		i = next
	}
}

func skipArray(b []byte, i, depth int, item func(value []byte) error) (int, error) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := skipValue(b, i, depth+1)
		if err != nil {
			return end, err
		}
		if item != nil {
			if err := item(b[i:end]); err != nil {
				return end, err
			}
		}
		more, next, err := afterItem(b, end, ']')
		if err != nil || !more {
			return next, err
		}
		i = next
	}
}

// afterItem reads the comma or the closing bracket behind an item.
func afterItem(b []byte, i int, closing byte) (more bool, next int, err error) {
	i = skipSpace(b, i)
	switch {
	case i >= len(b):
		return false, i, errCutShort
	case b[i] == closing:
		return false, i + 1, nil
	case b[i] == ',':
		return true, skipSpace(b, i+1), nil
	}
	return false, i, fmt.Errorf("want a comma or %q, not %q", closing, b[i])
}

func skipString(b []byte, i int) (int, error) {
	start, ascii := i+1, true
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[start:i]) {
				return i, errors.New("invalid UTF-8 in a string")
			}
			return i + 1, nil
		case c < 0x20:
			return i, fmt.Errorf("control character %#x in a string", c)
		case c >= 0x80:
			ascii = false
		case c == '\\':
			i++
			if i >= len(b) {
				return i, errCutShort
			}
			if b[i] == 'u' {
				for k := 1; k <= 4; k++ {
					if i+k >= len(b) {
						return i, errCutShort
					}
					if !isHex(b[i+k]) {
						return i, errors.New(`bad \u escape`)
					}
				}
				i += 4
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
				return i, fmt.Errorf("bad escape %q", b[i])
			}
		}
	}
	return i, errCutShort
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func skipNumber(b []byte, i int) (int, error) {
	digits := func() bool {
		start := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return i, errors.New("bad number")
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, errors.New("bad number")
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, errors.New("bad number")
		}
	}
	return i, nil
}

// unquote is the text of a valid JSON string literal; of any other value it is the value itself.
func unquote(lit []byte) string {
	if len(lit) < 2 || lit[0] != '"' {
		return string(lit)
	}
	if bytes.IndexByte(lit, '\\') < 0 {
		return string(lit[1 : len(lit)-1])
	}
	var s string
	if json.Unmarshal(lit, &s) != nil {
		return string(lit)
	}
	return s
}

// member is the value of a key of the valid object obj; the last one wins.
func member(obj []byte, key string) (value []byte) {
	if len(obj) == 0 || obj[0] != '{' {
		return nil
	}
	skipObject(obj, 0, 0, func(k, v []byte) error {
		if len(k) == len(key)+2 && string(k[1:len(k)-1]) == key {
			value = v
		}
		return nil
	})
	return value
}

// quickID finds the first event_id in a text without parsing it.
func quickID(text []byte) []byte {
	for _, mark := range quickMarks {
		i := bytes.Index(text, mark)
		if i < 0 {
			continue
		}
		rest := text[i+len(mark):]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			return rest[:end]
		}
	}
	return nil
}

var quickMarks = [][]byte{[]byte(`"event_id":"`), []byte(`"event_id": "`), []byte(`"_id":"`)}
