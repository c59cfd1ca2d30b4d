// Package cef writes events in the Common Event Format of ArcSight, which
// Microsoft Sentinel and many others read, behind a syslog header.
package cef

import (
	"errors"
	"fmt"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// Config of a Codec.
type Config struct {
	rfc5424.HeaderConfig // RFC defaults to 3164 here, without a tag; none: the line begins with CEF:

	Version int // 0 | 1

	Vendor, Product, ProductVersion string

	Extensions []Extension // further pairs, in this order
	MaxMessage int         // bytes, with the header; 0: no limit
}

// ErrTooLong is the error for an event that is longer than the largest message
// even without its text and all that is not needed to know it again.
var ErrTooLong = errors.New("the event is longer than max_message even without its text")

// The limits of header fields, in characters.
const (
	maxVendor  = 63
	maxProduct = 63
	maxVersion = 31
	maxClass   = 1023
	maxName    = 512
)

// Codec is an agent.Encoder for one line without a frame. It is safe for concurrent use.
type Codec struct {
	reader     fields.Reader
	header     *rfc5424.Header
	nilSD      bool   // the header is followed by "- "
	device     []byte // "CEF:0|vendor|product|version|"
	dvchost    []byte // " dvchost=host", or nothing
	version    int
	extensions []extension
	max        int
	repairs    *fields.Repairs
}

// New makes a Codec, or says what is wrong with c.
func New(c Config) (*Codec, error) {
	if c.RFC == "" {
		c.RFC = "3164"
	}
	c.Tag = false
	h, err := rfc5424.NewHeader(c.HeaderConfig)
	if err != nil {
		return nil, err
	}
	if c.Version != 0 && c.Version != 1 {
		return nil, fmt.Errorf("cef_version: %d is neither 0 nor 1", c.Version)
	}
	if c.MaxMessage != 0 && c.MaxMessage < rfc5424.MinMessage {
		return nil, fmt.Errorf("max_message: %d is less than %d", c.MaxMessage, rfc5424.MinMessage)
	}
	k := &Codec{header: h, nilSD: c.RFC == "5424", version: c.Version, max: c.MaxMessage}
	k.device = fmt.Appendf(nil, "CEF:%d|", c.Version)
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"vendor", c.Vendor, maxVendor}, {"product", c.Product, maxProduct}, {"product_version", c.ProductVersion, maxVersion}} {
		n := len(k.device)
		if k.device = k.headerField(k.device, []byte(f.value), f.limit); len(k.device) == n {
			return nil, fmt.Errorf("%s: cannot be empty", f.name)
		}
		k.device = append(k.device, '|')
	}
	host := c.Hostname
	if host == "" || host == "-" {
		host = c.Host
	}
	k.dvchost = k.pair(nil, " dvchost=", []byte(host), 100)
	if k.extensions, err = newExtensions(c.Extensions, c.Version); err != nil {
		return nil, err
	}
	k.repairs = c.Repairs // from here on, what is repaired comes from events
	return k, nil
}

// A line under construction. Groups are pairs that stand and fall together, a
// custom field with its label; msg is where the text is that may be cut.
type line struct {
	start       int // where the line begins
	msg, msgEnd int
	needed      int // where what cannot be left out ends
	groups      [40]int
	n           int
}

// mark notes that a group of pairs ends at end.
func (l *line) mark(end int) {
	if l.n < len(l.groups) && (l.n == 0 || l.groups[l.n-1] != end) {
		l.groups[l.n] = end
		l.n++
	}
}

// Encode appends one line without a frame. A line longer than MaxMessage loses
// first from its msg, and if that is not enough whole pairs from its end.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	c.reader.Read(&f, e)
	l := line{start: len(dst)}
	dst = c.header.Append(dst, e)
	if c.nilSD {
		dst = append(dst, "- "...)
	}
	dst = c.appendHeader(dst, e, &f)
	dst = c.appendPairs(dst, &l, e, &f)
	if c.max > 0 && len(dst)-l.start > c.max {
		return c.fit(dst, &l)
	}
	return dst, nil
}

func (c *Codec) appendHeader(dst []byte, e *agent.Event, f *fields.Fields) []byte {
	dst = append(dst, c.device...)
	n := len(dst)
	if f.Kind == fields.Anomaly {
		dst = c.headerValue(dst, f.Get(fields.AnomalyType), maxClass)
	}
	if len(dst) == n {
		dst = c.headerField(dst, fields.TypeOf(e), maxClass)
	}
	if len(dst) == n { // a type of nothing but spaces
		dst = append(dst, "event"...)
	}
	dst = append(dst, '|')
	n = len(dst)
	dst = c.headerValue(dst, f.Get(fields.Title), maxName)
	if len(dst) == n {
		dst = c.headerField(dst, f.Headline(e), maxName)
	}
	if len(dst) == n {
		dst = append(dst, "event"...)
	}
	dst = append(dst, '|')
	dst = append(dst, fields.CEFSeverity(e.Severity)...)
	return append(dst, '|')
}

// headerValue is headerField for a raw value.
func (c *Codec) headerValue(dst []byte, v fields.Value, limit int) []byte {
	if v == nil {
		return dst
	}
	if text, ok := v.Plain(); ok {
		return c.headerField(dst, text, limit)
	}
	n := len(dst)
	dst = v.AppendText(dst)
	m := len(dst)
	dst = c.headerField(dst, dst[n:m], limit)
	return append(dst[:n], dst[m:]...)
}

// fit shortens a line that is too long.
func (c *Codec) fit(dst []byte, l *line) ([]byte, error) {
	c.repairs.Add(fields.Truncated)
	over := func() int { return len(dst) - l.start - c.max }
	// The text is what people read: whole pairs go before it falls below this.
	const worth = 64
	enough := func() bool { return over() <= 0 || l.msgEnd-l.msg >= over()+worth }
	for len(dst) > l.needed && !enough() {
		end := l.needed
		if l.n > 0 {
			l.n--
			end = l.groups[l.n]
		}
		if end < len(dst) {
			dst = dst[:end]
			c.repairs.Add(fields.PairDropped)
		}
	}
	if n := over(); n > 0 {
		short := cutEscaped(dst[l.msg:l.msgEnd], l.msgEnd-l.msg-n)
		if l.msgEnd-l.msg-len(short) < n || len(short) == 0 {
			return dst[:l.start], ErrTooLong
		}
		dst = append(dst[:l.msg+len(short)], dst[l.msgEnd:]...)
	}
	return dst, nil
}
