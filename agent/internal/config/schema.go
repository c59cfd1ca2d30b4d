package config

import "strings"

// Schema is the JSON Schema (draft 7, which editors understand) of a config file.
func Schema() map[string]any {
	top := object(TopLevel())
	props := top["properties"].(map[string]any)
	props["inputs"] = components("Where events come from, by name.", Inputs(), CommonInput())
	props["outputs"] = components("Where events go, by name.", Outputs(), CommonOutput())
	top["$schema"] = "http://json-schema.org/draft-07/schema#"
	top["title"] = "siemd.yaml"
	return top
}

func components(doc string, sections []Section, common []Key) map[string]any {
	var kinds []any
	var names []string
	for _, s := range sections {
		o := object(append(append([]Key{}, common...), s.Keys...))
		o["properties"].(map[string]any)["type"] = map[string]any{"const": s.Kind}
		o["required"] = append([]string{"type"}, required(s.Keys)...)
		kinds = append(kinds, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": s.Kind}}},
			"then": o,
		})
		names = append(names, s.Kind)
	}
	return map[string]any{
		"description":          doc,
		"type":                 []string{"object", "null"},
		"propertyNames":        map[string]any{"pattern": componentName.String()},
		"additionalProperties": map[string]any{"type": "object", "required": []string{"type"}, "properties": map[string]any{"type": map[string]any{"enum": names}}, "allOf": kinds},
	}
}

func object(keys []Key) map[string]any {
	props := map[string]any{}
	for _, k := range keys {
		props[k.Name] = property(k)
	}
	o := map[string]any{"type": []string{"object", "null"}, "properties": props, "additionalProperties": false}
	if r := required(keys); len(r) > 0 {
		o["required"] = r
	}
	return o
}

func required(keys []Key) []string {
	var names []string
	for _, k := range keys {
		if k.Required {
			names = append(names, k.Name)
		}
	}
	return names
}

// A reference can stand wherever a scalar can.
const referencePattern = `\$\{(env|file|cred):[^{}]+\}`

func property(k Key) map[string]any {
	p := map[string]any{}
	if k.Doc != "" {
		p["description"] = k.Doc
	}
	if k.Default != "" {
		p["default"] = k.Default
	}
	if k.Example != "" {
		p["examples"] = []string{k.Example}
	}
	scalar := func(pattern string) {
		p["anyOf"] = []any{map[string]any{"type": []string{"string", "number"}, "pattern": pattern}, map[string]any{"type": "string", "pattern": referencePattern}}
	}
	switch k.Kind {
	case "bool":
		p["anyOf"] = []any{map[string]any{"type": "boolean"}, map[string]any{"type": "string", "pattern": referencePattern}}
	case "number":
		p["anyOf"] = []any{map[string]any{"type": "number"}, map[string]any{"type": "string", "pattern": referencePattern}}
	case "duration":
		scalar(`^([0-9.]+(ns|us|µs|ms|s|m|h|d))+$|^0$`)
	case "size":
		scalar(`^[0-9.]+ *([KMGT]i?B|kB|B)$|^0$`)
	case "portion":
		scalar(`^[0-9.]+ *(%|[KMGT]i?B|B)$`)
	case "words", "severity":
		p["anyOf"] = []any{map[string]any{"enum": k.OneOf}, map[string]any{"type": "string", "pattern": referencePattern}}
	case "keys":
		o := object(k.Keys)
		for name, v := range o {
			p[name] = v
		}
	case "list":
		if len(k.Keys) > 0 {
			p["type"], p["items"] = "array", object(k.Keys)
		} else {
			p["type"] = []string{"array", "string", "null"}
		}
	case "map":
		p["type"] = []string{"object", "null"}
	case "string", "secret", "text":
		p["type"] = []string{"string", "number", "boolean"}
	}
	return p
}

// Help is the reference of one kind of component for a terminal, or false if
// there is no such kind.
func Help(kind string) (string, bool) {
	var b strings.Builder
	found := false
	for _, side := range []struct {
		what     string
		sections []Section
		common   []Key
	}{{"input", Inputs(), CommonInput()}, {"output", Outputs(), CommonOutput()}} {
		for _, s := range side.sections {
			if s.Kind != kind {
				continue
			}
			found = true
			b.WriteString(side.what + " of type " + kind + "\n\n")
			helpKeys(&b, s.Keys, "  ")
			b.WriteString("\nkeys of every " + side.what + "\n\n")
			helpKeys(&b, side.common, "  ")
			b.WriteByte('\n')
		}
	}
	return b.String(), found
}

func helpKeys(b *strings.Builder, keys []Key, indent string) {
	for _, k := range keys {
		b.WriteString(indent + k.Name)
		switch {
		case k.Default != "":
			b.WriteString(": " + k.Default)
		case k.Required:
			b.WriteString("  (required)")
		}
		b.WriteByte('\n')
		if k.Doc != "" {
			b.WriteString(indent + "    " + k.Doc + "\n")
		}
		if len(k.OneOf) > 0 {
			b.WriteString(indent + "    one of: " + strings.Join(k.OneOf, ", ") + "\n")
		}
		if k.Example != "" {
			b.WriteString(indent + "    example: " + k.Example + "\n")
		}
		helpKeys(b, k.Keys, indent+"  ")
	}
}
