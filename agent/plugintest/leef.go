package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseLEEF takes a LEEF event, without its syslog header, apart.
func ParseLEEF(b []byte) (Record, error) {
	var r Record
	if !isLEEF(b) {
		return r, errors.New("does not begin with LEEF:")
	}
	if !utf8.Valid(b) {
		return r, errors.New("not UTF-8")
	}
	if i := bytes.IndexAny(b, "\n\r\x00"); i >= 0 {
		return r, fmt.Errorf("%q within the event", b[i])
	}
	version, rest, _ := strings.Cut(string(b[5:]), "|")
	r.Version = version
	want := 4
	switch version {
	case "1.0":
	case "2.0":
		want = 5
	default:
		return r, fmt.Errorf("version %q", version)
	}
	for i := range want {
		field, after, ok := strings.Cut(rest, "|")
		if !ok || field == "" && i < 4 {
			return r, fmt.Errorf("header field %d is missing", i+1)
		}
		r.Header, rest = append(r.Header, field), after
	}
	if len(r.Header[3]) > 255 {
		return r, errors.New("the event id has more than 255 characters")
	}
	delimiter := "\t"
	if want == 5 {
		var err error
		if delimiter, err = leefDelimiter(r.Header[4]); err != nil {
			return r, err
		}
		r.Header = r.Header[:4]
	}
	for _, pair := range strings.Split(rest, delimiter) {
		key, value, ok := strings.Cut(pair, "=")
		if pair == "" {
			continue
		}
		if !ok {
			return r, fmt.Errorf("attribute %q has no equals sign: a delimiter within a value?", pair)
		}
		if err := r.add(key, value); err != nil {
			return r, err
		}
	}
	if v, ok := r.Value("sev"); ok {
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 10 {
			return r, fmt.Errorf("sev %q, want 1 to 10", v)
		}
	}
	return r, nil
}

// leefDelimiter: one character, or x and 1 to 4 hex digits; nothing means tab.
func leefDelimiter(s string) (string, error) {
	if s == "" {
		return "\t", nil
	}
	if utf8.RuneCountInString(s) == 1 {
		return s, nil
	}
	hex := strings.TrimPrefix(strings.TrimPrefix(s, "0"), "x")
	n, err := strconv.ParseUint(hex, 16, 16)
	if err != nil || len(hex) > 4 || len(hex) == len(s) {
		return "", fmt.Errorf("delimiter %q", s)
	}
	return string(rune(n)), nil
}
