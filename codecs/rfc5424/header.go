// Package rfc5424 writes syslog messages: of RFC 5424, or of the older RFC
// 3164, with the frames of RFC 6587. Its Header is shared with CEF and LEEF.
package rfc5424

import (
	"fmt"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// HeaderConfig is what stands in front of a message.
type HeaderConfig struct {
	RFC      string // 5424 | 3164 | none; default 5424
	Facility int    // 0 to 23
	App      string // APP-NAME, or the tag of RFC 3164; empty: -
	Hostname string // fixed; empty: the event's source, else Host; "-": none
	Host     string // the reporting host, for events without a source

	Tag    bool // RFC 3164 only: "App: " behind the host name
	NoIPv6 bool // LEEF: an IPv6 address is no host name; Host is used, else -

	Repairs *fields.Repairs // may be nil
}

// The limits of RFC 5424 for header fields, in characters.
const (
	maxHostname = 255
	maxApp      = 48
	maxMsgID    = 32
	maxTag      = 32
)

// Header writes the fields in front of structured data or, with RFC 3164, of
// the message. It is safe for concurrent use.
type Header struct {
	bsd, none bool
	pri       [agent.Critical + 1][]byte // "<134>1 " or "<134>"
	hostname  []byte                     // fixed; nil: from the event
	host      []byte
	noIPv6    bool
	app       []byte // " app - " or " app: " or " "
	repairs   *fields.Repairs
}

// NewHeader makes a Header, or says what is wrong with c.
func NewHeader(c HeaderConfig) (*Header, error) {
	h := &Header{noIPv6: c.NoIPv6, repairs: c.Repairs}
	switch c.RFC {
	case "", "5424":
	case "3164":
		h.bsd = true
	case "none":
		h.none = true
	default:
		return nil, fmt.Errorf("rfc: %q is neither 5424 nor 3164", c.RFC)
	}
	if c.Facility < 0 || c.Facility > 23 {
		return nil, fmt.Errorf("facility: %d is not between 0 and 23", c.Facility)
	}
	for s := range h.pri {
		format := "<%d>1 "
		if h.bsd {
			format = "<%d>"
		}
		h.pri[s] = fmt.Appendf(nil, format, c.Facility*8+int(fields.SyslogSeverity(agent.Severity(s))))
	}
	h.host = h.name([]byte(c.Host), nil)
	if c.Hostname != "" {
		h.hostname = h.name([]byte(c.Hostname), nil)
	}
	switch {
	case !h.bsd:
		h.app = append(appendHeader([]byte(" "), []byte(c.App), maxApp, nil), " - "...)
	case c.Tag:
		h.app = append(appendTag([]byte(" "), c.App), ": "...)
	default:
		h.app = []byte(" ")
	}
	return h, nil
}

// Append appends the header of e with the space behind it. Nothing but
// printable ASCII comes out, whatever the event holds.
func (h *Header) Append(dst []byte, e *agent.Event) []byte {
	if h.none {
		return dst
	}
	dst = append(dst, h.pri[min(e.Severity, agent.Critical)]...)
	if h.bsd {
		dst = fields.AppendBSD(dst, e.Time)
	} else {
		dst = fields.AppendISO(dst, e.Time)
	}
	dst = append(dst, ' ')
	switch {
	case h.hostname != nil:
		dst = append(dst, h.hostname...)
	case len(e.Source) == 0 || h.noIPv6 && isIPv6(e.Source):
		dst = append(dst, h.host...)
	default:
		dst = appendHeader(dst, e.Source, maxHostname, h.repairs)
	}
	dst = append(dst, h.app...)
	if !h.bsd {
		dst = append(appendHeader(dst, e.Type, maxMsgID, h.repairs), ' ')
	}
	return dst
}

func (h *Header) name(s []byte, r *fields.Repairs) []byte {
	if h.noIPv6 && isIPv6(s) {
		s = nil
	}
	return appendHeader(nil, s, maxHostname, r)
}

// appendHeader appends a header field: what is no printable ASCII becomes _,
// one for each character, what is too long is cut, and nothing becomes -.
func appendHeader(dst, text []byte, limit int, r *fields.Repairs) []byte {
	if len(text) == 0 {
		return append(dst, '-')
	}
	clean := true
	n := 0
	for i, c := range text {
		if c&0xc0 == 0x80 && i > 0 && text[i-1] >= 0x80 {
			continue // inside a character that has its _ already
		}
		if n == limit {
			r.Add(fields.Truncated)
			break
		}
		if c <= ' ' || c >= 0x7f {
			clean = false
			c = '_'
		}
		dst = append(dst, c)
		n++
	}
	if !clean {
		r.Add(fields.HeaderChar)
	}
	return dst
}

// appendTag appends a tag of RFC 3164: letters and digits and what program
// names commonly have besides, but nothing that would end it.
func appendTag(dst []byte, app string) []byte {
	n := 0
	for _, c := range []byte(app) {
		switch {
		case n == maxTag:
			return dst
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.', c == '/':
			dst = append(dst, c)
			n++
		}
	}
	if n == 0 {
		dst = append(dst, "siemd"...)
	}
	return dst
}

// isIPv6 reports whether s looks like an IPv6 address: two colons, and nothing but what those are made of.
func isIPv6(s []byte) bool {
	colons := 0
	for _, c := range s {
		switch {
		case c == ':':
			colons++
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == '.', c == '[', c == ']':
		case c == '%' && colons >= 2:
			return true
		default:
			return false
		}
	}
	return colons >= 2
}

var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9,
	"authpriv": 10, "ftp": 11, "ntp": 12, "audit": 13, "alert": 14, "clock": 15,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// Facility is the number of a facility's name: kern, user, ... local7.
func Facility(name string) (number int, ok bool) {
	number, ok = facilities[name]
	return number, ok
}
