package leef

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adrian207/siemd/codecs/fields"
)

// parseDelimiter gives the delimiter and how a LEEF 2.0 header names it.
func parseDelimiter(s string) (delimiter rune, name string, err error) {
	bad := func(why string) (rune, string, error) {
		return 0, "", fmt.Errorf("delimiter: %q %s", s, why)
	}
	switch {
	case s == "" || s == "\t" || s == "tab":
		return '\t', "x09", nil
	case utf8.RuneCountInString(s) == 1:
		delimiter, _ = utf8.DecodeRuneInString(s)
		name = s
	default:
		hex := strings.TrimPrefix(strings.TrimPrefix(s, "0"), "x")
		n, err := strconv.ParseUint(hex, 16, 16)
		if err != nil || len(hex) > 4 || len(hex) == len(s) {
			return bad("is neither one character nor x and 1 to 4 hex digits")
		}
		delimiter, name = rune(n), s
	}
	switch {
	case delimiter == '\t':
	case delimiter < ' ' || delimiter == 0x7f:
		return bad("is a control character that relays change; only the tab is common enough")
	case delimiter == utf8.RuneError || !utf8.ValidRune(delimiter):
		return bad("is no character")
	case strings.ContainsRune("|= ", delimiter) || delimiter < utf8.RuneSelf && strings.ContainsRune(alphanumeric, delimiter):
		return bad("occurs in every line")
	}
	return delimiter, name, nil
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Milliseconds before 2001-09-09 have fewer than the 13 digits that QRadar
// takes for a time, and some centuries later more, so such times are written
// out, with their pattern.
const thirteenDigits = 1_000_000_000_000 * 1_000_000

// time appends the first attribute, devTime.
func (c *form) time(dst []byte, ns int64) []byte {
	dst = append(dst, "devTime="...)
	if ns >= thirteenDigits {
		return fields.AppendMillis(dst, ns)
	}
	dst = fields.AppendJava(dst, ns)
	dst = c.key(dst, "devTimeFormat=")
	return append(dst, "MMM dd yyyy HH:mm:ss.SSS z"...)
}

func (c *form) key(dst []byte, key string) []byte {
	return append(append(dst, c.delimiter...), key...)
}

// value appends an attribute, unless nothing is left of its value.
func (c *form) value(dst []byte, key string, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	if text, ok := v.Plain(); ok {
		return c.text(dst, key, text)
	}
	n := len(dst)
	return c.moved(v.AppendText(dst), n, key)
}

// mitre appends an attribute with ids of ATT&CK.
func (c *form) mitre(dst []byte, key string, m *fields.Mitre, p fields.Part) []byte {
	if v, ok := m.Single(p); ok {
		return c.value(dst, key, v)
	}
	n := len(dst)
	return c.moved(m.AppendText(dst, p), n, key)
}

// moved makes an attribute of the text that was appended at n.
func (c *form) moved(dst []byte, n int, key string) []byte {
	m := len(dst)
	dst = c.text(dst, key, dst[n:m])
	return append(dst[:n], dst[m:]...)
}

// text appends an attribute: one line, trimmed, without the delimiter.
func (c *form) text(dst []byte, key string, text []byte) []byte {
	start := len(dst)
	if len(text) == 0 {
		return dst
	}
	dst = c.key(dst, key)
	n := len(dst)
	dst = fields.AppendLine(dst, text, c.repairs)
	if c.delimiter[0] != '\t' {
		dst = c.blank(dst, n)
	}
	kept := fields.Trim(dst[n:])
	if len(kept) == 0 {
		return dst[:start]
	}
	return dst[:n+copy(dst[n:], kept)]
}

// blank replaces the delimiter by a space in what was appended at n.
func (c *form) blank(dst []byte, n int) []byte {
	i := bytes.Index(dst[n:], c.delimiter)
	if i < 0 {
		return dst
	}
	c.repairs.Add(fields.ControlChar)
	rest := dst[n:]
	dst = dst[:n]
	for i >= 0 {
		dst = append(append(dst, rest[:i]...), ' ') // never more than was read
		rest = rest[i+len(c.delimiter):]
		i = bytes.Index(rest, c.delimiter)
	}
	return append(dst, rest...)
}
