package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/intake"
)

// A Key describes one key of the config: the one description that help, the
// schema, the reference page and the example are made from.
type Key struct {
	Name     string
	Kind     string // string, text, bool, number, duration, size, portion, severity, secret, list, map, keys, words, any
	Item     string // of a list of scalars or a map: the kind of its values; with Keys: of a value in place of an item's map
	Doc      string
	Default  string // as YAML; empty: none
	OneOf    []string
	Example  string
	Required bool
	Replaces string // a required key that need not be given if this one is
	Keys     []Key  // of a nested map of keys, or of the items of a list
}

// Section is a component's keys.
type Section struct {
	Kind string // "tail", "splunk", ...
	Keys []Key
}

// TopLevel describes the keys but inputs and outputs.
func TopLevel() []Key {
	d := Default()
	d.Identity.Host = ""
	d.API.Listen = []string{DefaultListen}
	return describe(reflect.ValueOf(d))
}

// CommonInput and CommonOutput describe the keys that every component has.
func CommonInput() []Key { return describe(reflect.ValueOf(intake.Common{})) }

// CommonOutput: see CommonInput.
func CommonOutput() []Key { return describe(reflect.ValueOf(delivery.DefaultConfig())) }

// Inputs describes each registered kind of input.
func Inputs() []Section { return sections(agent.InputKinds(), agent.InputKind) }

// Outputs describes each registered kind of output.
func Outputs() []Section { return sections(agent.OutputKinds(), agent.OutputKind) }

func sections(kinds []string, find func(string) (*agent.Spec, bool)) []Section {
	var list []Section
	for _, kind := range kinds {
		spec, _ := find(kind)
		list = append(list, Section{Kind: kind, Keys: describe(reflect.ValueOf(spec.Config()).Elem())})
	}
	return list
}

var (
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	nodeType = reflect.TypeFor[yaml.Node]()
)

// describe lists the keys of the struct v, whose values are the defaults.
func describe(v reflect.Value) []Key {
	var keys []Key
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case opts == "inline":
			keys = append(keys, describe(v.Field(i))...)
		case name != "" && name != "-":
			k := Key{
				Name: name, Doc: sentence(sf.Tag.Get("doc")), Example: sf.Tag.Get("example"),
				Required: sf.Tag.Get("required") == "true", Replaces: sf.Tag.Get("replaces"),
			}
			if words := sf.Tag.Get("oneof"); words != "" {
				k.OneOf = strings.Split(words, "|")
			}
			k.fill(v.Field(i))
			keys = append(keys, k)
		}
	}
	return keys
}

// kindOfValue is the kind of a value that is written as one scalar.
func kindOfValue(v reflect.Value) string {
	switch v.Interface().(type) {
	case agent.Secret:
		return "secret"
	case agent.Duration:
		return "duration"
	case agent.Bytes:
		return "size"
	case agent.Portion:
		return "portion"
	case agent.Severity:
		return "severity"
	}
	switch {
	case v.Type() == nodeType, v.Type().Implements(textType):
		return ""
	case v.Kind() == reflect.String:
		return "string"
	case v.Kind() == reflect.Bool:
		return "bool"
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64, v.Kind() == reflect.Float64:
		return "number"
	}
	return ""
}

// fill sets kind, default and nested keys from a field.
func (k *Key) fill(v reflect.Value) {
	k.Kind = kindOfValue(v)
	if k.Kind == "severity" {
		k.OneOf = []string{"informational", "low", "medium", "high", "critical"}
	}
	switch {
	case k.Kind == "secret":
	case k.Kind == "string":
		k.Default = yamlString(v.String())
		if len(k.OneOf) > 0 {
			k.Kind = "words"
		}
	case k.Kind == "bool", k.Kind == "number":
		k.Default = fmt.Sprint(v.Interface())
	case k.Kind != "":
		k.Default = text(v)
		if k.Default == "" && k.Example == "" && k.Kind != "severity" {
			k.Default = "0"
		}
	case v.Type() == nodeType:
		k.Kind = "any"
	case v.Type().Implements(textType):
		k.Kind, k.Default = "text", text(v)
	case v.Kind() == reflect.Struct:
		k.Kind, k.Keys = "keys", describe(v)
		if i, ok := agent.Alone(v.Type()); ok {
			k.Item = kindOfValue(v.Field(i))
		}
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		k.Kind, k.Keys = "keys", describe(reflect.New(v.Type().Elem()).Elem())
	case v.Kind() == reflect.Slice:
		k.Kind = "list"
		if e := v.Type().Elem(); e.Kind() == reflect.Struct && !reflect.PointerTo(e).Implements(textType) && e != nodeType {
			k.Keys = describe(reflect.New(e).Elem())
			if i, ok := agent.Alone(e); ok {
				k.Item = kindOfValue(reflect.New(e).Elem().Field(i))
			}
		} else {
			k.Item = kindOfValue(reflect.New(e).Elem())
		}
		if v.Len() > 0 && len(k.Keys) == 0 {
			k.Default = flow(v)
		}
	case v.Kind() == reflect.Map:
		k.Kind, k.Item = "map", kindOfValue(reflect.New(v.Type().Elem()).Elem())
	}
	if k.Default == `""` {
		k.Default = ""
	}
	if k.Kind == "string" && k.Example != "" && !isScalar(k.Example) {
		k.Example = "'" + strings.ReplaceAll(k.Example, "'", "''") + "'"
	}
}

// isScalar reports whether YAML reads text as one value.
func isScalar(text string) bool {
	var n yaml.Node
	return yaml.Unmarshal([]byte(text), &n) == nil && len(n.Content) == 1 && n.Content[0].Kind == yaml.ScalarNode
}

func text(v reflect.Value) string {
	if !v.Type().Implements(textType) || v.IsZero() && v.Type() != reflect.TypeFor[delivery.Concurrency]() {
		return ""
	}
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return ""
	}
	return string(b)
}

// yamlString is s as a YAML scalar.
func yamlString(s string) string {
	b, err := yaml.Marshal(s)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// flow is a list of scalars on one line.
func flow(v reflect.Value) string {
	words := make([]string, v.Len())
	for i := range words {
		if t := text(v.Index(i)); t != "" {
			words[i] = t
			continue
		}
		words[i] = yamlString(fmt.Sprint(v.Index(i).Interface()))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// sentence gives docs one form: a capital first, unless the first word is a
// value or a name, and a full stop last.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, _, _ := strings.Cut(s, " ")
	if !strings.ContainsAny(first, ":<") && first != "siemd's" {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
