package rfc5424

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// Config of a Codec.
type Config struct {
	HeaderConfig // Tag is always set

	SDID       string // of the structured data, name@number; default DefaultSDID of App
	BOM        string // off | auto | always: in front of the text; auto: only if that is not ASCII; default off
	MaxMessage int    // bytes; longer ones lose the end of their text; 0: no limit
}

// MinMessage is the smallest MaxMessage: what every receiver takes.
const MinMessage = 480

// ErrTooLong is the error for an event whose header and structured data alone
// are longer than the largest message. Those are never cut: a part of an id is worse than none.
var ErrTooLong = errors.New("header and structured data are longer than max_message")

const bom = "\xef\xbb\xbf"

// Codec is an agent.Encoder for one syslog message without a frame. It is safe
// for concurrent use.
type Codec struct {
	reader    fields.Reader
	header    *Header
	sd        []byte // "[name@number"
	bomAuto   bool
	bomAlways bool
	max       int
	repairs   *fields.Repairs
}

// New makes a Codec, or says what is wrong with c.
func New(c Config) (*Codec, error) {
	c.Tag = true
	if c.RFC == "none" {
		return nil, fmt.Errorf("rfc: a syslog message needs a header")
	}
	h, err := NewHeader(c.HeaderConfig)
	if err != nil {
		return nil, err
	}
	k := &Codec{header: h, max: c.MaxMessage, repairs: c.Repairs}
	if k.max != 0 && k.max < MinMessage {
		return nil, fmt.Errorf("max_message: %d is less than the %d bytes that every receiver takes", k.max, MinMessage)
	}
	if c.SDID == "" {
		c.SDID = DefaultSDID(c.App)
	}
	if err := checkSDID(c.SDID); err != nil {
		return nil, err
	}
	k.sd = []byte("[" + c.SDID)
	switch c.BOM {
	case "", "off":
	case "auto":
		k.bomAuto = true
	case "always":
		k.bomAlways = true
	default:
		return nil, fmt.Errorf("bom: %q is none of off, auto, always", c.BOM)
	}
	return k, nil
}

// 32473 is the enterprise number that is reserved for documentation.
const documentation = "@32473"

// DefaultSDID is the id of structured data for an app: <app>@32473, of which
// what a name cannot hold is replaced and what it has no room for is cut.
func DefaultSDID(app string) string {
	var b strings.Builder
	for _, c := range []byte(app) {
		if b.Len() == maxSDName-len(documentation) {
			break
		}
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`="]@`, c) >= 0 {
			c = '_'
		}
		b.WriteByte(c)
	}
	if b.Len() == 0 {
		b.WriteString("siemd")
	}
	return b.String() + documentation
}

const maxSDName = 32

func checkSDID(id string) error {
	name, number, ok := strings.Cut(id, "@")
	switch {
	case len(id) > maxSDName:
		return fmt.Errorf("sd_id: %q is longer than %d characters", id, maxSDName)
	case !ok || name == "" || number == "" || strings.Trim(number, "0123456789.") != "":
		return fmt.Errorf("sd_id: %q is not a name, @ and an enterprise number; names without @ are reserved", id)
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`="]`, c) {
			return fmt.Errorf("sd_id: %q cannot be part of a name", string(c))
		}
	}
	return nil
}

// Encode appends one message without a frame. RFC 3164 has no structured data:
// there it stands at the beginning of the text, so that the event's id is never lost.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var f fields.Fields
	c.reader.Read(&f, e)
	start := len(dst)
	dst = c.header.Append(dst, e)
	dst = c.appendSD(dst, e, &f)
	fixed := len(dst)
	if c.max > 0 && fixed-start > c.max {
		return dst[:start], ErrTooLong
	}

	dst = append(dst, ' ')
	if c.bomAlways && !c.header.bsd {
		dst = append(dst, bom...)
	}
	text := len(dst)
	dst = AppendText(dst, e, &f, c.repairs)
	if len(dst) == text {
		return dst[:fixed], nil
	}
	if c.bomAuto && !c.header.bsd && !fields.IsASCII(dst[text:]) {
		dst = append(dst, bom...)
		copy(dst[text+len(bom):], dst[text:])
		text += copy(dst[text:], bom)
	}
	if c.max > 0 && len(dst)-start > c.max {
		c.repairs.Add(fields.Truncated)
		keep := fields.CutBytes(dst[text:], c.max-(text-start))
		if len(keep) == 0 {
			return dst[:fixed], nil
		}
		dst = dst[:text+len(keep)]
	}
	return dst, nil
}

func (c *Codec) appendSD(dst []byte, e *agent.Event, f *fields.Fields) []byte {
	dst = append(dst, c.sd...)
	dst = c.param(dst, ` eventId="`, e.ID)
	dst = c.param(dst, ` device="`, e.Source)
	dst = append(dst, ` severity="`...)
	dst = append(dst, fields.SeverityName(e.Severity)...)
	dst = append(dst, '"')
	dst = c.value(dst, ` score="`, f.Score())
	if mitre, ok := f.Mitre(); ok {
		dst = c.attack(dst, ` tactic="`, mitre, fields.Tactics)
		dst = c.attack(dst, ` technique="`, mitre, fields.Techniques)
	}
	return append(dst, ']')
}

// attack appends a parameter with ids of ATT&CK.
func (c *Codec) attack(dst []byte, name string, m *fields.Mitre, p fields.Part) []byte {
	if v, ok := m.Single(p); ok {
		return c.value(dst, name, v)
	}
	n := len(dst)
	return c.moved(m.AppendText(dst, p), n, name)
}

// value is param for a raw value.
func (c *Codec) value(dst []byte, name string, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	if text, ok := v.Plain(); ok {
		return c.param(dst, name, text)
	}
	n := len(dst)
	return c.moved(v.AppendText(dst), n, name)
}

// param appends a parameter, unless its value is empty.
func (c *Codec) param(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	if fields.IsClean(value, '"', '\\', ']') {
		return append(append(dst, value...), '"')
	}
	control := false
	from := 0
	for i, b := range value {
		switch {
		case b == '"' || b == '\\' || b == ']':
			dst = append(append(dst, value[from:i]...), '\\')
			from = i
		case b < ' ' || b == 0x7f:
			dst = append(dst, value[from:i]...)
			if b != '\n' || i == 0 || value[i-1] != '\r' {
				dst = append(dst, ' ')
			}
			control = true
			from = i + 1
		}
	}
	if control {
		c.repairs.Add(fields.ControlChar)
	}
	return append(append(dst, value[from:]...), '"')
}

// moved makes a parameter of the value that was appended at n.
func (c *Codec) moved(dst []byte, n int, name string) []byte {
	m := len(dst)
	dst = c.param(dst, name, dst[n:m])
	return append(dst[:n], dst[m:]...)
}
