package agent

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
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
	for _, t := range targets {
		if v, ok := t.(interface{ Validate() error }); ok {
			d.reportKeyErrors(n, v.Validate())
		}
	}
}

// nodeAt is the value below n that stands there.
func nodeAt(n *yaml.Node, line, column int) (found *yaml.Node) {
	seen := map[*yaml.Node]bool{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		n = resolve(n)
		if seen[n] || found != nil {
			return
		}
		seen[n] = true
		if n.Line == line && n.Column == column && n.Kind == yaml.ScalarNode {
			found = n
			return
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(n)
	return found
}

// NodeDecoder is a config type that decodes itself, such as one that is a
// number or a word.
type NodeDecoder interface {
	DecodeNode(ps *Problems, n *yaml.Node)
}

type decoder struct {
	ps    *Problems
	wrong map[any]bool // pointers to what was given and could not be read

	misshapen bool                // keys are missing, unknown or given twice
	failed    map[*yaml.Node]bool // values that were told to be wrong
}

var (
	secretType      = reflect.TypeFor[Secret]()
	nodeType        = reflect.TypeFor[yaml.Node]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
	nodeDecoderType = reflect.TypeFor[NodeDecoder]()
)

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

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

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
			d.ps.Add(key, unknownHint(key.Value, near, keys, fields), "unknown key %q", key.Value)
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
			hint := ""
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

// holdsSecrets reports whether values of type t are secrets, or lists or maps of them.
func holdsSecrets(t reflect.Type) bool {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == secretType
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	before := d.ps.Errors()
	defer func() {
		// What was given wrongly is not missing too.
		if v.CanAddr() && d.ps.Errors() > before {
			if d.wrong == nil {
				d.wrong = map[any]bool{}
			}
			d.wrong[v.Addr().Interface()] = true
		}
	}()
	n = resolve(n)
	if holdsSecrets(v.Type()) {
		eachScalar(n, func(n *yaml.Node) { d.ps.Secrets = append(d.ps.Secrets, n) })
	}
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(*n))
		return
	case v.CanAddr() && v.Addr().Type().Implements(nodeDecoderType):
		v.Addr().Interface().(NodeDecoder).DecodeNode(d.ps, n)
		return
	case v.CanAddr() && v.Addr().Type().Implements(textType):
		d.text(n, v.Addr().Interface().(encoding.TextUnmarshaler), tag)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, []reflect.Value{v})
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		d.value(n, p.Elem(), tag)
		v.Set(p)
	case reflect.Slice:
		d.list(n, v, tag)
	case reflect.Map:
		d.dictionary(n, v, tag)
	default:
		d.scalar(n, v, tag)
	}
}

func (d *decoder) text(n *yaml.Node, t encoding.TextUnmarshaler, tag reflect.StructTag) {
	if n.Kind != yaml.ScalarNode {
		d.ps.Add(n, "", "want one value, not %s", d.ps.quote(n))
		return
	}
	if err := t.UnmarshalText([]byte(n.Value)); err != nil {
		msg := err.Error()
		if d.ps.Private[n] {
			msg = "the substituted value does not fit here"
		}
		hint := ""
		if ex := tag.Get("example"); ex != "" {
			hint = "for example " + ex
		}
		if _, err := strconv.ParseUint(n.Value, 10, 32); err == nil && !d.ps.Private[n] {
			switch t.(type) {
			case *Duration:
				hint = "write " + n.Value + "s, if seconds are meant"
			case *Bytes, *Portion:
				hint = "write " + n.Value + "B, if bytes are meant"
			}
		}
		d.ps.Add(n, hint, "%s", msg)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	items := []*yaml.Node{n}
	switch n.Kind {
	case yaml.SequenceNode:
		items = n.Content
	case yaml.MappingNode:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Map {
			d.ps.Add(n, "", "want a list, not a map")
			return
		}
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, out.Index(i), tag)
	}
	v.Set(out)
}

// dictionary fills a map with string keys. What the map holds is kept beside the new keys.
func (d *decoder) dictionary(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	if n.Kind != yaml.MappingNode {
		d.ps.Add(n, "", "want a map, not %s", d.ps.quote(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, k := range v.MapKeys() {
		out.SetMapIndex(k, v.MapIndex(k))
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if first := seen[key.Value]; first != nil {
			d.ps.Add(key, "keep one of them", "key %q is given twice, first on line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], item, tag)
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	if n.Kind != yaml.ScalarNode {
		d.ps.Add(n, "", "want one value, not %s", d.ps.quote(n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if allowed := tag.Get("oneof"); allowed != "" {
			words := strings.Split(allowed, "|")
			if !slices.Contains(words, n.Value) {
				hint := "one of " + strings.Join(words, ", ")
				if near := Nearest(n.Value, words); near != "" && !d.ps.Private[n] {
					hint = fmt.Sprintf("did you mean %q? One of %s", near, strings.Join(words, ", "))
				}
				d.ps.Add(n, hint, "%s is not a value for this key", d.ps.quote(n))
				return
			}
		}
		v.SetString(n.Value)
	case reflect.Bool:
		// YAML 1.1 words such as yes and off reach here as strings, and are no booleans.
		b, err := strconv.ParseBool(n.Value)
		if err != nil || (n.Value != "true" && n.Value != "false") {
			d.ps.Add(n, "write true or false", "%s is not a boolean", d.ps.quote(n))
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || v.OverflowInt(i) {
			d.ps.Add(n, "", "%s is not a whole number", d.ps.quote(n))
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			d.ps.Add(n, "", "%s is not a number", d.ps.quote(n))
			return
		}
		v.SetFloat(f)
	default:
		panic("agent: config field of kind " + v.Kind().String())
	}
}

// reportKeyErrors finds the place of each KeyError in err below n.
func (d *decoder) reportKeyErrors(n *yaml.Node, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.reportKeyErrors(n, e)
		}
		return
	}
	var ke *KeyError
	if !errors.As(err, &ke) {
		d.ps.Add(n, "", "%s", err)
		return
	}
	if at := Find(n, ke.Key); !d.failed[at] {
		d.ps.Add(at, ke.Hint, "%s", ke.Message)
	}
}

// Find is the value at the dotted path below n, or the deepest node on the way to it.
func Find(n *yaml.Node, path string) *yaml.Node {
	n = resolve(n)
	if path == "" {
		return n
	}
	head, rest, _ := strings.Cut(path, ".")
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == head {
				return Find(n.Content[i+1], rest)
			}
		}
	}
	return n
}
