package api

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent/idempotency"
	"github.com/adrian207/siemd/agent/internal/delivery"
)

// The OpenAPI document is made from the table of routes and the types of their
// bodies, so it cannot say anything else than what is served.

// openAPIPath is where it is.
const openAPIPath = "/api/openapi.json"

// A schema is JSON Schema as far as it is used here.
type schema map[string]any

// OpenAPI is the document as it is served, for those who want it without an
// agent; it is to be encoded as JSON.
func OpenAPI() map[string]any { return openAPI() }

// openAPI makes the document.
func openAPI() schema {
	d := describer{components: schema{}, types: map[string]reflect.Type{}}
	paths := schema{}
	for _, r := range routes() {
		path := r.documented()
		item, ok := paths[path].(schema)
		if !ok {
			item = schema{}
			paths[path] = item
		}
		item[strings.ToLower(r.method)] = d.operation(&r)
	}
	return schema{
		"openapi": "3.1.0",
		"info": schema{
			"title": "siemd", "version": "1",
			"description": "Connections to SIEMs, what waits for them, and what became of it. Over the unix socket no token is needed.",
		},
		"paths": paths,
		"components": schema{"schemas": d.components, "securitySchemes": schema{
			"token":       schema{"type": "http", "scheme": "bearer"},
			"certificate": schema{"type": "mutualTLS", "description": "A client certificate that api.clients lists."},
		}},
	}
}

