package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	cefKey        = regexp.MustCompile(`(?:^| )([A-Za-z0-9_.\-]+)=`)
	cefSeverities = []string{"Unknown", "Low", "Medium", "High", "Very-High"}
	cefLimits     = []int{63, 63, 31, 1023, 512, 10}
)

// ParseCEF takes a CEF event, without its syslog header, apart.
func ParseCEF(b []byte) (Record, error) {
	var r Record
	if !isCEF(b) {
		return r, errors.New("does not begin with CEF:")
	}
	if !utf8.Valid(b) {
		return r, errors.New("not UTF-8")
	}
	if i := bytes.IndexAny(b, "\n\r\x00"); i >= 0 {
		return r, fmt.Errorf("%q within the event", b[i])
	}
	rest := string(b[4:])
	var fields []string
	for range 7 {
		field, after, err := cefField(rest)
		if err != nil {
			return r, err
		}
		fields, rest = append(fields, field), after
	}
	r.Version, r.Header = fields[0], fields[1:]
	if r.Version != "0" && r.Version != "1" {
		return r, fmt.Errorf("version %q", r.Version)
	}
	for i, limit := range cefLimits {
		if n := utf8.RuneCountInString(r.Header[i]); n > limit || n == 0 {
			return r, fmt.Errorf("header field %d has %d characters, want 1 to %d", i+1, n, limit)
		}
	}
	if n, err := strconv.Atoi(r.Header[5]); (err != nil || n < 0 || n > 10) && !slices.Contains(cefSeverities, r.Header[5]) {
		return r, fmt.Errorf("severity %q", r.Header[5])
	}
	return r, r.extension(rest)
}

// cefField reads up to the next unescaped pipe.
func cefField(s string) (field, rest string, err error) {
	var text []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '|':
			return string(text), s[i+1:], nil
		case c == '\\':
			if i+1 == len(s) || s[i+1] != '\\' && s[i+1] != '|' {
				return "", "", errors.New("a backslash in the header that escapes nothing")
			}
			i++
			text = append(text, s[i])
		default:
			text = append(text, c)
		}
	}
	return "", "", errors.New("fewer than seven pipes")
}

// extension finds pairs as consumers do: a word and an unescaped equals sign.
func (r *Record) extension(s string) error {
	s = strings.TrimRight(s, " ")
	if s == "" {
		return nil
	}
	keys := cefKey.FindAllStringSubmatchIndex(s, -1)
	if keys == nil || keys[0][0] != 0 {
		return errors.New("the extension does not begin with a key")
	}
	for i, k := range keys {
		end := len(s)
		if i+1 < len(keys) {
			end = keys[i+1][0]
		}
		value, err := cefValue(s[k[1]:end])
		if err != nil {
			return fmt.Errorf("%s: %w", s[k[2]:k[3]], err)
		}
		if err := r.add(s[k[2]:k[3]], value); err != nil {
			return err
		}
	}
	return r.checkCEF()
}

func cefValue(s string) (string, error) {
	var text []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '=':
			return "", errors.New("an unescaped equals sign in a value")
		case c != '\\':
			text = append(text, c)
		case i+1 == len(s):
			return "", errors.New("a value ends in a lone backslash")
		default:
			i++
			switch s[i] {
			case 'n':
				text = append(text, '\n')
			case 'r':
				text = append(text, '\r')
			case '\\', '=':
				text = append(text, s[i])
			default:
				return "", fmt.Errorf("the escape \\%c does not exist", s[i])
			}
		}
	}
	return string(text), nil
}

var (
	cefNumber = regexp.MustCompile(`^cn[1-3]$`)
	cefCustom = regexp.MustCompile(`^(cs[1-6]|cn[1-3]|cfp[1-4]|c6a[1-4]|flexString[12])$`)
	ipv4      = regexp.MustCompile(`^\d{1,3}(\.\d{1,3}){3}$`)
)

// checkCEF holds the values to the dictionary: protocols 4.3.
func (r *Record) checkCEF() error {
	for _, p := range r.Pairs {
		key, value := p[0], p[1]
		var err error
		switch {
		case cefNumber.MatchString(key):
			_, err = strconv.ParseInt(value, 10, 64)
		case strings.HasPrefix(key, "cfp") && cefCustom.MatchString(key):
			_, err = strconv.ParseFloat(value, 64)
		case key == "rt" || key == "start" || key == "end":
			if n, e := strconv.ParseInt(value, 10, 64); e == nil && n > 0 && n < 1e11 {
				err = errors.New("seconds, not milliseconds")
			} else if e != nil && strings.Contains(value, "T") {
				err = errors.New("RFC 3339 is not in the list")
			}
		case key == "externalId" && utf8.RuneCountInString(value) > 40:
			err = errors.New("more than 40 characters")
		case (key == "dvc" || key == "src" || key == "dst") && !ipv4.MatchString(value):
			err = fmt.Errorf("%q is no IPv4 address", value)
		}
		if err == nil && cefCustom.MatchString(key) {
			if _, ok := r.Value(key + "Label"); !ok {
				err = errors.New("has no Label")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}
