package agent

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	secretType      = reflect.TypeFor[Secret]()
	nodeType        = reflect.TypeFor[yaml.Node]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
	nodeDecoderType = reflect.TypeFor[NodeDecoder]()
)

// NodeDecoder is a config type that decodes itself, such as one that is a
// number or a word.
type NodeDecoder interface {
	DecodeNode(ps *Problems, n *yaml.Node)
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
		if i, ok := Alone(v.Type()); ok && n.Kind == yaml.ScalarNode && !isNull(n) {
			d.value(n, v.Field(i), v.Type().Field(i).Tag)
			return
		}
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

// holdsSecrets reports whether values of type t are secrets, or lists or maps of them.
func holdsSecrets(t reflect.Type) bool {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == secretType
}

func (d *decoder) text(n *yaml.Node, t encoding.TextUnmarshaler, tag reflect.StructTag) {
	if n.Kind != yaml.ScalarNode {
		d.ps.Add(n, oneValue, "want one value, not %s", d.ps.quote(n))
		return
	}
	if err := t.UnmarshalText([]byte(n.Value)); err != nil {
		msg := err.Error()
		if d.ps.Private[n] {
			msg = "the substituted value does not fit here"
		}
		hint := exampleOf(t, tag)
		if h := unitHint(n.Value, t); h != "" && !d.ps.Private[n] {
			hint = h
		}
		d.ps.Add(n, hint, "%s", msg)
	}
}

const oneValue = "write one value, without brackets or braces"

// exampleOf is a right value for a key with this tag, whose type is t's.
func exampleOf(t any, tag reflect.StructTag) string {
	if tag.Get("example") == "" {
		switch t.(type) {
		case *Duration:
			return "for example 10s"
		case *Bytes:
			return "for example 64KiB"
		case *Portion:
			return "for example 5%"
		}
	}
	return keyHint(tag)
}

var numberAndUnit = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)$`)

// unitHint says what was probably meant by a number with a unit that there is
// not, or with none.
func unitHint(text string, t any) string {
	m := numberAndUnit.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	number, unit := m[1], strings.ToLower(m[2])
	switch t.(type) {
	case *Duration:
		if unit == "" {
			return "write " + number + "s, if seconds are meant"
		}
		for _, u := range []struct{ unit, words string }{
			{"ms", "msec msecs millis millisecond milliseconds"},
			{"s", "s sec secs second seconds"},
			{"m", "m min mins minute minutes"},
			{"h", "h hr hrs hour hours"},
			{"d", "d day days"},
		} {
			if slices.Contains(strings.Fields(u.words), unit) {
				return "write " + number + u.unit
			}
		}
	case *Bytes, *Portion:
		if _, portion := t.(*Portion); portion && unit == "" {
			return "write " + number + "%, if a share is meant"
		}
		switch unit {
		case "":
			return "write " + number + "B, if bytes are meant"
		case "k", "m", "g", "t", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib":
			u := strings.ToUpper(unit[:1])
			return fmt.Sprintf("write %s%siB, or %[1]s%sB for powers of ten", number, u, strings.Replace(u, "K", "k", 1))
		}
	}
	return ""
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	items := []*yaml.Node{n}
	switch n.Kind {
	case yaml.SequenceNode:
		items = n.Content
	case yaml.MappingNode:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Map {
			d.ps.Add(n, "write [a, b], or one a line behind dashes", "want a list, not a map")
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
		d.ps.Add(n, "write lines of name: value below it", "want a map, not %s", d.ps.quote(n))
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
		d.ps.Add(n, oneValue, "want one value, not %s", d.ps.quote(n))
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
		// The words of YAML 1.2. Those of 1.1, such as yes and off, reach here as
		// strings, and are no booleans.
		switch n.Value {
		case "true", "True", "TRUE":
			v.SetBool(true)
		case "false", "False", "FALSE":
			v.SetBool(false)
		default:
			d.ps.Add(n, "write true or false", "%s is not a boolean", d.ps.quote(n))
		}
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || v.OverflowInt(i) {
			d.ps.Add(n, "write digits alone, as in 5", "%s is not a whole number", d.ps.quote(n))
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			d.ps.Add(n, "write digits, as in 5 or 0.5", "%s is not a number", d.ps.quote(n))
			return
		}
		v.SetFloat(f)
	default:
		panic("agent: config field of kind " + v.Kind().String())
	}
}
