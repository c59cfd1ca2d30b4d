package plugintest

import (
	"net/http"
	"strings"
	"testing"
)

const ndjson = "Content-Type: application/x-ndjson"

func TestBulkItems(t *testing.T) {
	f := func(path, body, want string, taken int) {
		t.Helper()
		r := start(t, "elastic", Options{})
		_, text, err := post(t, r.URL()+path, body, ndjson)
		if err != nil || text != want {
			t.Errorf("%s\n got %s %v\nwant %s", body, text, err, want)
		}
		if r.Events() != taken {
			t.Errorf("%s: %d taken, want %d", body, r.Events(), taken)
		}
	}
	item := func(op, index, id, rest string) string {
		return `{"took":3,"errors":` + map[bool]string{true: "true", false: "false"}[strings.Contains(rest, "error")] +
			`,"items":[{"` + op + `":{"_index":"` + index + `","_id":"` + id + `",` + rest + `}}]}`
	}
	created := `"_version":1,"result":"created","status":201`
	f("/_bulk", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n", item("create", "a", "1", created), 1)
	f("/a/_bulk", "{\"index\":{}}\r\n{\"x\":1}\r\n\n", item("index", "a", "mock-1", created), 1)
	f("/_bulk", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n",
		`{"took":3,"errors":true,"items":[{"create":{"_index":"a","_id":"1",`+created+`}},{"create":{"_index":"a","_id":"1","status":409,"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict, document already exists (current version [1])"}}}]}`, 1)
	f("/_bulk", "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n",
		`{"took":3,"errors":false,"items":[{"index":{"_index":"a","_id":"1",`+created+`}},{"index":{"_index":"a","_id":"1","_version":1,"result":"updated","status":200}}]}`, 2)
	f("/_bulk", "{\"index\":{\"_index\":\"logs-a.b-default\",\"_id\":\"1\"}}\n{\"@timestamp\":1}\n",
		item("index", "logs-a.b-default", "1", `"status":400,"error":{"type":"illegal_argument_exception","reason":"only write ops with an op_type of create are allowed in data streams"}`), 0)
	f("/_bulk", "{\"create\":{\"_index\":\"A\",\"_id\":\"1\"}}\n{\"x\":1}\n",
		item("create", "A", "1", `"status":400,"error":{"type":"invalid_index_name_exception","reason":"Invalid index name [A]"}`), 0)
	f("/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*._id", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"a\":1,\"a\":2}\n",
		`{"errors":true,"items":[{"create":{"_id":"1","status":400,"error":{"type":"document_parsing_exception"}}}]}`, 0)
	f("/_bulk?filter_path=items.*.error", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"a\":1}\n{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"a\":1}\n",
		`{"items":[{"create":{"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict, document already exists (current version [1])"}}}]}`, 1)
	f("/_bulk?filter_path=took", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"a\":1}\n", `{"took":3}`, 1)
	f("/idx/_bulk?filter_path=items.*.status", "{\"delete\":{\"_id\":\"1\"}}\n{\"index\":{}}\n{\"x\":1}\n", `{"items":[{"delete":{"status":404}},{"index":{"status":201}}]}`, 1)
}

func TestBulkDocumentsThatAreRefused(t *testing.T) {
	r := start(t, "elastic", Options{})
	f := func(index, doc, want string) {
		t.Helper()
		_, text, err := post(t, r.URL()+"/"+index+"/_bulk", "{\"create\":{}}\n"+doc+"\n", ndjson)
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, `"status":400`) {
			t.Errorf("%s: %s %v, want %s", doc, text, err, want)
		}
	}
	f("a", `{"a":1,"b":{"c":1,"c":2}}`, "Duplicate field 'c'")
	f("a", `{"a":[{"c":1,"c":2}]}`, "Duplicate field 'c'")
	f("a", `{"a":1,"\u0061":2}`, "Duplicate field 'a'")
	f("a", `{"":1}`, "not allowed")
	f("a", `{".a":1}`, "not allowed")
	f("a", `{"a":NaN}`, "failed to parse")
	f("a", `[1]`, "not an object")
	f("a", `{} {}`, "something follows")
	f("a", `{"@timestamp":"yesterday"}`, "date field")
	f("a", `{"event":"x"}`, "concrete value")
	f("a", `{"event":{"severity":"high"}}`, "event.severity")
	f("logs-a-b", `{"x":1}`, "@timestamp")
}

