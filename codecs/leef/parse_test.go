package leef

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A record is what a strict reader of LEEF finds.
type record struct {
	version, vendor, product, device, event string
	attributes                              [][2]string
}

func (r record) get(key string) (string, bool) {
	for _, a := range r.attributes {
		if a[0] == key {
			return a[1], true
		}
	}
	return "", false
}

var (
	word     = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	hexDelim = regexp.MustCompile(`^(?:0?x)([0-9A-Fa-f]{1,4})$`)
)

// parse reads a line that begins with LEEF: as QRadar's guide has it.
func parse(s string) (r record, err error) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return r, errors.New("more than one line")
	}
	parts := 6
	rest, ok := strings.CutPrefix(s, "LEEF:")
	if strings.HasPrefix(rest, "2.0|") {
		parts = 7
	}
	f := strings.SplitN(rest, "|", parts)
	if !ok || len(f) != parts {
		return r, fmt.Errorf("header of %d parts", len(f))
	}
	r.version, r.vendor, r.product, r.device, r.event = f[0], f[1], f[2], f[3], f[4]
	for i, field := range f[:5] {
		if field == "" || strings.Trim(field, " ") != field {
			return r, fmt.Errorf("header field %d is %q", i, field)
		}
	}
	if n := len([]rune(r.event)); n > 255 {
		return r, fmt.Errorf("EventID of %d characters", n)
	}
	delimiter := "\t"
	if parts == 7 {
		delimiter = f[5]
		if m := hexDelim.FindStringSubmatch(delimiter); m != nil {
			n, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				return r, err
			}
			delimiter = string(rune(n))
		} else if len([]rune(delimiter)) != 1 {
			return r, fmt.Errorf("delimiter %q", delimiter)
		}
	}
	seen := map[string]bool{}
	for _, a := range strings.Split(f[parts-1], delimiter) {
		key, value, ok := strings.Cut(a, "=")
		if !ok || !word.MatchString(key) || seen[key] {
			return r, fmt.Errorf("attribute %q", a)
		}
		if value == "" || strings.Trim(value, " ") != value || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return r, fmt.Errorf("value %q", value)
		}
		seen[key] = true
		r.attributes = append(r.attributes, [2]string{key, value})
	}
	if sev, _ := r.get("sev"); sev != "" {
		if n, err := strconv.Atoi(sev); err != nil || n < 1 || n > 10 {
			return r, fmt.Errorf("sev %q", sev)
		}
	}
	at, _ := r.get("devTime")
	if _, err := strconv.ParseUint(at, 10, 64); (err != nil || len(at) != 13) && !seen["devTimeFormat"] {
		return r, fmt.Errorf("devTime %q", at)
	}
	return r, nil
}
