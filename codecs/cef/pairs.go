package cef

import (
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// The limits of values, in characters.
const (
	maxExternalID       = 40
	maxDeviceExternalID = 255
	maxCategory         = 1023
	maxMsg              = 1023
	maxCustom           = 4000
	maxAttackID         = 32
)

// class appends the device event class: the kind of an anomaly, else the type.
func (v *event) class(dst []byte) []byte {
	n := len(dst)
	if v.Kind == fields.Anomaly {
		dst = v.form.headerValue(dst, v.Get(fields.AnomalyType), maxClass)
	}
	if len(dst) == n {
		dst = v.form.headerField(dst, fields.TypeOf(v.Event), maxClass)
	}
	if len(dst) == n { // a type of nothing but spaces
		dst = append(dst, "event"...)
	}
	return append(dst, '|')
}

// name appends the name and the severity.
func (v *event) name(dst []byte) []byte {
	n := len(dst)
	dst = v.form.headerValue(dst, v.Get(fields.Title), maxName)
	if len(dst) == n {
		dst = v.form.headerField(dst, v.Headline(v.Event), maxName)
	}
	if len(dst) == n {
		dst = append(dst, "event"...)
	}
	if l := v.long; l != nil {
		l.name, l.nameEnd = n, len(dst)
	}
	dst = append(dst, '|')
	dst = append(dst, fields.CEFSeverity(v.Severity)...)
	return append(dst, '|')
}

// headerValue is headerField for a raw value.
func (c *form) headerValue(dst []byte, v fields.Value, limit int) []byte {
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

// message appends msg: the figures of risk and compliance, else the
// description, else what the header has as the name.
func (v *event) message(dst []byte) []byte {
	c, n := v.form, len(dst)
	if v.Kind == fields.Risk || v.Kind == fields.Compliance {
		dst = rfc5424.AppendText(dst, v.Event, &v.Fields, c.repairs)
		dst = c.moved(dst, n, " msg=", maxMsg)
	} else {
		dst = c.value(dst, " msg=", v.Get(fields.Description), maxMsg, "")
		if len(dst) == n {
			dst = c.value(dst, " msg=", v.Get(fields.Title), maxMsg, "")
		}
		if len(dst) == n {
			dst = c.pair(dst, " msg=", v.Headline(v.Event), maxMsg)
		}
	}
	if l := v.long; l != nil {
		l.msg, l.msgEnd, l.needed = min(n+len(" msg="), len(dst)), len(dst), len(dst)
	}
	return dst
}

// framework appends what CEF 1.2 has for ATT&CK: one id.
func (v *event) framework(dst []byte) []byte {
	mitre, attacked := v.Mitre()
	if v.form.version != 1 || !attacked {
		return dst
	}
	n := len(dst)
	dst = append(dst, " frameworkName=MITRE ATT&CK"...)
	m := len(dst)
	first := true
	mitre.Each(fields.Techniques, func(t fields.Label) {
		if first && t.ID != nil {
			dst = v.form.value(dst, " threatAttackID=", t.ID, maxAttackID, "")
			first = false
		}
	})
	if len(dst) == m {
		return dst[:n]
	}
	return dst
}

// pair appends a pair, unless nothing is left of its value. key has the space
// in front and the = behind.
func (c *form) pair(dst []byte, key string, value []byte, limit int) []byte {
	n := len(dst)
	dst = append(dst, key...)
	m := len(dst)
	if dst = c.appendValue(dst, value, limit); len(dst) == m {
		return dst[:n]
	}
	return dst
}

// value is pair for a raw value, followed by its label if it has one.
func (c *form) value(dst []byte, key string, v fields.Value, limit int, labelled string) []byte {
	if v == nil {
		return dst
	}
	n := len(dst)
	if text, ok := v.Plain(); ok {
		dst = c.pair(dst, key, text, limit)
	} else {
		dst = c.moved(v.AppendText(dst), n, key, limit)
	}
	return label(dst, n, labelled)
}

// moved makes a pair of the text that was appended at n.
func (c *form) moved(dst []byte, n int, key string, limit int) []byte {
	m := len(dst)
	dst = c.pair(dst, key, dst[n:m], limit)
	return append(dst[:n], dst[m:]...)
}

// label appends a label if a pair was appended at n.
func label(dst []byte, n int, text string) []byte {
	if len(dst) == n {
		return dst
	}
	return append(dst, text...)
}
