// Package cef writes events in the Common Event Format of ArcSight, which
// Microsoft Sentinel and many others read, behind a syslog header.
package cef

import (
	"errors"
	"fmt"

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
	reader fields.Reader
	form
}

// A form is how lines are written.
type form struct {
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
	k := &Codec{form: form{header: h, nilSD: c.RFC == "5424", version: c.Version, max: c.MaxMessage}}
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
