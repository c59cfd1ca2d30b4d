package route

import (
	"bytes"
	"fmt"
	"strings"
)

// An Alphabet is what a target allows in a kind of name.
type Alphabet struct {
	Name string // of the kind of name, for messages: "the name of an index"
	Max  int    // bytes in a name
	Part int    // bytes between two hyphens of a name; 0: any number

	literals string // the ASCII characters that an operator may write
	values   string // those that may come from an event; "" is any text, escaped
	lower    bool   // upper case from an event becomes lower case
	starts   string // what a name must not start with
	reserved []string

	isLiteral, isValue [256]bool
}

const (
	lowerCase = "abcdefghijklmnopqrstuvwxyz"
	upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits    = "0123456789"
)

var (
	// ElasticIndex is an index of Elasticsearch or OpenSearch: lower case,
	// none of \ / * ? " < > | space , # and colon, no leading - _ + and no dots alone.
	ElasticIndex = alphabet(Alphabet{
		Name: "the name of an index", Max: 255, lower: true,
		literals: lowerCase + digits + "!$&'()-.;=@[]^_`{}~+", values: lowerCase + digits + "-_.",
		starts: "-_+", reserved: []string{".", ".."},
	})

	// ElasticDataStream is a data stream, where a hyphen from an event would
	// move the borders between type, dataset and namespace, of 100 bytes each.
	ElasticDataStream = alphabet(Alphabet{
		Name: "the name of a data stream", Max: 255, Part: 100, lower: true,
		literals: lowerCase + digits + "!$&'()-.;=@[]^_`{}~+", values: lowerCase + digits + "_.",
		starts: "-_+.", reserved: []string{".", ".."},
	})

	// SplunkIndex is an index of Splunk: lower case, digits, _ and -, not leading.
	SplunkIndex = alphabet(Alphabet{
		Name: "the name of an index", Max: 255, lower: true,
		literals: lowerCase + digits + "_-", values: lowerCase + digits + "_-",
		starts: "-", reserved: []string{"kvstore"},
	})

	// SplunkSourcetype is a sourcetype of Splunk.
	SplunkSourcetype = alphabet(Alphabet{
		Name: "a sourcetype", Max: 255,
		literals: lowerCase + upperCase + digits + "_-.:/ ", values: lowerCase + upperCase + digits + "_-.:",
	})

	// Text is any text: a source of Splunk.
	Text = alphabet(Alphabet{Name: "a source", Max: 4096})
)

func alphabet(a Alphabet) *Alphabet {
	for c := range a.isLiteral {
		a.isLiteral[c] = a.literals == "" || strings.IndexByte(a.literals, byte(c)) >= 0 || c >= 0x80
		a.isValue[c] = strings.IndexByte(a.values, byte(c)) >= 0
	}
	return &a
}

// literal finds a character that an operator may not write.
func (a *Alphabet) literal(s string) (bad string, ok bool) {
	for i, r := range s {
		if r < ' ' || r == 0x7f || !a.isLiteral[s[i]] {
			return string(r), false
		}
	}
	return "", true
}

// check reports what is wrong with a whole name.
func (a *Alphabet) check(name string) error {
	if c, ok := a.literal(name); !ok {
		return fmt.Errorf("%q cannot be part of %s", c, a.Name)
	}
	if name == "" {
		return fmt.Errorf("%s cannot be empty", a.Name)
	}
	if len(name) > a.Max {
		return fmt.Errorf("%s can have %d bytes, %q has more", a.Name, a.Max, name)
	}
	if !a.fits([]byte(name)) {
		return fmt.Errorf("%s can have %d bytes between two hyphens, %q has more", a.Name, a.Part, name)
	}
	if strings.IndexByte(a.starts, name[0]) >= 0 {
		return fmt.Errorf("%s cannot start with %q", a.Name, name[:1])
	}
	for _, r := range a.reserved {
		if name == r {
			return fmt.Errorf("%s cannot be %q", a.Name, name)
		}
	}
	return nil
}

// fits reports whether a name and its parts are not too long.
func (a *Alphabet) fits(name []byte) bool {
	if a.Part > 0 {
		for part := range bytes.SplitSeq(name, []byte("-")) {
			if len(part) > a.Part {
				return false
			}
		}
	}
	return len(name) <= a.Max
}

// value appends a value from an event and reports whether it fits.
func value[T []byte | string](a *Alphabet, dst []byte, v T) ([]byte, bool) {
	if len(v) == 0 || len(v) > a.Max {
		return dst, false
	}
	if a.values == "" {
		return escape(dst, v), true
	}
	for i := range len(v) {
		c := v[i]
		if a.lower && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !a.isValue[c] {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, true
}
