package json

import "bytes"

// Walk calls f for each member of the object obj, in order, until f returns
// false. key is the text between the quotes, escapes included; value is the
// raw value without the white space around it. A key that occurs twice is
// reported twice. If obj is no object, f is not called.
func Walk(obj []byte, f func(key, value []byte) bool) {
	i := skipSpace(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return
	}
	for i++; ; i++ {
		i = skipSpace(obj, i)
		if i >= len(obj) || obj[i] != '"' {
			return // the end, or no JSON
		}
		keyEnd := stringEnd(obj, i)
		colon := skipSpace(obj, keyEnd)
		if keyEnd-i < 2 || colon >= len(obj) || obj[colon] != ':' {
			return
		}
		start := skipSpace(obj, colon+1)
		end := valueEnd(obj, start)
		if end == start || !f(obj[i+1:keyEnd-1], obj[start:end]) {
			return
		}
		i = skipSpace(obj, end)
		if i >= len(obj) || obj[i] != ',' {
			return
		}
	}
}

// Elements calls f for each raw element of the array arr, in order, until f
// returns false. If arr is no array, f is not called.
func Elements(arr []byte, f func(value []byte) bool) {
	i := skipSpace(arr, 0)
	if i >= len(arr) || arr[i] != '[' {
		return
	}
	for i++; ; i++ {
		start := skipSpace(arr, i)
		end := valueEnd(arr, start)
		if end == start || !f(arr[start:end]) {
			return
		}
		i = skipSpace(arr, end)
		if i >= len(arr) || arr[i] != ',' {
			return
		}
	}
}

// Get is the raw value at path below the object obj. Of a key that occurs
// twice the last one counts. A null is found like any other value. With an
// empty path the result is obj.
func Get(obj []byte, path ...string) (value []byte, ok bool) {
	value = obj
	for _, name := range path {
		in := value
		value, ok = nil, false
		Walk(in, func(key, v []byte) bool {
			if KeyIs(key, name) {
				value, ok = v, true
			}
			return true
		})
		if !ok {
			return nil, false
		}
	}
	return value, true
}

// KeyIs reports whether key, as Walk gives it, stands for name.
func KeyIs(key []byte, name string) bool {
	if string(key) == name {
		return true
	}
	// An escape is never shorter than what it stands for.
	if len(key) <= len(name) || bytes.IndexByte(key, '\\') < 0 {
		return false
	}
	var buf [64]byte
	return string(unescape(buf[:0], key)) == name
}

// A Kind is what a value is, by its first byte.
type Kind uint8

// The kinds of values. None is what is no value.
const (
	None Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// KindOf is the kind of a raw value that begins with no white space.
func KindOf(value []byte) Kind {
	if len(value) == 0 {
		return None
	}
	switch c := value[0]; {
	case c == '"':
		return String
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == 't', c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-', '0' <= c && c <= '9':
		return Number
	}
	return None
}

// IsAbsent reports whether value counts as absent when fields are mapped: it
// is missing, null, or the empty string.
func IsAbsent(value []byte) bool {
	return len(value) == 0 || string(value) == "null" || string(value) == `""`
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is the index after the closing quote of the string that opens at i.
func stringEnd(b []byte, i int) int {
	for j := i + 1; j < len(b); {
		n := bytes.IndexByte(b[j:], '"')
		if n < 0 {
			break
		}
		j += n
		slashes := 0
		for j-1-slashes > i && b[j-1-slashes] == '\\' {
			slashes++
		}
		j++
		if slashes%2 == 0 {
			return j
		}
	}
	return len(b)
}

// valueEnd is the index after the value that begins at i, or i if none does.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return i
	}
	for i < len(b) && b[i] > ' ' && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}
