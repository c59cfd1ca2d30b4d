package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// A Line is one line of the config that runs, as YAML.
type Line struct {
	Text    string `json:"text" doc:"The line."`
	Default bool   `json:"default,omitempty" doc:"It says what is so without being said."`
}

// Effective is the whole config with every default, as YAML. A secret shows as
// *** or as the reference that it comes from, and what comes from elsewhere
// shows as its reference.
func (c *Config) Effective() []Line {
	p := printer{refs: c.refs, private: c.private}
	defaults := Default()
	defaults.API.Listen = []string{DefaultListen}
	p.keys(reflect.ValueOf(c.Settings), reflect.ValueOf(defaults), "", 0)
	p.add(0, "inputs:", len(c.Inputs) == 0)
	for _, name := range sortedKeys(c.Inputs) {
		in := c.Inputs[name]
		p.component(name, in.Kind, in.File, in.Line)
		p.refs, p.private = in.refs, in.private
		p.keys(reflect.ValueOf(in.Common), reflect.ValueOf(intake.Common{}), "", 2)
		p.keys(reflect.ValueOf(in.Config), reflect.ValueOf(in.Spec.Config()), "", 2)
	}
	p.add(0, "outputs:", len(c.Outputs) == 0)
	for _, name := range sortedKeys(c.Outputs) {
		out := c.Outputs[name]
		p.component(name, out.Kind, out.File, out.Line)
		p.refs, p.private = out.refs, out.private
		p.keys(reflect.ValueOf(out.Common), reflect.ValueOf(delivery.DefaultConfig()), "", 2)
		p.keys(reflect.ValueOf(out.Config), reflect.ValueOf(out.Spec.Config()), "", 2)
	}
	return p.lines
}

// printer writes typed configs as YAML. Nothing that came by a reference is
// shown: it is known by its place, and if that should ever fail, by its text.
type printer struct {
	lines   []Line
	refs    map[string]string // what was written, by the dotted path of a scalar with references
	private []string          // what the references stand for
}

func (p *printer) add(depth int, text string, isDefault bool) {
	p.lines = append(p.lines, Line{strings.Repeat("  ", depth) + text, isDefault})
}

func (p *printer) component(name, kind, file string, line int) {
	p.add(1, fmt.Sprintf("%s: # %s:%d", name, printable(file), line), false)
	p.add(2, "type: "+kind, false)
}

// keys writes the struct v; d has the defaults, or is not valid.
func (p *printer) keys(v, d reflect.Value, path string, depth int) {
	v = reflect.Indirect(v)
	if d.IsValid() {
		d = reflect.Indirect(d)
	}
	for i := range v.NumField() {
		name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f, df := v.Field(i), reflect.Value{}
		if d.IsValid() && d.Type() == v.Type() {
			df = d.Field(i)
		}
		switch {
		case opts == "inline":
			p.keys(f, df, path, depth)
		case name != "" && name != "-":
			p.key(name, f, df, path+name, depth)
		}
	}
}

// key writes one key, unless it is empty and so by default.
func (p *printer) key(name string, v, d reflect.Value, path string, depth int) {
	same := d.IsValid() && reflect.DeepEqual(v.Interface(), d.Interface())
	if v.Kind() == reflect.Pointer && !isText(v) {
		if v.IsNil() {
			return
		}
		v, d = v.Elem(), reflect.Value{}
	}
	if same && v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int {
		return
	}
	switch fields, ok := v.Interface().(intake.Fields); {
	case ok:
		p.add(depth, name+": "+p.fields(fields, path), same)
		return
	case isText(v) || v.Type() == nodeType:
	case v.Kind() == reflect.Struct:
		at := len(p.lines)
		p.add(depth, name+":", true)
		p.keys(v, d, path+".", depth+1)
		if len(p.lines) == at+1 {
			p.lines = p.lines[:at] // nothing to say
			return
		}
		p.lines[at].Default = !slices.ContainsFunc(p.lines[at:], func(l Line) bool { return !l.Default })
		return
	case v.Kind() == reflect.Slice && hasKeys(v.Type().Elem()):
		p.add(depth, name+":", same)
		for i := range v.Len() {
			at, item := len(p.lines), fmt.Sprintf("%s.%d", path, i)
			if text, ok := p.alone(v.Index(i), item); ok {
				p.add(depth+1, "- "+text, false)
				continue
			}
			p.keys(v.Index(i), reflect.Value{}, item+".", depth+2)
			if at < len(p.lines) {
				text := []byte(p.lines[at].Text)
				text[2*depth+2] = '-'
				p.lines[at].Text = string(text)
			}
		}
		return
	}
	p.add(depth, name+": "+p.value(v, path), same)
}

