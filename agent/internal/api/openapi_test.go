package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// document is the OpenAPI document as a client sees it.
type document struct {
	paths, components map[string]any
	templates         map[string]*regexp.Regexp // by path
}

var pathVariable = regexp.MustCompile(`\\\{[a-z]+\\\}`)

func newDocument(t testing.TB, data []byte) document {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	d := document{doc["paths"].(map[string]any), doc["components"].(map[string]any)["schemas"].(map[string]any), map[string]*regexp.Regexp{}}
	for path := range d.paths {
		d.templates[path] = regexp.MustCompile("^" + pathVariable.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
	}
	return d
}

// operation finds what the document says about a request.
func (d document) operation(method, path string) map[string]any {
	best := ""
	for template, expr := range d.templates {
		if expr.MatchString(path) && (best == "" || strings.Contains(best, "{")) {
			best = template
		}
	}
	item, _ := d.paths[best].(map[string]any)
	op, _ := item[strings.ToLower(method)].(map[string]any)
	return op
}

// check holds an answer to the document: its status is there, and its body is
// what the schema says, no field more and none less.
func (d document) check(method, path string, a answer) error {
	path, _, _ = strings.Cut(path, "?")
	head := method == http.MethodHead
	if head {
		method = http.MethodGet
	}
	op := d.operation(method, path)
	if op == nil {
		switch a.status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusForbidden, http.StatusMisdirectedRequest:
			return nil
		}
		return fmt.Errorf("%s %s is not in the document", method, path)
	}
	resp, ok := op["responses"].(map[string]any)[strconv.Itoa(a.status)].(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s: status %d is not in the document", method, path, a.status)
	}
	if head {
		return nil
	}
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	content, _ := resp["content"].(map[string]any)
	media, ok := content[kind].(map[string]any)
	if !ok {
		media, ok = content["*/*"].(map[string]any)
	}
	if !ok {
		if kind == "text/plain" && content == nil {
			return nil
		}
		return fmt.Errorf("%s %s: status %d of type %s is not in the document", method, path, a.status, kind)
	}
	if !strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "ndjson") {
		return nil
	}
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		return err
	}
	return d.valid(media["schema"], v, kind)
}

// valid is JSON Schema as far as the document uses it.
func (d document) valid(schema, v any, at string) error {
	s, _ := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return d.valid(d.components[strings.TrimPrefix(ref, "#/components/schemas/")], v, at)
	}
	if choices, ok := s["anyOf"].([]any); ok {
		var err error
		for _, one := range choices {
			if err = d.valid(one, v, at); err == nil {
				return nil
			}
		}
		return err
	}
	if s["type"] == nil {
		return nil
	}
	kind := ""
	switch x := v.(type) {
	case nil:
		kind = "null"
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
		if x == float64(int64(x)) {
			kind = "integer"
		}
	case []any:
		kind = "array"
		for i, e := range x {
			if err := d.valid(s["items"], e, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		kind = "object"
		if err := d.validObject(s, x, at); err != nil {
			return err
		}
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	if !slices.Contains(types, any(kind)) && !(kind == "integer" && slices.Contains(types, any("number"))) {
		return fmt.Errorf("%s is %s, want %v", at, kind, types)
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Errorf("%s is %v, want one of %v", at, v, enum)
	}
	return nil
}

func (d document) validObject(s, x map[string]any, at string) error {
	properties, _ := s["properties"].(map[string]any)
	for name, e := range x {
		p, ok := properties[name]
		if !ok {
			if p = s["additionalProperties"]; p == false {
				return fmt.Errorf("%s/%s is not in the document", at, name)
			}
		}
		if err := d.valid(p, e, at+"/"+name); err != nil {
			return err
		}
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := x[name.(string)]; !ok {
			return fmt.Errorf("%s/%s is missing", at, name)
		}
	}
	return nil
}

// TestOpenAPIHasTheContract looks for the endpoints and fields that others rely on.
func TestOpenAPIHasTheContract(t *testing.T) {
	r := newRig(t, "outputs: {}\n")
	a := r.want(200, "GET", openAPIPath, "", "Authorization", "")
	if a.field("openapi") != "3.1.0" {
		t.Errorf("openapi = %v", a.field("openapi"))
	}
	d := newDocument(t, a.body)
	for _, endpoint := range strings.Fields(`GET/connections POST/connections GET/connections/x PUT/connections/x DELETE/connections/x POST/connections/x/test
		POST/export POST/process-pending POST/retry-failed GET/failed GET/refused GET/statistics GET/health GET/inputs GET/status POST/reload GET/tap`) {
		method, path, _ := strings.Cut(endpoint, "/")
		if d.operation(method, prefix+"/"+path) == nil {
			t.Errorf("the document lacks %s %s", method, path)
		}
	}
	for name, fields := range map[string]string{
		"ConnectionObject": `connection_id name siem_type endpoint port use_ssl verify_ssl auth_type auth_token username password index_name
			source_type facility severity_mapping enabled_event_types min_severity batch_size batch_interval_seconds
			max_retries retry_delay_seconds enabled options health_status last_health_check last_successful_export last_error
			total_events_sent total_events_failed created_at updated_at managed_by`,
		"Statistics":           "total_events sent_events failed_events pending_events success_rate active_connections filtered_events expired_events connections",
		"ConnectionStatistics": "total_events sent_events failed_events pending_events success_rate filtered_events expired_events health_status last_successful_export",
		"HealthReport":         "timestamp connections",
		"HealthObject":         "healthy status connection_id siem_type last_check",
		"ExportAnswer":         "message event_id results details",
		"ErrandAnswer":         "message results",
		"Entry":                "id time seq event_id event_type connection_id endpoint status answer attempts event",
		"RefusedLine":          "id time input file offset reason line",
		"PageOfEntry":          "items next",
		"Problem":              "type title status detail errors",
	} {
		s, _ := d.components[name].(map[string]any)
		properties, _ := s["properties"].(map[string]any)
		for _, f := range strings.Fields(fields) {
			if properties[f] == nil {
				t.Errorf("the document's %s lacks %s", name, f)
			}
		}
	}
}
