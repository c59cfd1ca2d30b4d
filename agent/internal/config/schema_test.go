package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent/internal/config"
)

// validator knows as much of JSON Schema as the schema uses, and fails on anything else.
type validator struct {
	root map[string]any
}

func newValidator(t *testing.T) *validator {
	t.Helper()
	data, err := json.Marshal(config.Schema())
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{}
	if err := json.Unmarshal(data, &v.root); err != nil {
		t.Fatal(err)
	}
	return v
}

// yaml validates a YAML document, as editors do.
func (v *validator) yaml(text string) []string {
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return []string{err.Error()}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return []string{err.Error()}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return []string{err.Error()}
	}
	return v.check("", v.root, doc)
}

func typeOf(x any) string {
	switch x.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

func (v *validator) check(at string, schema map[string]any, x any) (errs []string) {
	fail := func(format string, args ...any) { errs = append(errs, at+": "+fmt.Sprintf(format, args...)) }
	obj, isObject := x.(map[string]any)
	for _, key := range sorted(schema) {
		rule := schema[key]
		switch key {
		case "description", "default", "examples", "title", "writeOnly", "$schema", "definitions", "then":
		case "type":
			allowed, ok := rule.([]any)
			if !ok {
				allowed = []any{rule}
			}
			if !slices.Contains(allowed, any(typeOf(x))) {
				fail("is %s, want %v", typeOf(x), rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), x) {
				fail("%v is none of %v", x, rule)
			}
		case "const":
			if x != rule {
				fail("%v is not %v", x, rule)
			}
		case "pattern":
			if s, ok := x.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(s) {
				fail("%q does not match %s", s, rule)
			}
		case "properties":
			for name, s := range rule.(map[string]any) {
				if inner, ok := obj[name]; ok {
					errs = append(errs, v.check(at+"/"+name, s.(map[string]any), inner)...)
				}
			}
		case "additionalProperties":
			known, _ := schema["properties"].(map[string]any)
			for name, inner := range obj {
				if known[name] != nil {
					continue
				}
				if s, ok := rule.(map[string]any); ok {
					errs = append(errs, v.check(at+"/"+name, s, inner)...)
				} else if rule == false {
					fail("unknown key %q", name)
				}
			}
		case "propertyNames":
			for name := range obj {
				errs = append(errs, v.check(at+"/"+name, rule.(map[string]any), name)...)
			}
		case "required":
			for _, name := range rule.([]any) {
				if _, ok := obj[name.(string)]; isObject && !ok {
					fail("%s is missing", name)
				}
			}
		case "items":
			if list, ok := x.([]any); ok {
				for i, inner := range list {
					errs = append(errs, v.check(fmt.Sprintf("%s/%d", at, i), rule.(map[string]any), inner)...)
				}
			}
		case "anyOf":
			var all []string
			for _, s := range rule.([]any) {
				inner := v.check(at, s.(map[string]any), x)
				if len(inner) == 0 {
					all = nil
					break
				}
				all = append(all, inner...)
			}
			errs = append(errs, all...)
		case "allOf":
			for _, s := range rule.([]any) {
				errs = append(errs, v.check(at, s.(map[string]any), x)...)
			}
		case "if":
			if len(v.check(at, rule.(map[string]any), x)) == 0 {
				errs = append(errs, v.check(at, schema["then"].(map[string]any), x)...)
			}
		case "$ref":
			name := strings.TrimPrefix(rule.(string), "#/definitions/")
			errs = append(errs, v.check(at, v.root["definitions"].(map[string]any)[name].(map[string]any), x)...)
		default:
			fail("the schema says %s, which this test does not know", key)
		}
	}
	return errs
}

func sorted(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestSchemaAgreesWithTheLoader(t *testing.T) {
	v := newValidator(t)
	out := func(keys string) string {
		return "outputs: {o: {type: splunk, endpoint: 'https://h.example.com', token: t, " + keys + "}}"
	}
	for _, text := range []string{
		"{}", "inputs:\noutputs:\n", config.Example(),
		"data_dir: ${env:SIEMD_TEST_X:-/x}", "shutdown_timeout: 1m30s", "wal: {max_size: 100MiB, min_free: 2GiB}", "wal: {min_free: 5%}", "wal:",
		"inputs: {a: {type: stdin, max_line: 64KiB, severity: high, fields: {a: 1, b: [x]}}}",
		"inputs: {a: {type: tail, paths: /one/path}}", "inputs: {a: {type: tail, paths: [/one, '${env:SIEMD_TEST_X:-/two}']}}",
		"api: {tokens: [{name: a, token: b}], listen: unix:/x}",
		out("concurrency: auto"), out("concurrency: 4"), out("rate_limit: 100"), out("rate_limit: {events: 100, bytes: 1MiB}"), out("ack: true"), out("ack: '${env:SIEMD_TEST_X:-true}'"), out("timeout: 500ms"), out("max_age: 7d"),
		out("filter: {event_types: alert, min_severity: low}"), out("filter: {event_types: [alert], min_severity: }"), out("fields: {a: b, c: 1}"),
		"outputs: {e: {type: elastic, cloud_id: 'prod:dXMtZWFzdC0xLmF3cy5mb3VuZC5pbyRjZWM2ZjI2MWE3NGJmMjRjZTMzYmI4ODExYjg0Mjk0ZiRjNmMyY2E2ZDA0MjI0OWFmMGNjN2Q3YTllOTYyNTc0Mw==', api_key: a}}",
		out("batch: {max_bytes: 1.5MB}"), "outputs: {o: {type: splunk, endpoint: 'https://h.example.com', token: 12345}}", out("enabled: false"),
	} {
		if errs := v.yaml(text); len(errs) > 0 {
			t.Errorf("the schema refuses %.100s: %v", text, errs)
		}
		if cfg, problems := load(t, text); cfg == nil {
			t.Errorf("the loader refuses %.100s: %v", text, problems)
		}
	}
	for _, text := range []string{
		"dat_dir: /x", "inputs: [a]", "inputs: {a: {}}", "inputs: {a: {type: nonsense}}", "inputs: {'a b': {type: stdin}}", "inputs: {a: {type: tail}}",
		"inputs: {a: {type: stdin, severity: loud}}", "inputs: {a: {type: stdin, max_line: 5 bananas}}", "inputs: {a: {type: stdin, paths: [/x]}}",
		"shutdown_timeout: soon", "shutdown_timeout: 5", "wal: {max_size: 4}", "wal: {min_free: many}", "wal: {sync: sometimes}", "wal: [1]", "log: {level: loud}",
		"api: {tokens: [{name: a}]}", "api: {listen: {a: b}}",
		out("ack: yes please"), out("timeout: -1s"), out("filter: {event_type: alert}"), out("fields: [a]"), out("batch: 5"), out("rate_limit: fast"), out("tls: {verify: 1}"), out("enabled: 'no'"),
	} {
		if errs := v.yaml(text); len(errs) == 0 {
			t.Errorf("the schema takes %s", text)
		}
		if cfg, _ := load(t, text); cfg != nil {
			t.Errorf("the loader takes %s", text)
		}
	}
}

func TestSchemaTakesTheShippedConfigs(t *testing.T) {
	v := newValidator(t)
	files, err := filepath.Glob("../../../configs/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if errs := v.yaml(string(data)); len(errs) > 0 {
			t.Errorf("%s: %v", path, errs)
		}
	}
}
