// Package leef writes events in the Log Event Extended Format of IBM QRadar,
// behind a syslog header.
package leef

import (
	"errors"
	"fmt"

	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// Config of a Codec.
type Config struct {
	rfc5424.HeaderConfig // RFC defaults to 3164 here, without a tag; none: the line begins with LEEF:

	Version   string // 1.0 | 2.0; default 2.0
	Delimiter string // between attributes: one character, or x and 1 to 4 hex digits; default x09, the tab

	Vendor, Product, ProductVersion string

	Extensions []Extension // further attributes, between those of the event's type and msg

	MaxMessage int // bytes, with the header; 0: no limit
}

// ErrTooLong is the error for an event that is longer than the largest message
// even without its text and all that is not needed to know it again.
var ErrTooLong = errors.New("the event is longer than max_message even without its text")

// Codec is an agent.Encoder for one line without a frame. It is safe for concurrent use.
//
// LEEF has no escapes. What would break a line is replaced: the delimiter and
// control characters in values by a space, the pipe in the header by _.
type Codec struct {
	reader fields.Reader
	form
}

// A form is how lines are written.
type form struct {
	header    *rfc5424.Header
	nilSD     bool
	device    []byte // "LEEF:2.0|vendor|product|version|"
	delimiter []byte // UTF-8
	closing   []byte // of the header: "|x09|"
	extra     []extension
	max       int
	repairs   *fields.Repairs
}

const maxEventID = 255

// New makes a Codec, or says what is wrong with c.
func New(c Config) (*Codec, error) {
	if c.RFC == "" {
		c.RFC = "3164"
	}
	c.Tag, c.NoIPv6 = false, true
	h, err := rfc5424.NewHeader(c.HeaderConfig)
	if err != nil {
		return nil, err
	}
	k := &Codec{form: form{header: h, nilSD: c.RFC == "5424", max: c.MaxMessage}}
	if c.MaxMessage != 0 && c.MaxMessage < rfc5424.MinMessage {
		return nil, fmt.Errorf("max_message: %d is less than %d", c.MaxMessage, rfc5424.MinMessage)
	}
	delimiter, name, err := parseDelimiter(c.Delimiter)
	if err != nil {
		return nil, err
	}
	k.delimiter = []byte(string(delimiter))
	k.closing = []byte("|")
	switch c.Version {
	case "", "2.0":
		k.device = []byte("LEEF:2.0|")
		k.closing = append(append(k.closing, name...), '|')
	case "1.0":
		k.device = []byte("LEEF:1.0|")
		if delimiter != '\t' {
			return nil, fmt.Errorf("delimiter: LEEF 1.0 knows only the tab")
		}
	default:
		return nil, fmt.Errorf("leef_version: %q is neither 1.0 nor 2.0", c.Version)
	}
	for _, f := range []struct{ name, value string }{
		{"vendor", c.Vendor}, {"product", c.Product}, {"product_version", c.ProductVersion},
	} {
		n := len(k.device)
		if k.device = k.headerField(k.device, []byte(f.value)); len(k.device) == n {
			return nil, fmt.Errorf("%s: cannot be empty", f.name)
		}
		k.device = append(k.device, '|')
	}
	if k.extra, err = k.newExtensions(c.Extensions); err != nil {
		return nil, err
	}
	k.repairs = c.Repairs // from here on, what is repaired comes from events
	return k, nil
}
