package cef

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A record is what a strict reader of CEF finds.
type record struct {
	version                                        string
	vendor, product, device, class, name, severity string
	pairs                                          [][2]string
}

func (r record) get(key string) (string, bool) {
	for _, p := range r.pairs {
		if p[0] == key {
			return p[1], true
		}
	}
	return "", false
}

// A key is a word behind a space, or at the beginning, before an = that no
// backslash escapes.
var keys = regexp.MustCompile(`(?:^| )([A-Za-z0-9]+)=`)

// parse reads a line that begins with CEF: by the standard, and refuses what
// the standard leaves to luck.
func parse(s string) (r record, err error) {
	rest, ok := strings.CutPrefix(s, "CEF:")
	if !ok {
		return r, errors.New("no CEF:")
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return r, errors.New("control characters")
	}
	for _, to := range []*string{&r.version, &r.vendor, &r.product, &r.device, &r.class, &r.name, &r.severity} {
		if *to, rest, err = headerField(rest); err != nil {
			return r, err
		}
	}
	if n, err := strconv.Atoi(r.severity); err != nil || n < 0 || n > 10 {
		return r, fmt.Errorf("severity %q", r.severity)
	}
	for i, limit := range []int{63, 63, 31, 1023, 512} {
		f := []string{r.vendor, r.product, r.device, r.class, r.name}[i]
		if n := len([]rune(f)); n == 0 || n > limit || strings.Trim(f, " ") != f {
			return r, fmt.Errorf("field %d has %d characters: %q", i, n, f)
		}
	}
	return r, r.extension(rest)
}

func headerField(s string) (field, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '|':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) || s[i] != '\\' && s[i] != '|' {
				return "", "", fmt.Errorf("bad escape in the header %q", s)
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("a pipe is missing")
}

func (r *record) extension(s string) error {
	if s == "" {
		return nil
	}
	var at [][]int
	for from := 0; ; {
		m := keys.FindStringSubmatchIndex(s[from:])
		if m == nil {
			break
		}
		for i := range m {
			m[i] += from
		}
		// The = follows the word, so no backslash can stand before it.
		at = append(at, m)
		from = m[1]
		if from < len(s) {
			// The space before the next key may be the first character of this value.
			continue
		}
		break
	}
	if len(at) == 0 || at[0][0] != 0 {
		return fmt.Errorf("no key at the beginning of %q", s)
	}
	seen := map[string]bool{}
	for i, m := range at {
		end := len(s)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		key, raw := s[m[2]:m[3]], s[m[1]:end]
		if seen[key] {
			return fmt.Errorf("key %q twice", key)
		}
		seen[key] = true
		value, err := unescape(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if raw == "" || strings.Trim(raw, " ") != raw {
			return fmt.Errorf("%s has the value %q", key, raw)
		}
		r.pairs = append(r.pairs, [2]string{key, value})
	}
	for key := range seen {
		if field, ok := strings.CutSuffix(key, "Label"); ok && !seen[field] {
			return fmt.Errorf("%s without its field", key)
		}
		if custom.MatchString(key) && !seen[key+"Label"] {
			return fmt.Errorf("%s without its label", key)
		}
	}
	return nil
}

var custom = regexp.MustCompile(`^(cs|cn|cfp|c6a|flexString|deviceCustomDate)[0-9]$`)

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '=':
			return "", fmt.Errorf("an = that is not escaped in %q", s)
		case '\\':
			i++
			if i == len(s) {
				return "", fmt.Errorf("a backslash at the end of %q", s)
			}
			switch s[i] {
			case '\\', '=':
				b.WriteByte(s[i])
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			default:
				return "", fmt.Errorf("bad escape in %q", s)
			}
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
}
