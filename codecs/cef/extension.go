package cef

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
)

// An Extension puts a member of the event into a pair of its own.
type Extension struct {
	Key   string // of the CEF dictionary, or a word of one's own
	Path  string // of the member, dotted: network.src_ip
	Label string // for custom fields (cs6, flexString1, ...), which must have one
}

type extension struct {
	key   string // " cs6="
	label string // " cs6Label=text", or nothing
	path  []string
	typ   valueType
	limit int
}

func newExtensions(list []Extension, version int) ([]extension, error) {
	var all []extension
	var c form
	seen := map[string]bool{}
	for _, x := range list {
		k, err := lookUp(x.Key, version)
		if err != nil {
			return nil, fmt.Errorf("extensions: %w", err)
		}
		if seen[x.Key] {
			return nil, fmt.Errorf("extensions: %s is given twice", x.Key)
		}
		seen[x.Key] = true
		e := extension{key: " " + x.Key + "=", path: strings.Split(x.Path, "."), typ: k.typ, limit: k.limit}
		limit := labelLimit(x.Key)
		switch {
		case x.Path == "":
			return nil, fmt.Errorf("extensions: %s needs the path of a member", x.Key)
		case limit > 0:
			text := c.pair(nil, " "+x.Key+"Label=", []byte(x.Label), limit)
			if len(text) == 0 {
				return nil, fmt.Errorf("extensions: %s needs a label", x.Key)
			}
			e.label = string(text)
		case x.Label != "":
			return nil, fmt.Errorf("extensions: %s cannot have a label", x.Key)
		}
		all = append(all, e)
	}
	return all, nil
}

// extension appends the pair of x, unless the event lacks the member or it does not fit the field.
func (c *form) extension(dst []byte, x *extension, e *agent.Event) []byte {
	v, ok := json.Get(e.Body, x.path...)
	if !ok || json.IsAbsent(v) {
		return dst
	}
	value := fields.Value(v)
	if x.typ != text && !fits(x.typ, value) {
		c.repairs.Add(fields.NotNumber)
		return dst
	}
	return c.value(dst, x.key, value, x.limit, x.label)
}

// fits reports whether a value can stand in a field of the type.
func fits(t valueType, v fields.Value) bool {
	plain := fields.Trim(scalar(v))
	switch t {
	case integer, date:
		return len(plain) > 0 && len(wholePart(plain)) == len(plain)
	case port:
		_, err := strconv.ParseUint(string(plain), 10, 16)
		return err == nil
	case decimal:
		return isDecimal(plain)
	case mac:
		return isMAC(plain)
	}
	if len(plain) > len("xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:255.255.255.255") {
		return false
	}
	a, err := netip.ParseAddr(string(plain))
	return err == nil && a.Zone() == "" && a.Is4() == (t == ipv4)
}

func isMAC(s []byte) bool {
	if len(s) != len("00:0D:60:AF:1B:61") {
		return false
	}
	for i, c := range s {
		switch {
		case i%3 == 2:
			if c != ':' && c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// isDecimal reports whether s is a number in JSON's grammar.
func isDecimal(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	whole, s := leadingDigits(s)
	if whole == 0 {
		return false
	}
	if len(s) > 0 && s[0] == '.' {
		var n int
		if n, s = leadingDigits(s[1:]); n == 0 {
			return false
		}
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		var n int
		if n, s = leadingDigits(s); n == 0 {
			return false
		}
	}
	return len(s) == 0
}

func leadingDigits(s []byte) (n int, rest []byte) {
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n, s[n:]
}

// wholePart is s, or s without its zero decimals, if it is an integer of 64 bits, and nil if not.
func wholePart(s []byte) []byte {
	const always = 18 // digits that fit for certain
	sign := 0
	if len(s) > 0 && s[0] == '-' {
		sign = 1
	}
	n, rest := leadingDigits(s[sign:])
	if n == 0 {
		return nil
	}
	if n > always {
		if _, err := strconv.ParseInt(string(s[:sign+n]), 10, 64); err != nil {
			return nil
		}
	}
	if len(rest) > 0 {
		if rest[0] != '.' || len(rest) == 1 || strings.Trim(string(rest[1:]), "0") != "" {
			return nil
		}
	}
	return s[:sign+n]
}
