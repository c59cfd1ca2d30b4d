package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Message is a syslog message taken apart.
type Message struct {
	Facility, Severity                 int // -1 without a PRI
	Version                            int // 0 for RFC 3164
	Time                               time.Time
	Host, App, ProcID, MsgID, Tag, PID string // "" for NILVALUE
	SD                                 []Element
	BOM                                bool // MSG began with one; Text is without it
	Text                               []byte
}

// An Element is one SD-ELEMENT.
type Element struct {
	ID     string
	Params [][2]string // unescaped
}

// Param is the first value of a parameter of any element.
func (m *Message) Param(name string) (string, bool) {
	for _, e := range m.SD {
		for _, p := range e.Params {
			if p[0] == name {
				return p[1], true
			}
		}
	}
	return "", false
}

var errHeaderEnd = errors.New("the header ends early")

// ParseRFC5424 takes a message apart by the letter of RFC 5424 section 6.
func ParseRFC5424(b []byte) (Message, error) {
	var m Message
	rest, err := m.pri(b)
	if err != nil {
		return m, err
	}
	version, rest, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(version) < 1 || len(version) > 3 || version[0] < '1' || version[0] > '9' {
		return m, fmt.Errorf("bad version %q", version)
	}
	if m.Version, err = strconv.Atoi(string(version)); err != nil {
		return m, fmt.Errorf("bad version %q", version)
	}
	stamp, rest, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return m, errHeaderEnd
	}
	if m.Time, err = strictTime(string(stamp)); err != nil {
		return m, err
	}
	for _, f := range []struct {
		name  string
		limit int
		to    *string
	}{{"HOSTNAME", 255, &m.Host}, {"APP-NAME", 48, &m.App}, {"PROCID", 128, &m.ProcID}, {"MSGID", 32, &m.MsgID}} {
		var word []byte
		if word, rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return m, errHeaderEnd
		}
		if len(word) == 0 || len(word) > f.limit {
			return m, fmt.Errorf("%s has %d characters, want 1 to %d", f.name, len(word), f.limit)
		}
		for _, c := range word {
			if c < 0x21 || c > 0x7e {
				return m, fmt.Errorf("%s holds %q", f.name, c)
			}
		}
		if string(word) != "-" {
			*f.to = string(word)
		}
	}
	if rest, err = m.structured(rest); err != nil {
		return m, err
	}
	if len(rest) == 0 {
		return m, nil
	}
	if rest[0] != ' ' {
		return m, fmt.Errorf("want a space behind STRUCTURED-DATA, not %q", rest[0])
	}
	m.Text = rest[1:]
	if text, ok := bytes.CutPrefix(m.Text, []byte("\xef\xbb\xbf")); ok {
		m.BOM, m.Text = true, text
		if !utf8.Valid(text) {
			return m, errors.New("MSG has a BOM and is not UTF-8")
		}
	}
	return m, nil
}

// pri reads "<" 0..191 ">" without leading zeros.
func (m *Message) pri(b []byte) ([]byte, error) {
	end := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if end < 2 || b[0] != '<' {
		return nil, errors.New("no PRI")
	}
	n := 0
	for _, c := range b[1:end] {
		if c < '0' || c > '9' {
			return nil, fmt.Errorf("PRI holds %q", c)
		}
		n = n*10 + int(c-'0')
	}
	if n > 191 || b[1] == '0' && end != 2 {
		return nil, fmt.Errorf("bad PRI %q", b[:end+1])
	}
	m.Facility, m.Severity = n/8, n%8
	return b[end+1:], nil
}

// strictTime: RFC 3339 with upper case, at most 6 fraction digits and no leap seconds.
func strictTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	bad := fmt.Errorf("bad TIMESTAMP %q", s)
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' || strings.ContainsAny(s, "tz,") {
		return time.Time{}, bad
	}
	if s[19] == '.' {
		digits := 0
		for digits < len(s)-20 && '0' <= s[20+digits] && s[20+digits] <= '9' {
			digits++
		}
		if digits < 1 || digits > 6 {
			return time.Time{}, bad
		}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, bad
	}
	return t, nil
}

// structured reads STRUCTURED-DATA.
func (m *Message) structured(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("-")) {
		return b[1:], nil
	}
	seen := map[string]bool{}
	for len(b) > 0 && b[0] == '[' {
		var e Element
		var err error
		if e, b, err = element(b[1:]); err != nil {
			return nil, err
		}
		if seen[e.ID] {
			return nil, fmt.Errorf("SD-ID %q twice", e.ID)
		}
		seen[e.ID] = true
		m.SD = append(m.SD, e)
	}
	if m.SD == nil {
		return nil, errors.New("no STRUCTURED-DATA")
	}
	return b, nil
}

func element(b []byte) (e Element, rest []byte, err error) {
	if e.ID, b, err = sdName(b); err != nil {
		return e, nil, err
	}
	for {
		switch {
		case len(b) == 0:
			return e, nil, errors.New("an SD-ELEMENT does not end")
		case b[0] == ']':
			return e, b[1:], nil
		case b[0] != ' ':
			return e, nil, fmt.Errorf("want a space or ] in an SD-ELEMENT, not %q", b[0])
		}
		var name, value string
		if name, b, err = sdName(b[1:]); err != nil {
			return e, nil, err
		}
		if !bytes.HasPrefix(b, []byte(`="`)) {
			return e, nil, fmt.Errorf("parameter %q has no quoted value", name)
		}
		if value, b, err = sdValue(b[2:]); err != nil {
			return e, nil, err
		}
		e.Params = append(e.Params, [2]string{name, value})
	}
}

func sdName(b []byte) (string, []byte, error) {
	i := 0
	for i < len(b) && b[i] > 0x20 && b[i] < 0x7f && b[i] != '=' && b[i] != ']' && b[i] != '"' {
		i++
	}
	if i < 1 || i > 32 {
		return "", nil, fmt.Errorf("an SD-NAME of %d characters", i)
	}
	return string(b[:i]), b[i:], nil
}

// sdValue reads up to the closing quote. An escape that is none keeps its backslash.
func sdValue(b []byte) (string, []byte, error) {
	var text []byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if !utf8.Valid(text) {
				return "", nil, errors.New("a PARAM-VALUE is not UTF-8")
			}
			return string(text), b[i+1:], nil
		case c == ']':
			return "", nil, errors.New("an unescaped ] in a PARAM-VALUE")
		case c == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\' || b[i+1] == ']'):
			i++
			text = append(text, b[i])
		default:
			text = append(text, c)
		}
	}
	return "", nil, errors.New("a PARAM-VALUE does not end")
}
