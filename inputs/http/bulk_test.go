package http

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBulk(t *testing.T) {
	f := func(path, body, items string, lines ...string) {
		t.Helper()
		r := start(t, func(c *Config) { c.MaxEvent = 100 })
		status, got := r.post(path, body, "Content-Type: application/x-ndjson")
		_, rest, _ := strings.Cut(got, `,"errors":`)
		if status != 200 || rest != items {
			t.Errorf("%.60q:\n got %d %s\nwant %s", body, status, rest, items)
		}
		if got := r.lines(); got != strings.Join(lines, "\n") {
			t.Errorf("%.60q:\nlog has %s\nwant %s", body, got, strings.Join(lines, "\n"))
		}
	}
	const made = `"_version":1,"result":"created","status":201}}`
	f("/_bulk", "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n", `false,"items":[{"index":{"_index":"a","_id":"1",`+made+`]}`, `{"x":1,"event_id":"1"}`)
	f("/idx/_bulk", "{\"create\":{\"_id\":7}}\r\n{ }\r\n\n", `false,"items":[{"create":{"_index":"idx","_id":"7",`+made+`]}`, `{"event_id":"7"}`)
	f("/_bulk", "{\"create\":{\"_id\":\"1\"}}\n{\"event_id\":\"own\"}\n", `false,"items":[{"create":{"_index":"","_id":"1",`+made+`]}`, `{"event_id":"own"}`)
	f("/_bulk", "{\"create\":{}}\n{\"event_id\":\"own\"}\n", `false,"items":[{"create":{"_index":"","_id":"own",`+made+`]}`, `{"event_id":"own"}`)
	f("/_bulk", "{\"create\":{\"_id\":\"1\"}}\n{\"event_id\":\"\",\"@timestamp\":\"2025-10-29T12:00:00Z\"}\n", `false,"items":[{"create":{"_index":"","_id":"1",`+made+`]}`, `{"event_id":"","@timestamp":"2025-10-29T12:00:00Z","event_id":"1","timestamp":"2025-10-29T12:00:00Z"}`)
	f("/a/_bulk", "{\"create\":{\"_id\":\"1\"}}\nrubbish\n{\"create\":{\"_id\":\"2\"}}\n{\"x\":1}\n{\"create\":{\"_id\":\"3\"}}\n[1]\n",
		`true,"items":[{"create":{"_index":"a","_id":"1","status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse: not_json: not one JSON object"}}},{"create":{"_index":"a","_id":"2",`+made+`,{"create":{"_index":"a","_id":"3","status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse: not_object: not one JSON object"}}}]}`, `{"x":1,"event_id":"2"}`)
	f("/a/_bulk", "\n{\"index\":{\"_id\":\"1\"}}\n\r\n \n{\"x\":1}\n\n\n{\"index\":{\"_id\":\"2\"}}\n{\"x\":2}\n\n", `false,"items":[{"index":{"_index":"a","_id":"1",`+made+`,{"index":{"_index":"a","_id":"2",`+made+`]}`, `{"x":1,"event_id":"1"}`, `{"x":2,"event_id":"2"}`)
	const empty = `"status":400,"error":{"type":"document_parsing_exception","reason":"the document is empty"}}}`
	f("/a/_bulk", "{\"index\":{\"_id\":\"1\"}}\n\n\n{\"index\":{\"_id\":\"2\"}}\n{\"x\":2}\n{\"create\":{\"_id\":\"3\"}}\n\n \n", `true,"items":[{"index":{"_index":"a","_id":"1",`+empty+`,{"index":{"_index":"a","_id":"2",`+made+`,{"create":{"_index":"a","_id":"3",`+empty+`]}`, `{"x":2,"event_id":"2"}`)
	f("/a/_bulk", "{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{\"_id\":\"2\"}}\n{\"doc\":{}}\n{\"index\":{\"_id\":\"3\"}}\n{\"x\":1}\n",
		`true,"items":[{"delete":{"_index":"a","_id":"1","status":400,"error":{"type":"illegal_argument_exception","reason":"only index and create are taken here"}}},{"update":{"_index":"a","_id":"2","status":400,"error":{"type":"illegal_argument_exception","reason":"only index and create are taken here"}}},{"index":{"_index":"a","_id":"3",`+made+`]}`, `{"x":1,"event_id":"3"}`)
	f("/a/_bulk", "{\"index\":{\"_id\":\"3\"}}\n{\"x\":\""+strings.Repeat("x", 100)+"\"}\n",
		`true,"items":[{"index":{"_index":"a","_id":"3","status":413,"error":{"type":"content_too_long_exception","reason":"the document is larger than max_event"}}}]}`)
}

