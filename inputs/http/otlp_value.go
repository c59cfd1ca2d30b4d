package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	cjson "github.com/adrian207/siemd/codecs/json"
)

type otlpPair struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

// otlpValue is AnyValue.
type otlpValue struct {
	String *string         `json:"stringValue"`
	Bool   *bool           `json:"boolValue"`
	Int    json.RawMessage `json:"intValue"` // a text, or a number
	Double json.RawMessage `json:"doubleValue"`
	Bytes  *string         `json:"bytesValue"` // base64
	Array  *struct {
		Values []otlpValue `json:"values"`
	} `json:"arrayValue"`
	List *struct {
		Values []otlpPair `json:"values"`
	} `json:"kvlistValue"`
}

var errOTLPNumber = errors.New("a number is written as no number")

// append appends v as plain JSON.
func (v *otlpValue) append(b []byte) ([]byte, error) {
	switch {
	case v.String != nil:
		return cjson.AppendString(b, *v.String), nil
	case v.Bool != nil:
		return strconv.AppendBool(b, *v.Bool), nil
	case given(v.Int):
		text := cjson.Text(nil, v.Int)
		if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
			return b, errOTLPNumber
		}
		return append(b, text...), nil
	case given(v.Double):
		text := cjson.Text(nil, v.Double)
		// NaN and Infinity come as texts and stay what they are.
		if f, err := strconv.ParseFloat(string(text), 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) || !json.Valid(text) {
			return cjson.AppendString(b, text), nil
		}
		return append(b, text...), nil
	case v.Bytes != nil:
		return cjson.AppendString(b, *v.Bytes), nil
	case v.Array != nil:
		b = append(b, '[')
		for i := range v.Array.Values {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = v.Array.Values[i].append(b); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case v.List != nil:
		return appendPairs(b, v.List.Values)
	}
	return append(b, "null"...), nil
}

func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

func appendPairs(b []byte, pairs []otlpPair) ([]byte, error) {
	b = append(b, '{')
	for i := range pairs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(cjson.AppendString(b, pairs[i].Key), ':')
		var err error
		if b, err = pairs[i].Value.append(b); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// lifted are the attributes that become members of the event itself.
var lifted = []string{"event_id", "event_type", "source", "title", "description"}

// appendEvent appends the record as an event: a map in its body is the event,
// anything else its message. Time, severity, type and source are filled in
// where the event lacks them; the rest of the record is kept under otlp.
func (r *otlpRecord) appendEvent(b []byte, resource []otlpPair, scope string) ([]byte, error) {
	start := len(b)
	var err error
	switch {
	case r.Body == nil:
		b = append(b, '{')
	case r.Body.List != nil:
		if b, err = appendPairs(b, r.Body.List.Values); err != nil {
			return b, err
		}
		b = b[:len(b)-1]
	default:
		if b, err = r.Body.append(append(b, `{"message":`...)); err != nil {
			return b, err
		}
	}
	body := bytes.Clone(append(b[start:len(b):len(b)], '}'))
	first := start
	if len(b) == start+1 {
		first = len(b)
	}
	add := func(key string, value []byte) {
		if cjson.IsAbsent(value) {
			return
		}
		if old, ok := cjson.Get(body, key); ok && !cjson.IsAbsent(old) {
			return
		}
		b = appendMember(b, first, []byte(key), value)
		first = start
	}
	find := func(pairs []otlpPair, key string) []byte {
		for i := range pairs {
			if pairs[i].Key == key && pairs[i].Value.String != nil {
				return cjson.AppendString(nil, *pairs[i].Value.String)
			}
		}
		return nil
	}
	for _, key := range lifted {
		value := find(r.Attributes, key)
		switch {
		case value == nil && key == "event_type" && r.EventName != "":
			value = cjson.AppendString(nil, r.EventName)
		case value == nil && key == "source":
			value = find(resource, "host.name")
		}
		add(key, value)
	}
	add("timestamp", otlpTime(r.Time, r.ObservedTime))
	if severity := otlpSeverity(r.SeverityNumber, r.SeverityText); severity != "" {
		add("severity", cjson.AppendString(nil, severity))
	}
	rest, err := r.rest(resource, scope)
	if err != nil {
		return b, err
	}
	add("otlp", rest)
	return append(b, '}'), nil
}

// otlpTime is the first of the times that is there, in nanoseconds.
func otlpTime(times ...json.RawMessage) []byte {
	for _, t := range times {
		text := cjson.Text(nil, t)
		if n, err := strconv.ParseUint(string(text), 10, 63); err == nil && n > 0 {
			return text
		}
	}
	return nil
}

// rest is what has no place of its own, or nil.
func (r *otlpRecord) rest(resource []otlpPair, scope string) ([]byte, error) {
	b := []byte("{")
	for _, m := range []struct {
		key   string
		pairs []otlpPair
	}{{"attributes", r.Attributes}, {"resource", resource}} {
		if len(m.pairs) == 0 {
			continue
		}
		value, err := appendPairs(nil, m.pairs)
		if err != nil {
			return nil, err
		}
		b = appendMember(b, 1, []byte(m.key), value)
	}
	for _, m := range []struct{ key, text string }{
		{"scope", scope}, {"severity_text", r.SeverityText}, {"trace_id", r.TraceID}, {"span_id", r.SpanID},
	} {
		if m.text != "" {
			b = appendMember(b, 1, []byte(m.key), cjson.AppendString(nil, m.text))
		}
	}
	if len(b) == 1 {
		return nil, nil
	}
	return append(b, '}'), nil
}
