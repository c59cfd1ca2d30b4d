// Package leef writes events in the Log Event Extended Format of IBM QRadar,
// behind a syslog header.
package leef

import (
	"errors"
	"fmt"

	"github.com/adrian207/siemd/agent"
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
	reader    fields.Reader
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
	k := &Codec{header: h, nilSD: c.RFC == "5424", max: c.MaxMessage}
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

// A line under construction.
type line struct {
	start int // where the line begins
	msg   int // where the value of msg begins, which is the last; 0: none

	title, titleEnd int // where the value of title begins and ends; 0: none

	ends [16]int
	n    int
}

func (l *line) mark(end int) {
	if l.n < len(l.ends) && (l.n == 0 || l.ends[l.n-1] != end) {
		l.ends[l.n] = end
		l.n++
	}
}

// Encode appends one line without a frame. A line longer than MaxMessage loses
// first the end of its msg, and if that is not enough whole attributes from its
// end, of which only the title is cut too.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	c.reader.Read(&f, e)
	l := line{start: len(dst)}
	dst = c.header.Append(dst, e)
	if c.nilSD {
		dst = append(dst, "- "...)
	}
	dst = append(dst, c.device...)
	dst = c.eventID(dst, e, &f)
	dst = append(dst, c.closing...)
	dst = c.attributes(dst, &l, e, &f)
	if c.max > 0 && len(dst)-l.start > c.max {
		return c.fit(dst, &l)
	}
	return dst, nil
}

// eventID appends the event's class, never its own id: QRadar counts on few different ones.
func (c *Codec) eventID(dst []byte, e *agent.Event, f *fields.Fields) []byte {
	n := len(dst)
	if f.Kind == fields.Anomaly && f.Get(fields.AnomalyType) != nil {
		if text, ok := f.Get(fields.AnomalyType).Plain(); ok {
			dst = c.headerField(dst, text)
		} else {
			dst = f.Get(fields.AnomalyType).AppendText(dst)
			m := len(dst)
			dst = c.headerField(dst, dst[n:m])
			dst = append(dst[:n], dst[m:]...)
		}
	}
	if len(dst) == n {
		dst = c.headerField(dst, fields.TypeOf(e))
	}
	if len(dst) == n { // a type of nothing but spaces
		dst = append(dst, "event"...)
	}
	return dst
}

// headerField appends a header field: one line, trimmed, at most 255 characters, no pipe.
func (c *Codec) headerField(dst, text []byte) []byte {
	n := len(dst)
	dst = fields.AppendLine(dst, text, c.repairs)
	kept := fields.Trim(dst[n:])
	if short := fields.CutChars(kept, maxEventID); len(short) < len(kept) {
		c.repairs.Add(fields.Truncated)
		kept = fields.Trim(short)
	}
	dst = dst[:n+copy(dst[n:], kept)]
	for i, b := range dst[n:] {
		if b == '|' {
			c.repairs.Add(fields.HeaderChar)
			dst[n+i] = '_'
		}
	}
	return dst
}

// fit shortens a line that is too long.
func (c *Codec) fit(dst []byte, l *line) ([]byte, error) {
	c.repairs.Add(fields.Truncated)
	limit := l.start + c.max
	cut := func(value int) bool {
		if value == 0 || value >= limit {
			return false
		}
		kept := fields.Trim(fields.CutBytes(dst[value:], limit-value))
		if len(kept) == 0 {
			return false
		}
		dst = dst[:value+len(kept)]
		return true
	}
	if cut(l.msg) {
		return dst, nil
	}
	for l.n > 0 && len(dst) > limit {
		if len(dst) == l.titleEnd && cut(l.title) {
			return dst, nil
		}
		l.n--
		if l.ends[l.n] < len(dst) {
			dst = dst[:l.ends[l.n]]
			c.repairs.Add(fields.PairDropped)
		}
	}
	if len(dst) > limit {
		return dst[:l.start], ErrTooLong
	}
	return dst, nil
}