func TestBulkRequestsThatAreRefused(t *testing.T) {
	r := start(t, "elastic", Options{APIKey: "a2V5", Username: "u", Password: "p", MaxBody: 4000})
	f := func(body string, status int, want string, header ...string) {
		t.Helper()
		if len(header) == 0 {
			header = []string{ndjson, "Authorization: ApiKey a2V5"}
		}
		got, text, err := post(t, r.URL()+"/_bulk", body, header...)
		if err != nil || got != status || !strings.Contains(text, want) {
			t.Errorf("%.80s: %d %s %v, want %d %s", body, got, text, err, status, want)
		}
	}
	const doc = "\n{\"x\":1}\n"
	f(`{"index":{"_index":"a"}}`+"\n{\"x\":1}", 400, "terminated by a newline")
	f(`{"upsert":{"_index":"a"}}`+doc, 400, "Malformed action/metadata line [1]")
	f(`{"index":{"_index":"a"}}`+doc+`{"index":1}`+doc, 400, "Malformed action/metadata line [3]")
	f(`{}`+doc, 400, "END_OBJECT")
	f(`{"index":{"_type":"_doc","_index":"a"}}`+doc, 400, "unknown parameter [_type]")
	f(`{"index":{}}`+doc, 400, "index is missing")
	f(`{"index":{"_index":"a","_id":""}}`+doc, 400, "must not be empty")
	f(`{"index":{"_index":"a","_id":"`+strings.Repeat("x", 513)+`"}}`+doc, 400, "is too long")
	f(`{"index":{"_index":"a"}}`+"\n", 400, "source of the last action")
	f("\n", 400, "no requests added")
	f("", 400, "body is required")
	f(strings.Repeat("x", 5000), 413, "")
	f("x", 401, "security_exception", ndjson)
	f("x", 401, "security_exception", ndjson, "Authorization: ApiKey no")
	f("x", 401, "security_exception", ndjson, "Authorization: Basic eDp4")
	f("x\n", 400, "Malformed", ndjson, "Authorization: Basic dTpw")
	f("x\n", 406, "not supported", "Content-Type: text/plain", "Authorization: ApiKey a2V5")
	f("x\n", 400, "compatible", "Content-Type: application/vnd.elasticsearch+x-ndjson;compatible-with=8", "Authorization: ApiKey a2V5")
	f("x\n", 400, "Malformed", "Content-Type: application/vnd.elasticsearch+x-ndjson;compatible-with=8", "Accept: application/vnd.elasticsearch+json;compatible-with=8", "Authorization: ApiKey a2V5")
	if r.Events() != 0 {
		t.Errorf("%d events taken", r.Events())
	}
}

func TestElasticIntroducesItself(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := start(t, "elastic", Options{OpenSearch: open})
		resp, err := http.Head(r.URL() + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if product := resp.Header.Get("X-Elastic-Product"); (product == "Elasticsearch") == open || resp.StatusCode != 200 {
			t.Errorf("opensearch %v: %d, product %q", open, resp.StatusCode, product)
		}
		got, text, _ := post(t, r.URL()+"/_bulk", "x\n", "Content-Type: application/vnd.elasticsearch+x-ndjson;compatible-with=8", "Accept: application/vnd.elasticsearch+json;compatible-with=8")
		if (got == 406) != open {
			t.Errorf("opensearch %v: %d %s", open, got, text)
		}
	}
}

func TestElasticItemFaults(t *testing.T) {
	r := start(t, "elastic", Options{Fault: "item=429:match=bad"})
	_, text, _ := post(t, r.URL()+"/a/_bulk?filter_path=errors,items.*.status,items.*.error.type", "{\"create\":{\"_id\":\"1\"}}\n{\"x\":\"good\"}\n{\"create\":{\"_id\":\"2\"}}\n{\"x\":\"bad\"}\n", ndjson)
	if text != `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"type":"es_rejected_execution_exception"}}}]}` {
		t.Error(text)
	}
	if r.Seen("1") != 1 || r.Seen("2") != 0 || r.Stats().Refused != 1 {
		t.Errorf("stats %+v", r.Stats())
	}
}
