package cef

import (
	"bytes"

	"github.com/adrian207/siemd/codecs/fields"
)

// headerField appends a header field: one line, trimmed, at most limit characters,
// with backslash and pipe escaped, and = not.
func (c *form) headerField(dst, value []byte, limit int) []byte {
	if fields.IsClean(value, '\\', '|', 0) {
		return append(dst, c.cut(value, limit)...)
	}
	if fields.HasControl(value) {
		n := len(dst)
		dst = fields.AppendLine(dst, value, c.repairs)
		m := len(dst)
		dst = c.headerField(dst, dst[n:m], limit)
		return append(dst[:n], dst[m:]...)
	}
	value = c.cut(value, limit)
	from := 0
	for i, b := range value {
		if b == '\\' || b == '|' {
			dst = append(append(dst, value[from:i]...), '\\')
			from = i
		}
	}
	return append(dst, value[from:]...)
}

// appendValue appends the value of a pair: trimmed, at most limit characters
// (0: any number), with backslash and = escaped, line ends as \n and \r, and pipes not escaped.
func (c *form) appendValue(dst, value []byte, limit int) []byte {
	if fields.IsClean(value, '\\', '=', 0) {
		return append(dst, c.cut(value, limit)...)
	}
	if fields.HasControl(value) {
		n := len(dst)
		dst = c.appendLines(dst, value)
		m := len(dst)
		dst = c.escapeValue(dst, c.cut(dst[n:m], limit))
		return append(dst[:n], dst[m:]...)
	}
	return c.escapeValue(dst, c.cut(value, limit))
}

// appendLines appends value with CRLF as LF and other control characters,
// except for line ends, as spaces.
func (c *form) appendLines(dst, value []byte) []byte {
	for i, b := range value {
		switch {
		case b == '\r' && i+1 < len(value) && value[i+1] == '\n':
		case b == '\n', b == '\r':
			dst = append(dst, b)
		case b < ' ', b == 0x7f:
			c.repairs.Add(fields.ControlChar)
			dst = append(dst, ' ')
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

func (c *form) escapeValue(dst, value []byte) []byte {
	from := 0
	for i, b := range value {
		if b > '\\' || !escaped[b] {
			continue
		}
		dst = append(append(dst, value[from:i]...), '\\')
		from = i
		switch b {
		case '\n':
			dst = append(dst, 'n')
			from++
		case '\r':
			dst = append(dst, 'r')
			from++
		}
	}
	return append(dst, value[from:]...)
}

var escaped = ['\\' + 1]bool{'\\': true, '=': true, '\n': true, '\r': true}

// cut trims value and cuts it to limit characters, if limit is not 0. The cut
// comes before the escaping, and what it leaves at the end is trimmed again.
func (c *form) cut(value []byte, limit int) []byte {
	value = fields.Trim(value)
	if limit == 0 || len(value) <= limit {
		return value
	}
	if short := fields.CutChars(value, limit); len(short) < len(value) {
		c.repairs.Add(fields.Truncated)
		return fields.Trim(short)
	}
	return value
}

// cutEscaped is the longest beginning of an escaped value of at most n bytes
// that ends where a character and an escape end.
func cutEscaped(value []byte, n int) []byte {
	value = fields.CutBytes(value, n)
	slashes := len(value) - len(bytes.TrimRight(value, `\`))
	return bytes.TrimRight(value[:len(value)-slashes%2], " ")
}
