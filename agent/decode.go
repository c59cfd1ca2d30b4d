package agent

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Decode fills the structs that targets point to from the mapping n, strictly:
// an unknown key, a wrong type, a value outside oneof and a key given twice are
// reported to ps, with their place. A key belongs to the first target that has
// it. Fields keep what they hold if their key is absent or null, so a target
// is prefilled with defaults.
//
// Fields are named by their yaml tag (",inline" embeds a struct). Further tags:
//
//	doc:"..."       a sentence for people: what it does, and its unit
//	oneof:"a|b"     the only values that a string, or each string of a list, may have
//	required:"true" must be given and not be empty
//	replaces:"key"  if given, that required key need not be
//	example:"..."   a correct value, for hints
//	alone:"true"    one value in place of the map is this key's, as in a list of
//	                secrets some of which have a name
//	file:"..."      the path of a PEM file with a "certificate" or a "key": it must be
//	                readable, and the component is restarted when it changes
//
// A scalar is taken for a list of one. A target with a Validate() error method
// is validated in the end if it decoded without errors; see KeyError.
func Decode(ps *Problems, n *yaml.Node, targets ...any) {
	before := ps.Errors()
	d := decoder{ps: ps, failed: map[*yaml.Node]bool{}}
	values := make([]reflect.Value, len(targets))
	for i, t := range targets {
		values[i] = reflect.ValueOf(t).Elem()
	}
	d.mapping(n, values)
	if d.misshapen {
		return // what Validate would miss may be there under another name
	}
	for i := before; i < len(ps.List); i++ {
		// A wrong value is told once; the default stands in its place.
		d.failed[nodeAt(n, ps.List[i].Line, ps.List[i].Column)] = true
	}
	for i, t := range targets {
		if v, ok := t.(interface{ Validate() error }); ok {
			d.reportKeyErrors(n, values[i], v.Validate())
		}
	}
}

type decoder struct {
	ps    *Problems
	wrong map[any]bool // pointers to what was given and could not be read

	misshapen bool                // keys are missing, unknown or given twice
	failed    map[*yaml.Node]bool // values that were told to be wrong
}

// A field is a struct field that a key can fill.
type field struct {
	key   string
	value reflect.Value
	tag   reflect.StructTag
}

// fieldsOf lists the fields of the struct v, embedded ones included, in order.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case opts == "inline":
			fields = append(fields, fieldsOf(v.Field(i))...)
		case name != "" && name != "-":
			fields = append(fields, field{key: name, value: v.Field(i), tag: sf.Tag})
		}
	}
	return fields
}

func (d *decoder) mapping(n *yaml.Node, targets []reflect.Value) {
	n = resolve(n)
	var fields []field
	for _, t := range targets {
		fields = append(fields, fieldsOf(t)...)
	}
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	given := map[string]*yaml.Node{}
	meant := map[string]bool{} // keys that unknown ones were probably meant to be
	if n.Kind != yaml.MappingNode && !isNull(n) {
		d.ps.Hide(n)
		d.misshapen = true
		d.ps.Add(n, "keys that fit here: "+strings.Join(keys, ", "), "want a map of keys, not %s", shape(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if first := given[key.Value]; first != nil {
			d.ps.Hide(value)
			d.misshapen = true
			d.ps.Add(key, "keep one of them", "key %q is given twice, first on line %d", key.Value, first.Line)
			continue
		}
		given[key.Value] = key
		at := slices.Index(keys, key.Value)
		if at < 0 {
			d.misshapen = true
			near := Nearest(key.Value, keys)
			meant[near] = true
			d.ps.Hide(value) // it may be a secret, under a misspelt name
			if isNull(value) && aloneIsSecret(targets[0].Type()) {
				d.ps.Secrets = append(d.ps.Secrets, key) // braces in place of brackets
			}
			hint := unknownHint(key.Value, near, keys, fields)
			if i > 1 && isNull(value) && value.Value == "" && key.Line == n.Content[i-2].Line {
				// In braces what follows a comma is the next key.
				hint = fmt.Sprintf("several values are a list: %s: [%s, %s]", n.Content[i-2].Value, n.Content[i-1].Value, key.Value)
				if n.Content[i-1].Kind != yaml.ScalarNode || holdsSecretsAt(n.Content[i-2].Value, fields) {
					hint = "several values are a list, in square brackets"
				}
			}
			d.ps.Add(key, hint, "unknown key %q", key.Value)
			continue
		}
		if !isNull(value) {
			d.value(value, fields[at].value, fields[at].tag)
		}
	}
	replaced := map[string]bool{}
	for _, f := range fields {
		if key := f.tag.Get("replaces"); key != "" && !f.value.IsZero() {
			replaced[key] = true
		}
	}
	for _, f := range fields {
		if f.tag.Get("required") == "true" && isEmpty(f.value) && !replaced[f.key] && !meant[f.key] && !d.wrong[f.value.Addr().Interface()] {
			hint := fmt.Sprintf("add %s: VALUE", f.key)
			if holdsSecrets(f.value.Type()) {
				hint = fmt.Sprintf("for example %s: ${file:/etc/siemd/%[1]s}", f.key)
			}
			d.misshapen = true
			if ex := f.tag.Get("example"); ex != "" {
				hint = fmt.Sprintf("for example %s: %s", f.key, ex)
			}
			if key := given[f.key]; key != nil {
				d.ps.Add(key, hint, "%q is empty", f.key)
			} else {
				d.ps.Add(n, hint, "key %q is missing", f.key)
			}
		}
	}
}

// holdsSecretsAt reports whether key is one for secrets, or none that is known.
func holdsSecretsAt(key string, fields []field) bool {
	at := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if at < 0 {
		return true
	}
	t := fields[at].value.Type()
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return holdsSecrets(t) || t.Kind() == reflect.Struct && aloneIsSecret(t)
}

// aloneIsSecret reports whether one value in place of the map t is a secret.
func aloneIsSecret(t reflect.Type) bool {
	i, ok := Alone(t)
	return ok && holdsSecrets(t.Field(i).Type)
}

// Alone is the index of the field of the struct type t that one value in place
// of a map stands for.
func Alone(t reflect.Type) (index int, ok bool) {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("alone") == "true" {
			return i, true
		}
	}
	return 0, false
}

// isEmpty reports whether nothing was given, or nothing in a list or map.
func isEmpty(v reflect.Value) bool {
	return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// shape is what n is, without saying what it says.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	return "one value"
}

// unknownHint says where an unknown key may belong.
func unknownHint(key, near string, keys []string, fields []field) string {
	if near != "" && distance(key, near) <= 2 {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, f := range fields {
		if f.value.Kind() != reflect.Struct {
			continue
		}
		for _, inner := range fieldsOf(f.value) {
			if inner.key == key {
				return fmt.Sprintf("it belongs below %s, as in %s: {%s: ...}", f.key, f.key, key)
			}
		}
	}
	if near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "keys that fit here: " + strings.Join(keys, ", ")
}
