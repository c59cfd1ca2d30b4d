package http

import (
	"bytes"
	"strconv"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// A badObject is the first object of a HEC body that cannot be taken. Code 0: there is none.
type badObject struct {
	code    int
	number  int           // from 0; -1: the body as a whole
	refused agent.Refusal // what goes to the refused store, if Text is set
}

// maxDepth is how deep an event may be nested; the log refuses what is deeper.
const maxDepth = 64

// maxRefusedText is how much of an object without an end is kept.
const maxRefusedText = 64 << 10

// envelopes makes w's items of the envelopes in w's body, which lie one behind
// the other or in an array.
func (in *Input) envelopes(w *work) badObject {
	body := bytes.TrimPrefix(w.body, bom)
	at := skipSpace(body, 0)
	array := at < len(body) && body[at] == '['
	if array {
		at++
	}
	for n := 0; ; n++ {
		at = skipSpace(body, at)
		switch {
		case array && n == 0 && endsArray(body[at:]), !array && at == len(body):
			return badObject{}
		case at == len(body) || body[at] != '{':
			return w.broken(n, body[at:])
		case n == in.config.MaxEvents:
			return badObject{code: 6, number: n}
		}
		size, code := in.envelope(w, body[at:])
		if code != 0 {
			bad := badObject{code: code, number: n}
			if code == 6 {
				bad.refused = w.cutObject(body[at:])
			}
			if code == 6 && size > int(in.config.MaxEvent) {
				bad.refused.Reason, bad.refused.Detail = agent.ReasonTooLong, "the object has "+strconv.Itoa(size)+" bytes, more than max_event"
			}
			return bad
		}
		at += size
		if !array {
			continue
		}
		at = skipSpace(body, at)
		switch {
		case at < len(body) && body[at] == ',':
			at++
		case endsArray(body[at:]):
			return badObject{}
		default:
			return w.broken(n+1, body[at:])
		}
	}
}

// endsArray reports whether b is a closing bracket and nothing else.
func endsArray(b []byte) bool {
	at := skipSpace(b, 0)
	return at < len(b) && b[at] == ']' && skipSpace(b, at+1) == len(b)
}

// cutObject is the object that b begins with, if it has an end, else its first line.
func (w *work) cutObject(b []byte) agent.Refusal {
	if end, err := w.split.end(b, 0); err == nil {
		return w.refusal(b[:end])
	}
	return w.broken(0, b).refused
}

// broken is text that is no JSON. Up to its first line break it is kept; what
// is behind that the client sends again.
func (w *work) broken(n int, text []byte) badObject {
	text, _ = cutLine(bytes.TrimLeft(text, " \t\r\n"))
	return badObject{code: 6, number: n, refused: w.refusal(text)}
}

func (w *work) refusal(text []byte) agent.Refusal {
	return agent.Refusal{Text: text[:min(len(text), maxRefusedText)], Offset: w.offset(text), Reason: agent.ReasonNotJSON, Detail: "not an object that HEC takes"}
}

// An envelope is one object of a HEC body.
type envelope struct {
	time, host, event, fields []byte
	rest                      []byte // other members, as JSON, for hec

	eventTime, eventSource, eventHEC bool // what the event has itself
}

// envelope appends the event that the object at the beginning of b carries to
// w's items. The size is the object's; the code is Splunk's for what is wrong
// with it, or 0.
func (in *Input) envelope(w *work, b []byte) (size, code int) {
	e := &w.envelope
	*e = envelope{}
	start := len(w.arena)
	size, ok := scanObject(b, 0, maxDepth+1, func(key, value []byte) {
		switch {
		case cjson.KeyIs(key, "event"):
			e.event = value
		case string(value) == "null":
		case cjson.KeyIs(key, "time"):
			e.time = value
		case cjson.KeyIs(key, "host"):
			e.host = value
		case cjson.KeyIs(key, "fields"):
			e.fields = value
		default:
			w.arena = appendMember(w.arena, start, key, value)
		}
	})
	if !ok || size > int(in.config.MaxEvent) {
		return size, 6
	}
	e.rest = w.arena[start:len(w.arena):len(w.arena)]
	switch {
	case e.event == nil:
		return size, 12
	case blankEvent(e.event):
		return size, 13
	case !goodTime(e.time), !goodFields(e.fields):
		return size, 15
	}
	start = len(w.arena)
	w.arena = e.appendEvent(w.arena)
	w.items = append(w.items, w.arena[start:len(w.arena):len(w.arena)])
	w.offsets = append(w.offsets, w.offset(b))
	return size, 0
}

// look finds out what the event has itself.
func (e *envelope) look() {
	if e.time == nil && e.host == nil && e.fields == nil && len(e.rest) == 0 {
		return // nothing to add, so it does not matter
	}
	cjson.Walk(e.event, func(key, value []byte) bool {
		switch {
		case cjson.KeyIs(key, "timestamp"):
			e.eventTime = !cjson.IsAbsent(value)
		case cjson.KeyIs(key, "source"):
			e.eventSource = !cjson.IsAbsent(value)
		case cjson.KeyIs(key, "hec"):
			e.eventHEC = true
		}
		return true
	})
}

// appendMember appends a member of an object whose members begin at start.
func appendMember(b []byte, start int, key, value []byte) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), key...), `":`...)
	return append(b, value...)
}