type describer struct {
	components schema
	types      map[string]reflect.Type // by the component's name
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

func (d *describer) operation(r *route) schema {
	op := schema{"summary": r.brief, "operationId": operationID(r), "x-scope": r.scope.String()}
	params := []schema{}
	for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
		params = append(params, schema{"name": m[1], "in": "path", "required": true, "schema": schema{"type": "string"}})
	}
	for _, p := range r.query {
		params = append(params, schema{"name": p.name, "in": "query", "description": p.brief, "schema": querySchema(p.kind)})
	}
	if r.keyed {
		params = append(params, schema{
			"name": keyHeader, "in": "header", "schema": schema{"type": "string", "maxLength": idempotency.MaxKey},
			"description": "A word of the client's own. The same request with the same key is done once, and answered with " + replayHeader + ": true from then on, for 24 hours.",
		})
	}
	if slices.Contains(r.status, http.StatusPreconditionFailed) {
		params = append(params, schema{
			"name": "If-Match", "in": "header", "schema": schema{"type": "string"},
			"description": "The ETag that the connection had when it was looked at: the change is refused if it has another one by now.",
		})
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	if r.scope != scopeNone {
		op["security"] = []schema{{"token": []string{}}, {"certificate": []string{}}}
	}
	if r.body != nil {
		body := d.object(reflect.TypeOf(r.body), false)
		if len(r.required) > 0 {
			body["required"] = r.required
		}
		op["requestBody"] = schema{"required": true, "content": schema{"application/json": schema{"schema": body}}}
	}
	answers := schema{}
	for _, status := range r.statuses() {
		a := schema{"description": http.StatusText(status)}
		switch {
		case status == r.success():
			if s := d.answer(r); s != nil {
				a["content"] = s
			}
			if _, ok := r.answer.(connectionObject); ok {
				a["headers"] = schema{"ETag": schema{"description": "Changes with every change of the connection.", "schema": schema{"type": "string"}}}
			}
		case r.path == "/readyz" && status == http.StatusServiceUnavailable: // says why as text
		default:
			a["content"] = schema{"application/problem+json": schema{"schema": d.of(reflect.TypeFor[problem]())}}
		}
		answers[strconv.Itoa(status)] = a
	}
	op["responses"] = answers
	return op
}

func (d *describer) answer(r *route) schema {
	switch {
	case r.stream != "" && r.answer == nil:
		return schema{r.stream: schema{}}
	case r.stream != "":
		return schema{r.stream: schema{"schema": schema{"type": "string"}, "x-item": d.of(reflect.TypeOf(r.answer))}}
	case r.answer != nil:
		return schema{"application/json": schema{"schema": d.of(reflect.TypeOf(r.answer))}}
	}
	return nil
}

// success is the status of an answer without a problem.
func (r *route) success() int {
	if r.created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// statuses are all that a route may answer with, but for 500: that is a bug.
func (r *route) statuses() []int {
	list := append([]int{r.success(), http.StatusForbidden, http.StatusMisdirectedRequest}, r.status...)
	if !r.plain {
		list = append(list, http.StatusBadRequest)
	}
	if r.scope != scopeNone {
		list = append(list, http.StatusUnauthorized, http.StatusTooManyRequests)
	}
	if r.scope == scopeWrite {
		list = append(list, http.StatusServiceUnavailable, http.StatusUnsupportedMediaType)
	}
	if r.keyed {
		list = append(list, http.StatusUnprocessableEntity)
	}
	if r.body != nil {
		list = append(list, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// operationID is made of method and path: getConnectionsId.
func operationID(r *route) string {
	id := strings.ToLower(r.method)
	for _, part := range strings.FieldsFunc(strings.TrimPrefix(r.path, prefix), func(c rune) bool { return strings.ContainsRune("/-{}.$", c) }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func querySchema(kind string) schema {
	if kind == "duration" {
		return schema{"type": "string", "examples": []string{"5s", "1m"}}
	}
	return schema{"type": kind}
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	statusType = reflect.TypeFor[delivery.Status]()
	textType   = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the schema of a type.
func (d *describer) of(t reflect.Type) schema {
	switch {
	case t == timeType:
		return schema{"type": "string", "format": "date-time"}
	case t == rawType:
		return schema{}
	case t == statusType:
		return schema{"type": "string", "enum": []any{delivery.Unknown, delivery.Healthy, delivery.Degraded, delivery.Unwell}}
	case t.Kind() == reflect.Pointer:
		return nullable(d.of(t.Elem()))
	case t.Implements(textType):
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.component(t)
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Slice:
		return schema{"type": "array", "items": d.of(t.Elem())}
	case reflect.Array:
		return schema{"type": "array", "items": d.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": "integer"}
}

// nullable lets null stand beside what s takes.
func nullable(s schema) schema {
	if kind, ok := s["type"].(string); ok {
		s["type"] = []string{kind, "null"}
		return s
	}
	return schema{"anyOf": []schema{s, {"type": "null"}}}
}

// component puts a struct among the components and refers to it.
func (d *describer) component(t reflect.Type) schema {
	name := componentName(t)
	if other, ok := d.types[name]; ok && other != t {
		panic("api: two types are called " + name + " in the OpenAPI document")
	}
	if d.types[name] == nil {
		d.types[name] = t // before its fields: it may hold itself
		d.components[name] = d.object(t, true)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

var notInNames = regexp.MustCompile(`[^A-Za-z]+`)

func componentName(t reflect.Type) string {
	name := t.Name()
	if base, arg, ok := strings.Cut(name, "["); ok { // page[some/package.Entry]
		name = base + "Of" + arg[strings.LastIndexByte(arg, '.')+1:]
	}
	name = notInNames.ReplaceAllString(name, "")
	if strings.HasSuffix(t.PkgPath(), "/agent") { // agent.Problem is not this package's
		return "Agent" + name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// object describes a struct; required: what is always there is said to be.
func (d *describer) object(t reflect.Type, required bool) schema {
	properties, always := schema{}, []string{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				add(f.Type)
				continue
			}
			if name == "-" || !f.IsExported() {
				continue
			}
			if name == "" {
				name = f.Name
			}
			s := d.of(f.Type)
			if !required {
				s = d.of(reflect.PointerTo(f.Type))
				if f.Type.Kind() == reflect.Pointer {
					s = d.of(f.Type)
				}
			}
			if doc := f.Tag.Get("doc"); doc != "" {
				s["description"] = doc
			}
			properties[name] = s
			if !strings.HasPrefix(opts, "omit") {
				always = append(always, name)
			}
		}
	}
	add(t)
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required && len(always) > 0 {
		s["required"] = always
	}
	return s
}