func TestBulkMakesIDs(t *testing.T) {
	r := start(t, nil)
	_, got := r.post("/a/_bulk", "{\"index\":{}}\n{\"x\":1}\n")
	var answer struct {
		Items []struct {
			Index struct {
				ID string `json:"_id"`
			}
		}
	}
	var event struct {
		ID string `json:"event_id"`
	}
	if err := json.Unmarshal([]byte(got), &answer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(r.sink.Lines()[0], &event); err != nil || event.ID == "" || event.ID != answer.Items[0].Index.ID {
		t.Errorf("answer %s, event %s, %v", got, r.lines(), err)
	}
}

func TestBulkRequestsThatAreRefused(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBody = 10_000; c.MaxEvents = 20 })
	f := func(body string, status int, want string, headers ...string) {
		t.Helper()
		got, text := r.post("/_bulk", body, headers...)
		var e struct {
			Error struct {
				Type  string
				Cause []struct{ Reason string } `json:"root_cause"`
			}
			Status int
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Status != status || len(e.Error.Cause) != 1 {
			t.Errorf("%.50q: %s %v", body, text, err)
		}
		if got != status || !strings.Contains(text, want) {
			t.Errorf("%.50q: %d %s, want %d %s", body, got, text, status, want)
		}
	}
	const doc = "\n{\"x\":1}\n"
	f("", 400, "body is required")
	f(" \n", 400, "body is required")
	f(`{"index":{}}`+"\n{}", 400, "terminated by a newline")
	f(`{"index":{}}`+"\n", 400, "source of the action on line [1] is missing")
	f(`{"index":{}}`+doc+`{"upsert":{}}`+doc, 400, "Malformed action/metadata line [3]")
	f(`{"index":{}}`+"\n\n"+doc+`{"upsert":{}}`+doc, 400, "Malformed action/metadata line [5]")
	f(`{}`+doc, 400, "Malformed action/metadata line [1], expected FIELD_NAME")
	f(`{"index":1}`+doc, 400, "START_OBJECT")
	f(`{"index":{},"create":{}}`+doc, 400, "END_OBJECT")
	f(`index`+doc, 400, "Malformed")
	f(`{"index":{"_id":""}}`+doc, 400, "must not be empty")
	f(`{"index":{"_id":"`+strings.Repeat("x", 513)+`"}}`+doc, 400, "too long")
	f(strings.Repeat("x", 10_001), 413, "content_too_long_exception")
	f(strings.Repeat(`{"index":{}}`+doc, 21), 400, "more than 20 actions")
	f("x\n", 415, "parse_exception", "Content-Encoding: br")
	f("x\n", 400, "parse_exception", "Content-Encoding: gzip")
	f("x\n", 401, "security_exception", "Authorization: ")
	f("x\n", 401, "security_exception", "Authorization: Basic VDBLOng=")
	if n := len(r.sink.Lines()); n != 0 {
		t.Errorf("%d events taken", n)
	}
	if status, text, _ := r.do("DELETE", "/_bulk", ""); status != 405 {
		t.Errorf("DELETE: %d %s", status, text)
	}
}

func TestElasticHello(t *testing.T) {
	r := start(t, nil)
	f := func(method, path string, status int, want string, headers ...string) {
		t.Helper()
		got, text, h := r.do(method, path, "", headers...)
		if got != status || !strings.Contains(text, want) || h.Get("X-Elastic-Product") != "Elasticsearch" {
			t.Errorf("%s %s: %d %s %v, want %d %s", method, path, got, text, h, status, want)
		}
	}
	f("GET", "/", 200, `"number":"8.17.0"`)
	f("HEAD", "/", 200, "")
	f("GET", "/_license", 200, `"status":"active"`)
	f("GET", "/_xpack", 200, `"ilm"`)
	f("GET", "/_cluster/health", 200, `"green"`)
	f("GET", "/_index_template/filebeat", 404, `"status":404`)
	f("HEAD", "/_template/x", 404, "")
	f("PUT", "/_index_template/filebeat", 200, `{"acknowledged":true}`)
	f("PUT", "/_ilm/policy/x", 200, `{"acknowledged":true}`)
	f("DELETE", "/_ilm/policy/x", 405, "")
	f("POST", "/", 405, "")
	f("GET", "/", 401, "security_exception", "Authorization: ")
	for _, header := range []string{"Accept", "Content-Type"} {
		_, _, h := r.do("POST", "/_bulk", "{\"index\":{}}\n{}\n", header+": application/vnd.elasticsearch+x-ndjson; compatible-with=8")
		if got := h.Get("Content-Type"); got != "application/vnd.elasticsearch+json;compatible-with=8" {
			t.Errorf("%s is not echoed: %s", header, got)
		}
	}
}
