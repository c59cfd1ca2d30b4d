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
	Kind     string // string, text, bool, number, duration, size, portion, severity, secret, list, map, keys, words
	Doc      string
	Default  string // as YAML; empty: none
	OneOf    []string
	Example  string
	Required bool
	Keys     []Key // of a nested map of keys, or of the items of a list
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
				Required: sf.Tag.Get("required") == "true",
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

// fill sets kind, default and nested keys from a field.
func (k *Key) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case agent.Secret:
		k.Kind = "secret"
		return
	case agent.Duration:
		k.Kind = "duration"
	case agent.Bytes:
		k.Kind = "size"
	case agent.Portion:
		k.Kind = "portion"
	case agent.Severity:
		k.Kind = "severity"
		k.OneOf = []string{"informational", "low", "medium", "high", "critical"}
	}
	switch {
	case k.Kind != "":
		k.Default = text(v)
	case v.Type() == nodeType:
		k.Kind = "any"
	case v.Type().Implements(textType):
		k.Kind, k.Default = "text", text(v)
	case v.Kind() == reflect.String:
		k.Kind, k.Default = "string", yamlString(v.String())
		if len(k.OneOf) > 0 {
			k.Kind = "words"
		}
	case v.Kind() == reflect.Bool:
		k.Kind, k.Default = "bool", fmt.Sprint(v.Bool())
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64, v.Kind() == reflect.Float64:
		k.Kind, k.Default = "number", fmt.Sprint(v.Interface())
	case v.Kind() == reflect.Struct:
		k.Kind, k.Keys = "keys", describe(v)
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		k.Kind, k.Keys = "keys", describe(reflect.New(v.Type().Elem()).Elem())
	case v.Kind() == reflect.Slice:
		k.Kind = "list"
		if e := v.Type().Elem(); e.Kind() == reflect.Struct && !reflect.PointerTo(e).Implements(textType) && e != nodeType {
			k.Keys = describe(reflect.New(e).Elem())
		}
		if v.Len() > 0 && len(k.Keys) == 0 {
			k.Default = fmt.Sprintf("%v", v.Interface())
		}
	case v.Kind() == reflect.Map:
		k.Kind = "map"
	}
	if k.Default == `""` {
		k.Default = ""
	}
}

func text(v reflect.Value) string {
	if v.IsZero() && v.Type() != reflect.TypeFor[delivery.Concurrency]() {
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

// sentence gives docs one form: a capital first and a full stop last.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
