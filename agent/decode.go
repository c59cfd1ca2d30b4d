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
	d := decoder{ps: ps}
	values := make([]reflect.Value, len(targets))
	for i, t := range targets {
		values[i] = reflect.ValueOf(t).Elem()
	}
	d.mapping(n, values)
	if ps.Errors() > before {
		return
	}
	for _, t := range targets {
		if v, ok := t.(interface{ Validate() error }); ok {
			reportKeyErrors(ps, n, v.Validate())
		}
	}
}

// NodeDecoder is a config type that decodes itself, such as one that is a
// number or a word.
type NodeDecoder interface {
	DecodeNode(ps *Problems, n *yaml.Node)
}

type decoder struct {
	ps *Problems
}

var (
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
	if n.Kind != yaml.MappingNode && !isNull(n) {
		d.ps.Add(n, "keys that fit here: "+strings.Join(keys, ", "), "want a map of keys, not %s", d.ps.quote(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if first := given[key.Value]; first != nil {
			d.ps.Add(key, "keep one of them", "key %q is given twice, first on line %d", key.Value, first.Line)
			continue
		}
		given[key.Value] = key
		at := slices.Index(keys, key.Value)
		if at < 0 {
			hint := "keys that fit here: " + strings.Join(keys, ", ")
			if near := Nearest(key.Value, keys); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
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
		if f.tag.Get("required") == "true" && f.value.IsZero() && !replaced[f.key] {
			hint := ""
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

func (d *decoder) value(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	n = resolve(n)
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(*n))
		return
	case v.CanAddr() && v.Addr().Type().Implements(nodeDecoderType):
		v.Addr().Interface().(NodeDecoder).DecodeNode(d.ps, n)
		return
	case v.CanAddr() && v.Addr().Type().Implements(textType):
		d.text(n, v.Addr().Interface().(encoding.TextUnmarshaler))
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

func (d *decoder) text(n *yaml.Node, t encoding.TextUnmarshaler) {
	if n.Kind != yaml.ScalarNode {
		d.ps.Add(n, "", "want one value, not %s", d.ps.quote(n))
		return
	}
	if err := t.UnmarshalText([]byte(n.Value)); err != nil {
		msg := err.Error()
		if d.ps.Private[n] {
			msg = "the substituted value does not fit here"
		}
		d.ps.Add(n, "", "%s", msg)
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
func reportKeyErrors(ps *Problems, n *yaml.Node, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			reportKeyErrors(ps, n, e)
		}
		return
	}
	var ke *KeyError
	if !errors.As(err, &ke) {
		ps.Add(n, "", "%s", err)
		return
	}
	ps.Add(Find(n, ke.Key), ke.Hint, "%s", ke.Message)
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
