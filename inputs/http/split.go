package http

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	errEmpty    = errors.New("the body is empty")
	errCutShort = errors.New("the text ends within a value")
)

// A splitter finds where JSON values begin and end. It is exact about that and
// about nothing else: what lies between the ends of a value is looked at by
// those who take the value.
type splitter struct {
	open []byte // closing brackets that are due, innermost last
}

// events splits a body into the texts of events. numbered says that they are
// lines, blank ones included, so that an index is a line number.
func (s *splitter) events(dst [][]byte, body []byte) (items [][]byte, err error) {
	body = bytes.TrimPrefix(body, bom)
	at := skipSpace(body, 0)
	if at == len(body) {
		return dst, errEmpty
	}
	if body[at] == '[' {
		return s.array(dst, body[at:])
	}
	if s.oneLine(body[at:]) {
		return lines(dst, body), nil
	}
	if items, err := s.values(dst, body[at:]); err == nil {
		return items, nil
	}
	return lines(dst, body), nil
}

var bom = []byte("\xef\xbb\xbf")

// oneLine reports whether the first line of b is one whole value. If it is
// not, b may be an object that is printed over several lines, or objects
// without a line break between them.
func (s *splitter) oneLine(b []byte) bool {
	line, _ := cutLine(b)
	end, err := s.end(line, 0)
	return err == nil && skipSpace(line, end) == len(line)
}

// lines are all lines of b; a last one without a newline counts too.
func lines(dst [][]byte, b []byte) [][]byte {
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		dst = append(dst, line)
	}
	return dst
}

func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// values are the objects of b, with or without white space between them. What
// is no object goes to the end of its line: words are one item a line.
func (s *splitter) values(dst [][]byte, b []byte) ([][]byte, error) {
	for {
		i := skipSpace(b, 0)
		if i == len(b) {
			return dst, nil
		}
		if b[i] != '{' {
			var line []byte
			line, b = cutLine(b[i:])
			dst = append(dst, bytes.TrimRight(line, " \t\r"))
			continue
		}
		end, err := s.composite(b, i)
		if err != nil {
			return dst, err
		}
		dst, b = append(dst, b[i:end]), b[end:]
	}
}

// array are the items of the array that b is.
func (s *splitter) array(dst [][]byte, b []byte) ([][]byte, error) {
	i := skipSpace(b, 1)
	if i < len(b) && b[i] == ']' {
		i++
		return dst, atEnd(b, i)
	}
	for {
		end, err := s.end(b, i)
		if err != nil {
			return dst, err
		}
		dst = append(dst, b[i:end])
		i = skipSpace(b, end)
		switch {
		case i == len(b):
			return dst, errCutShort
		case b[i] == ']':
			return dst, atEnd(b, i+1)
		case b[i] != ',':
			return dst, fmt.Errorf("want a comma or ] behind an item, not %q", b[i])
		}
		i = skipSpace(b, i+1)
	}
}

func atEnd(b []byte, i int) error {
	if i = skipSpace(b, i); i < len(b) {
		return fmt.Errorf("%q follows the array", b[i])
	}
	return nil
}

// end is the index after the value that begins at b[i].
func (s *splitter) end(b []byte, i int) (int, error) {
	if i >= len(b) {
		return i, errCutShort
	}
	switch c := b[i]; c {
	case '{', '[':
		return s.composite(b, i)
	case '"':
		if end := stringEnd(b, i+1); end > 0 {
			return end, nil
		}
		return i, errCutShort
	case '}', ']', ',', ':':
		return i, fmt.Errorf("want a value, not %q", c)
	}
	for i++; i < len(b) && !delimits[b[i]]; i++ {
	}
	return i, nil
}

// delimits are the bytes that end a number or a word.
var delimits = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, ',': true, '}': true, ']': true, '{': true, '[': true, '"': true, ':': true}

func (s *splitter) composite(b []byte, i int) (int, error) {
	s.open = s.open[:0]
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			end := stringEnd(b, i+1)
			if end < 0 {
				return i, errCutShort
			}
			i = end - 1
		case '{', '[':
			s.open = append(s.open, c+2) // both closing brackets are two behind the opening ones
		case '}', ']':
			last := len(s.open) - 1
			if s.open[last] != c {
				return i, fmt.Errorf("%q closes what it did not open", c)
			}
			if s.open = s.open[:last]; last == 0 {
				return i + 1, nil
			}
		}
	}
	return i, errCutShort
}

// stringEnd is the index after the quote that ends the string whose text begins at i, or -1.
func stringEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}
