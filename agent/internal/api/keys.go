package api

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// A keyed value is a typed config, seen by the names that its keys have in YAML.

// lookup is the value at the dotted path of a config struct; false if it has no such key.
func lookup(v reflect.Value, path string) (reflect.Value, bool) {
	if !v.IsValid() {
		return v, false
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return reflect.Value{}, false
		}
		v = v.Elem()
	}
	if path == "" {
		return v, true
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	head, rest, _ := strings.Cut(path, ".")
	for _, k := range keysOf(v) {
		if k.name == head {
			return lookup(k.value, rest)
		}
	}
	return reflect.Value{}, false
}

type key struct {
	name  string
	value reflect.Value
}

// keysOf lists the keys of a config struct, embedded ones included.
func keysOf(v reflect.Value) []key {
	var keys []key
	for i := range v.NumField() {
		name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch {
		case opts == "inline":
			keys = append(keys, keysOf(v.Field(i))...)
		case name != "" && name != "-":
			keys = append(keys, key{name, v.Field(i)})
		}
	}
	return keys
}

// textOf is the string at path, or "".
func textOf(config any, path string) string {
	v, ok := lookup(reflect.ValueOf(config), path)
	if !ok || v.Kind() != reflect.String {
		return ""
	}
	return v.String()
}

// isSet reports whether there is something at path.
func isSet(config any, path string) bool {
	v, ok := lookup(reflect.ValueOf(config), path)
	return ok && !v.IsZero()
}

// differences are the keys of v that are not as in defaults, as JSON has them,
// without those in skip (dotted). Secrets show as "***".
func differences(v, defaults reflect.Value, at string, skip map[string]bool) map[string]any {
	out := map[string]any{}
	theirs := map[string]reflect.Value{}
	for _, k := range keysOf(defaults) {
		theirs[k.name] = k.value
	}
	for _, k := range keysOf(v) {
		path := at + k.name
		d := theirs[k.name]
		if skip[path] || reflect.DeepEqual(k.value.Interface(), d.Interface()) {
			continue
		}
		if k.value.Kind() == reflect.Struct && !isText(k.value) {
			if inner := differences(k.value, d, path+".", skip); len(inner) > 0 {
				out[k.name] = inner
			}
			continue
		}
		out[k.name] = plainValue(k.value)
	}
	return out
}

// plainValue is v as JSON would have it.
func plainValue(v reflect.Value) any {
	if isText(v) {
		if m, ok := v.Interface().(encoding.TextMarshaler); ok {
			b, err := m.MarshalText()
			if err == nil {
				return string(b)
			}
		}
		return fmt.Sprint(v.Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plainValue(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for _, k := range keysOf(v) {
			out[k.name] = plainValue(k.value)
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = plainValue(v.MapIndex(k))
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plainValue(v.Index(i))
		}
		return out
	}
	return v.Interface()
}

// isText reports whether v is written as one word though it is a struct or a number.
func isText(v reflect.Value) bool {
	if _, ok := v.Interface().(encoding.TextMarshaler); ok {
		return true
	}
	return v.CanAddr() && v.Addr().Type().Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
		reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
