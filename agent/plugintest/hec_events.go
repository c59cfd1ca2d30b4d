package plugintest

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// takeEvents takes envelopes up to the first bad one, as Splunk does, and
// returns its code and the number that Splunk would name.
func (h *hec) takeEvents(body []byte) (code, bad int) {
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] == '[' {
		return h.takeArray(first)
	}
	for n := 0; ; n++ {
		envelope, rest, err := nextValue(body)
		if err == nil && envelope == nil {
			return 0, -1
		}
		if err != nil {
			return 6, n
		}
		if code, bad, stop := h.takeEnvelope(envelope, n); stop {
			return code, bad
		}
		body = rest
	}
}

func (h *hec) takeArray(body []byte) (code, bad int) {
	n, code, bad := 0, 0, -1
	stopped := errors.New("stopped")
	end, err := skipArray(body, 0, 0, func(envelope []byte) error {
		var stop bool
		if code, bad, stop = h.takeEnvelope(envelope, n); stop {
			return stopped
		}
		n++
		return nil
	})
	if err == stopped {
		return code, bad
	}
	if err != nil || len(bytes.TrimSpace(body[end:])) > 0 {
		return 6, n
	}
	return 0, -1
}

// An envelope is one object of a batch.
type envelope struct {
	time, event, fields, index []byte
	unknown, text              bool // a key that Splunk does not know; metadata that are no text
	repeated                   bool
}

// takeEnvelope deals with object n. stop: nothing after it is looked at.
func (h *hec) takeEnvelope(obj []byte, n int) (code, bad int, stop bool) {
	l := h.r.ledger
	if obj[0] != '{' || int64(len(obj)) > h.r.opts.MaxEvent {
		return 6, n, true
	}
	e := parseEnvelope(obj)
	switch {
	case e.unknown && n == 0:
		return 5, -1, true
	case e.unknown:
		// Splunk says that all is well and drops this one and the rest: make it visible.
		l.refused.Add(1)
		l.bad("an envelope has a key that Splunk does not know: " + string(obj[:min(len(obj), 200)]))
		return 0, -1, true
	case e.text || e.repeated:
		return 6, n, true
	case e.event == nil && e.fields == nil:
		return 12, n, true
	case !goodTime(e.time) || !goodFields(e.fields):
		return 15, n, true
	case e.event == nil:
		l.refused.Add(1)
		l.bad("an object with fields and no event is skipped by Splunk without a word")
		return 0, -1, false
	case blankEvent(e.event):
		return 13, n, true
	case e.index != nil && h.r.opts.Indexes != nil && !slices.Contains(h.r.opts.Indexes, unquote(e.index)):
		return 7, n + 1, true
	}
	if status := h.r.faults.item(e.event); status != 0 {
		return 6, n, true
	}
	var id []byte
	if v := member(e.event, "event_id"); len(v) > 0 {
		id = []byte(unquote(v))
	}
	l.take(id, obj)
	return 0, -1, false
}

func parseEnvelope(obj []byte) envelope {
	var e envelope
	seen := 0
	skipObject(obj, 0, 0, func(key, value []byte) error {
		bit := 0
		switch string(key) {
		case `"time"`:
			e.time, bit = value, 1
		case `"event"`:
			e.event, bit = value, 2
		case `"fields"`:
			e.fields, bit = value, 4
		case `"index"`:
			e.index, bit = value, 8
			e.text = e.text || value[0] != '"'
		case `"host"`:
			bit = 16
			e.text = e.text || value[0] != '"'
		case `"source"`:
			bit = 32
			e.text = e.text || value[0] != '"'
		case `"sourcetype"`:
			bit = 64
			e.text = e.text || value[0] != '"'
		default:
			e.unknown = true
		}
		e.repeated = e.repeated || seen&bit != 0
		seen |= bit
		return nil
	})
	return e
}

// goodTime: a number or numeric text of epoch seconds without exponent. A time
// that only milliseconds explain is counted as a client's mistake, too.
func goodTime(v []byte) bool {
	if v == nil {
		return true
	}
	text := unquote(v)
	if strings.ContainsAny(text, "eExXpP_") {
		return false
	}
	seconds, err := strconv.ParseFloat(text, 64)
	return err == nil && seconds < 1e11
}

// goodFields: a flat object of texts, numbers, booleans or arrays of texts.
func goodFields(v []byte) bool {
	if v == nil {
		return true
	}
	if v[0] != '{' {
		return false
	}
	nested := errors.New("nested")
	_, err := skipObject(v, 0, 0, func(_, value []byte) error {
		switch value[0] {
		case '{':
			return nested
		case '[':
			_, err := skipArray(value, 0, 0, func(item []byte) error {
				if item[0] != '"' {
					return nested
				}
				return nil
			})
			return err
		}
		return nil
	})
	return err == nil
}

func blankEvent(v []byte) bool {
	switch v[0] {
	case '"':
		return strings.TrimSpace(unquote(v)) == ""
	case '{', '[':
		return skipSpace(v, 1) == len(v)-1
	}
	return string(v) == "null"
}
