package plugintest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

var tag = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._/-]{0,31})(\[([^\]]{0,128})\])?: ?`)

// ParseRFC3164 takes a BSD message apart, as leniently as receivers do: the
// time may be RFC 3339, the tag may be missing.
func ParseRFC3164(b []byte) (Message, error) {
	var m Message
	rest, err := m.pri(b)
	if err != nil {
		return m, err
	}
	if len(rest) < 16 {
		return m, errHeaderEnd
	}
	stamp := string(rest[:15])
	if m.Time, err = time.Parse("Jan _2 15:04:05", stamp); err == nil {
		if stamp[4] == '0' {
			return m, fmt.Errorf("the day in %q is padded with a zero", stamp)
		}
		rest = rest[15:]
	} else {
		word, after, _ := bytes.Cut(rest, []byte(" "))
		if m.Time, err = time.Parse(time.RFC3339Nano, string(word)); err != nil {
			return m, fmt.Errorf("bad time %q", stamp)
		}
		rest = append([]byte(" "), after...)
	}
	if rest[0] != ' ' {
		return m, fmt.Errorf("want a space behind the time, not %q", rest[0])
	}
	host, text, ok := bytes.Cut(rest[1:], []byte(" "))
	if !ok || len(host) == 0 {
		return m, errHeaderEnd
	}
	m.Host, m.Text = string(host), text
	if isCEF(text) || isLEEF(text) {
		return m, nil
	}
	if at := tag.FindSubmatch(text); at != nil {
		m.Tag, m.PID = string(at[1]), string(at[3])
		m.Text = text[len(at[0]):]
	}
	return m, nil
}

func isCEF(b []byte) bool  { return bytes.HasPrefix(b, []byte("CEF:")) }
func isLEEF(b []byte) bool { return bytes.HasPrefix(b, []byte("LEEF:")) }

// A Record is a CEF or LEEF event taken apart.
type Record struct {
	Version string
	Header  []string // CEF: vendor, product, version, class id, name, severity; LEEF: vendor, product, version, event id
	Pairs   [][2]string
}

// Value is the value of a key.
func (r *Record) Value(key string) (string, bool) {
	for _, p := range r.Pairs {
		if p[0] == key {
			return p[1], true
		}
	}
	return "", false
}

func (r *Record) add(key, value string) error {
	if key == "" || strings.ContainsFunc(key, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '.'
	}) {
		return fmt.Errorf("bad key %q", key)
	}
	if _, ok := r.Value(key); ok {
		return fmt.Errorf("key %q twice", key)
	}
	r.Pairs = append(r.Pairs, [2]string{key, value})
	return nil
}
