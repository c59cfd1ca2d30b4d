package rfc5424

import (
	"errors"
	"fmt"
	"strings"

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
	reader fields.Reader
	form
}

// A form is how messages are written.
type form struct {
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
	k := &Codec{form: form{header: h, max: c.MaxMessage, repairs: c.Repairs}}
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
