package http

// The scanner below is strict about JSON but for what strings hold: bad UTF-8
// is the log's to mend. It finds the end of a value and proves it well-formed
// in one pass, which is what taking the events before a bad one needs: the log
// itself would find out too late.

// scanValue is the index after the value at b[i]; false if it is not JSON, or
// nested more than limit deep.
func scanValue(b []byte, i, limit int) (end int, ok bool) {
	if i >= len(b) {
		return i, false
	}
	switch c := b[i]; {
	case c == '"':
		return scanString(b, i)
	case c == '{':
		return scanObject(b, i, limit, nil)
	case c == '[':
		return scanArray(b, i, limit)
	case c == '-', '0' <= c && c <= '9':
		return scanNumber(b, i)
	case c == 't':
		return scanWord(b, i, "true")
	case c == 'f':
		return scanWord(b, i, "false")
	case c == 'n':
		return scanWord(b, i, "null")
	}
	return i, false
}

// scanObject does the same for the object at b[i], and tells member of each of
// its keys, without the quotes, and values.
func scanObject(b []byte, i, limit int, member func(key, value []byte)) (end int, ok bool) {
	if limit == 0 {
		return i, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return i, false
		}
		key := i
		if i, ok = scanString(b, i); !ok {
			return i, false
		}
		keyEnd := i
		if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
			return i, false
		}
		i = skipSpace(b, i+1)
		value := i
		if i, ok = scanValue(b, i, limit-1); !ok {
			return i, false
		}
		if member != nil {
			member(b[key+1:keyEnd-1], b[value:i:i])
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, false
		}
		if b[i] == '}' {
			return i + 1, true
		}
		if b[i] != ',' {
			return i, false
		}
		i = skipSpace(b, i+1)
	}
}

func scanArray(b []byte, i, limit int) (end int, ok bool) {
	if limit == 0 {
		return i, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1, true
	}
	for {
		if i, ok = scanValue(b, i, limit-1); !ok {
			return i, false
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, false
		}
		if b[i] == ']' {
			return i + 1, true
		}
		if b[i] != ',' {
			return i, false
		}
		i = skipSpace(b, i+1)
	}
}

// special are the bytes that a string's text cannot hold as they are.
var special = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

func scanString(b []byte, i int) (end int, ok bool) {
	for i++; i < len(b); i++ {
		if !special[b[i]] {
			continue
		}
		switch b[i] {
		case '"':
			return i + 1, true
		case '\\':
			if i++; i >= len(b) {
				return i, false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(b) || !isHex(b[i]) {
						return i, false
					}
				}
			default:
				return i, false
			}
		default:
			return i, false
		}
	}
	return i, false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func scanNumber(b []byte, i int) (end int, ok bool) {
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
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, false
		}
	}
	return i, true
}

func scanWord(b []byte, i int, word string) (end int, ok bool) {
	end = i + len(word)
	return end, end <= len(b) && string(b[i:end]) == word
}
