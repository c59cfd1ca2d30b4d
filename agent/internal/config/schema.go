package config

// Schema is the JSON Schema (draft 7, which editors understand) of a config file.
// Keys that many kinds share are described once, under definitions.
func Schema() map[string]any {
	top := object(TopLevel())
	props := top["properties"].(map[string]any)
	definitions := map[string]any{}
	for _, s := range sides() {
		props[s.Name] = components(s, definitions)
	}
	top["$schema"] = "http://json-schema.org/draft-07/schema#"
	top["title"] = "siemd.yaml"
	top["description"] = "Configuration of siemd."
	top["definitions"] = definitions
	return top
}

func components(s side, definitions map[string]any) map[string]any {
	common := map[string]any{}
	for _, k := range s.Common {
		name := s.What + "_" + k.Name
		definitions[name] = property(k)
		common[k.Name] = map[string]any{"$ref": "#/definitions/" + name}
	}
	var kinds []any
	for _, x := range s.Sections {
		o := object(x.Keys)
		o["type"] = "object"
		props := o["properties"].(map[string]any)
		for name, p := range common {
			props[name] = p
		}
		props["type"] = map[string]any{"const": x.Kind}
		kinds = append(kinds, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": x.Kind}}, "required": []string{"type"}},
			"then": o,
		})
	}
	return map[string]any{
		"description":   s.Doc,
		"type":          []string{"object", "null"},
		"propertyNames": map[string]any{"pattern": componentName.String()},
		"additionalProperties": map[string]any{
			"type":       "object",
			"required":   []string{"type"},
			"properties": map[string]any{"type": map[string]any{"description": "Which kind of " + s.What + " it is.", "enum": kindsOf(s.Sections)}},
			"allOf":      kinds,
		},
	}
}

func object(keys []Key) map[string]any {
	props := map[string]any{}
	for _, k := range keys {
		props[k.Name] = property(k)
	}
	o := map[string]any{"type": []string{"object", "null"}, "properties": props, "additionalProperties": false}
	if r := required(keys); len(r) > 0 {
		o["type"], o["required"] = "object", r
	}
	return o
}

// required are the keys that must be given in any case.
func required(keys []Key) []string {
	replaced := map[string]bool{}
	for _, k := range keys {
		replaced[k.Replaces] = true
	}
	var names []string
	for _, k := range keys {
		if k.Required && !replaced[k.Name] {
			names = append(names, k.Name)
		}
	}
	return names
}

// A reference can stand wherever a scalar can.
const referencePattern = `\$\{(env|file|cred):[^{}]+\}`

func property(k Key) map[string]any {
	p := scalar(k.Kind, k.OneOf)
	switch k.Kind {
	case "keys":
		p = object(k.Keys)
		if k.Item != "" {
			p = map[string]any{"anyOf": []any{p, scalar(k.Item, nil)}}
		}
	case "list":
		item := scalar(k.Item, k.OneOf)
		if len(k.Keys) > 0 {
			item = object(k.Keys)
			if k.Item != "" {
				item = map[string]any{"anyOf": []any{item, scalar(k.Item, nil)}}
			}
		}
		p = map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": item}, item}} // one may stand for a list of one
	case "map":
		p = map[string]any{"type": []string{"object", "null"}, "additionalProperties": scalar(k.Item, nil)}
	}
	if k.Kind == "secret" || k.Item == "secret" {
		p["writeOnly"] = true // is never told again
	}
	if k.Doc != "" {
		p["description"] = k.Doc
	}
	if k.Default != "" {
		p["default"] = k.Default
	}
	if k.Example != "" {
		p["examples"] = []string{k.Example}
	}
	return p
}

// scalar is the schema of one value. A key without one, which YAML reads as
// null, keeps its default.
func scalar(kind string, oneOf []string) map[string]any {
	null, reference := map[string]any{"type": "null"}, map[string]any{"type": "string", "pattern": referencePattern}
	either := func(want ...any) map[string]any { return map[string]any{"anyOf": append(want, reference, null)} }
	text := func(pattern string) map[string]any { // 0 needs no unit
		return either(map[string]any{"type": "string", "pattern": pattern}, map[string]any{"const": 0})
	}
	if len(oneOf) > 0 {
		return either(map[string]any{"enum": oneOf})
	}
	switch kind {
	case "bool":
		return either(map[string]any{"type": "boolean"})
	case "number":
		return either(map[string]any{"type": "number"})
	case "duration":
		return text(`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+$|^0$`)
	case "size":
		return text(`^[0-9]+(\.[0-9]+)? *([KMGT]i?B|kB|B)$|^0$`)
	case "portion":
		return text(`^[0-9]+(\.[0-9]+)? *(%|[KMGT]i?B|kB|B)$`)
	case "string", "secret", "text":
		return map[string]any{"type": []string{"string", "number", "boolean", "null"}}
	}
	return map[string]any{}
}