// alone is the value of a struct of which nothing else was given, if it can stand for it.
func (p *printer) alone(v reflect.Value, path string) (text string, ok bool) {
	i, ok := agent.Alone(v.Type())
	if !ok {
		return "", false
	}
	only := reflect.New(v.Type()).Elem()
	only.Field(i).Set(v.Field(i))
	if !reflect.DeepEqual(only.Interface(), v.Interface()) {
		return "", false
	}
	name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
	if _, ok := p.refs[path+"."+name]; ok {
		path += "." + name
	}
	return p.value(v.Field(i), path), true
}

// hasKeys reports whether a type is written as a map of known keys.
func hasKeys(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != nodeType && !isText(reflect.New(t).Elem())
}

// isText reports whether v is written as one scalar by its own method.
func isText(v reflect.Value) bool { return v.Type().Implements(textType) }

// value is v on one line.
func (p *printer) value(v reflect.Value, path string) string {
	_, secret := v.Interface().(agent.Secret)
	if ref, ok := p.refs[path]; ok {
		if !secret || isReference(ref) {
			return yamlWord(hideIn(ref))
		}
		return yamlWord(hiddenValue)
	}
	switch {
	case secret:
		return yamlWord(hiddenValue)
	case isText(v):
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return yamlWord("")
		}
		return p.plain(string(text))
	case p.holdsReference(path) && v.Kind() != reflect.Slice && v.Kind() != reflect.Map:
		return yamlWord(hiddenValue)
	}
	switch v.Kind() {
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = p.value(v.Index(i), fmt.Sprintf("%s.%d", path, i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		items := make([]string, 0, v.Len())
		names := map[string]reflect.Value{}
		for _, k := range v.MapKeys() {
			names[fmt.Sprint(k.Interface())] = k
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			items = append(items, yamlWord(name)+": "+p.value(v.MapIndex(names[name]), path+"."+name))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case reflect.String:
		return p.plain(v.String())
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return p.value(v.Elem(), path)
	case reflect.Struct:
		return p.flow(v)
	}
	return fmt.Sprint(v.Interface())
}

// fields are static members of events: JSON, which is YAML too.
func (p *printer) fields(fields intake.Fields, path string) string {
	items := make([]string, 0, len(fields))
	for _, f := range fields {
		var member map[string]json.RawMessage
		_ = json.Unmarshal([]byte("{"+string(f.Member)+"}"), &member) // it was made as one
		value := string(member[f.Name])
		at := path + "." + f.Name
		ref, ok := p.refs[at]
		switch {
		case ok:
			value = yamlWord(hideIn(ref))
		case p.holdsReference(at):
			value = yamlWord(hiddenValue)
		default:
			value = hideIn(value)
		}
		items = append(items, yamlWord(f.Name)+": "+value)
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// flow is what has a form of its own, on one line.
func (p *printer) flow(v reflect.Value) string {
	data, err := yaml.Marshal(v.Interface())
	if n, ok := v.Interface().(yaml.Node); ok {
		if n.IsZero() {
			return "null"
		}
		data, err = yaml.Marshal(&n)
	}
	if err != nil {
		return yamlWord(hiddenValue)
	}
	return p.plain(strings.Join(strings.Fields(string(data)), " "))
}

// plain is a text without what is private in it.
func (p *printer) plain(text string) string {
	for _, private := range p.private {
		text = strings.ReplaceAll(text, private, hiddenValue)
	}
	return yamlWord(hideIn(text))
}

const hiddenValue = "***"

// hideIn takes out credentials in URLs and defaults of references.
func hideIn(text string) string {
	return fallback.ReplaceAllString(credentials.ReplaceAllString(text, "$1:***@"), ":-***}")
}

// holdsReference reports whether something below path came by a reference.
func (p *printer) holdsReference(path string) bool {
	for at := range p.refs {
		if strings.HasPrefix(at, path+".") {
			return true
		}
	}
	return false
}

// yamlWord is text as a YAML scalar on one line, fit to stand in a flow list.
func yamlWord(text string) string {
	if plainScalar.MatchString(text) {
		if s := yamlString(text); s == text {
			return text
		}
	}
	return fmt.Sprintf("%q", text) // YAML has Go's escapes
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9_./*%+-][A-Za-z0-9_./*%+:-]*$`)
