package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A wish is the body of a request that makes or changes a connection: the
// fields that it gives, which null does not.
type wish struct {
	fields   connectionFields
	given    map[string]bool // by name
	mistakes []fieldError
}

// has reports whether the request gives the field, and for a change something new.
func (w *wish) has(name string) bool { return w.given[name] }

// readOnly are fields of the object that a client may send back and that change nothing.
var readOnly = map[string]bool{
	"connection_id": true, "health_status": true, "last_health_check": true, "last_successful_export": true, "last_error": true,
	"total_events_sent": true, "total_events_failed": true, "created_at": true, "updated_at": true, "managed_by": true,
}

// parseWish lays the fields of data over base. In a change, what is as it was
// counts as not given, so that a client can send back a whole object. Fields that
// are unknown or of another type are the wish's mistakes, for render to tell with the others.
func parseWish(data []byte, base connectionFields, change bool) (*wish, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, jsonMistake(err)
	}
	if members == nil {
		return nil, fail(400, "the body is not a JSON object", "it takes the fields of a connection")
	}
	w := &wish{fields: base, given: map[string]bool{}}
	places := map[string]reflect.Value{}
	names := make([]string, 0, 32)
	v := reflect.ValueOf(&w.fields).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		places[name] = v.Field(i)
		names = append(names, name)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		place, ok := places[name]
		switch {
		case ok:
		case readOnly[name]:
			continue
		default:
			w.mistakes = append(w.mistakes, fieldError{Pointer: "/" + escapePointer(name), Message: fmt.Sprintf("unknown field %q", name), Hint: nearestHint(name, names)})
			continue
		}
		if string(members[name]) == "null" {
			continue
		}
		fresh := reflect.New(place.Type())
		dec := json.NewDecoder(bytes.NewReader(members[name]))
		dec.UseNumber()
		if err := dec.Decode(fresh.Interface()); err != nil {
			p := jsonMistake(err)
			message := p.Detail
			w.mistakes = append(w.mistakes, fieldError{Pointer: "/" + name, Message: message})
			continue
		}
		w.given[name] = !change || !reflect.DeepEqual(place.Interface(), fresh.Elem().Interface())
		place.Set(fresh.Elem())
	}
	return w, nil
}

// mistaken is a 400 about several places.
func mistaken(mistakes []fieldError) *problem {
	p := fail(400, "the request has a mistake", "%s", mistakes[0].Message)
	if n := len(mistakes); n > 1 {
		p.Title, p.Detail = fmt.Sprintf("the request has %d mistakes", n), p.Detail+"; and others"
	}
	p.Errors = mistakes
	return p
}
