package plugintest

import (
	"bytes"
	"fmt"
)

// message deals with one syslog message of a stream or datagram.
func (r *Receiver) message(b []byte) {
	l := r.ledger
	l.bytes.Add(int64(len(b)))
	if len(b) == 0 {
		return
	}
	if r.opts.Light {
		l.take(quickSyslogID(b), b)
		return
	}
	id, err := r.readMessage(b)
	if err != nil {
		l.bad(fmt.Sprintf("%v: %.200q", err, b))
	}
	// A receiver keeps what it cannot parse, as text.
	l.take([]byte(id), b)
}

// readMessage holds a message to its kind and finds the event id.
func (r *Receiver) readMessage(b []byte) (id string, err error) {
	m, err := ParseRFC5424(b)
	if err != nil {
		// Receivers try 5424 first and 3164 then; a version digit means that it wanted to be 5424.
		if looks5424(b) {
			return "", err
		}
		if m, err = ParseRFC3164(b); err != nil {
			return "", err
		}
	}
	if i := bytes.IndexAny(b, "\n\x00"); i >= 0 {
		err = fmt.Errorf("%q within a message", b[i])
	}
	var rec Record
	switch {
	case r.kind == "cef" || isCEF(m.Text):
		rec, err = ParseCEF(m.Text)
		id, _ = rec.Value("externalId")
		return id, err
	case r.kind == "leef" || isLEEF(m.Text):
		rec, err = ParseLEEF(m.Text)
		id, _ = rec.Value("externalId")
		return id, err
	}
	id, ok := m.Param("eventId")
	if !ok {
		id = string(quickID(b))
	}
	return id, err
}

// looks5424 tells <PRI>VERSION SP from <PRI>Mmm and <PRI>2025-.
func looks5424(b []byte) bool {
	i := bytes.IndexByte(b[:min(len(b), 5)], '>') + 1
	start := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return start > 0 && i > start && i-start <= 3 && i < len(b) && b[i] == ' '
}

// quickSyslogID finds the id without parsing: an SD parameter that ends in a
// quote, or a CEF or LEEF pair that ends in white space.
func quickSyslogID(b []byte) []byte {
	if i := bytes.Index(b, []byte(`eventId="`)); i >= 0 {
		rest := b[i+len(`eventId="`):]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			return rest[:end]
		}
	}
	if i := bytes.Index(b, []byte("externalId=")); i >= 0 {
		rest := b[i+len("externalId="):]
		if end := bytes.IndexAny(rest, " \t^"); end >= 0 {
			rest = rest[:end]
		}
		return rest
	}
	return quickID(b)
}