// appendEvent appends the event: the object in it, or a message of what else
// is in it, and what the envelope adds.
func (e *envelope) appendEvent(b []byte) []byte {
	start := len(b)
	if e.event[0] == '{' {
		e.look()
		b = append(b, bytes.TrimRight(e.event[:len(e.event)-1], " \t\r\n")...)
	} else {
		b = append(append(b, `{"message":`...), e.event...)
	}
	text := e.host != nil && e.host[0] == '"' && !cjson.IsAbsent(e.host)
	if e.time != nil && !e.eventTime {
		b = appendMember(b, start, []byte("timestamp"), e.time)
		e.time = nil
	}
	if text && !e.eventSource {
		b = appendMember(b, start, []byte("source"), e.host)
		e.host = nil
	}
	if e.time == nil && e.host == nil && e.fields == nil && len(e.rest) == 0 {
		return append(b, '}')
	}
	if e.eventHEC {
		b = append(b, `,"hec_envelope":{`...) // the event's own hec stays untouched
	} else {
		b = append(b, `,"hec":{`...)
	}
	start = len(b)
	for _, m := range []struct {
		key   string
		value []byte
	}{{"time", e.time}, {"host", e.host}, {"fields", e.fields}} {
		if m.value != nil {
			b = appendMember(b, start, []byte(m.key), m.value)
		}
	}
	if len(e.rest) > 0 {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, e.rest...)
	}
	return append(b, '}', '}')
}

// goodTime: epoch seconds, as a number or a text of one, without exponent.
func goodTime(v []byte) bool {
	if v == nil {
		return true
	}
	text := v
	if v[0] == '"' {
		text = v[1 : len(v)-1]
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	_, err := strconv.ParseFloat(string(text), 64)
	return err == nil
}

// goodFields: a flat object, whose values may be arrays of scalars.
func goodFields(v []byte) bool {
	if v == nil {
		return true
	}
	good := v[0] == '{'
	cjson.Walk(v, func(_, value []byte) bool {
		good = good && value[0] != '{'
		cjson.Elements(value, func(item []byte) bool {
			good = good && item[0] != '{' && item[0] != '['
			return good
		})
		return good
	})
	return good
}

func blankEvent(v []byte) bool {
	switch v[0] {
	case '"':
		return blank(cjson.Text(nil, v))
	case '{', '[':
		return skipSpace(v, 1) == len(v)-1
	}
	return string(v) == "null"
}
