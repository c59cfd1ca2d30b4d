package http

import (
	"strings"
	"testing"
)

func TestOTLP(t *testing.T) {
	f := func(records, want string) {
		t.Helper()
		r := start(t, nil)
		status, text := r.post("/v1/logs", `{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"DEV-1"}}]},"scopeLogs":[{"scope":{"name":"lib"},"logRecords":[`+records+`]}]}]}`, "Content-Type: application/json")
		if status != 200 || text != "{}" || r.lines() != want {
			t.Errorf("%s: %d %s\n got %s\nwant %s", records, status, text, r.lines(), want)
		}
	}
	const resource = `"resource":{"host.name":"DEV-1"},"scope":"lib"`
	f(`{"timeUnixNano":"1761739200123456789","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"hi"},"attributes":[{"key":"n","value":{"intValue":"5"}}],"traceId":"ab"}`,
		`{"message":"hi","source":"DEV-1","timestamp":1761739200123456789,"severity":"high","otlp":{"attributes":{"n":5},`+resource+`,"severity_text":"ERROR","trace_id":"ab"}}`)
	f(`{"timeUnixNano":"0","observedTimeUnixNano":7,"body":{"kvlistValue":{"values":[{"key":"event_id","value":{"stringValue":"A"}},{"key":"source","value":{"stringValue":"mine"}},{"key":"x","value":{"arrayValue":{"values":[{"doubleValue":1.5},{"boolValue":true},{"doubleValue":"NaN"},{}]}}}]}},"eventName":"alert"}`,
		`{"event_id":"A","source":"mine","x":[1.5,true,"NaN",null],"event_type":"alert","timestamp":7,"otlp":{`+resource+`}}`)
	f(`{},{"body":{"kvlistValue":{"values":[]}},"severityText":"warn"}`,
		`{"source":"DEV-1","otlp":{`+resource+"}}\n"+`{"source":"DEV-1","severity":"medium","otlp":{`+resource+`,"severity_text":"warn"}}`)
	f(`{"body":{"bytesValue":"aGk="},"attributes":[{"key":"event_type","value":{"stringValue":"anomaly"}}]}`,
		`{"message":"aGk=","event_type":"anomaly","source":"DEV-1","otlp":{"attributes":{"event_type":"anomaly"},`+resource+`}}`)
}

func TestOTLPAnswers(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxEvent = 200 })
	f := func(body string, status int, want string, headers ...string) {
		t.Helper()
		if got, text := r.post("/v1/logs", body, headers...); got != status || !strings.Contains(text, want) {
			t.Errorf("%.60s: %d %s, want %d %s", body, got, text, status, want)
		}
	}
	f(`{}`, 200, "{}")
	f(`{"resourceLogs":[]}`, 200, "{}")
	f(``, 400, `{"message":"the body is empty"}`)
	f(`{`, 400, `{"message":"no JSON: unexpected end`)
	f(`[]`, 400, `{"message":"the body cannot be a JSON array"}`)
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[5]}]}]}`, 400, `{"message":"resourceLogs.scopeLogs.logRecords cannot be a JSON number"}`)
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"ERROR"}]}]}]}`, 400, `.severityNumber cannot be a JSON string"}`)
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"x"}}]}]}]}`, 400, "number")
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"`+strings.Repeat("x", 300)+`"}},{}]}]}]}`, 200, `{"partialSuccess":{"errorMessage":"too_long: the event has`)
	f("\xef\xbb\xbf{}", 200, `{}`)
	f(`{}`, 401, "token", "Authorization: ")
	f(`{}`, 415, "protobuf", "Content-Type: application/x-protobuf")
	f(`{}`, 415, "encoding", "Content-Encoding: br")
	if status, _, _ := r.do("GET", "/v1/logs", ""); status != 405 {
		t.Errorf("GET: %d", status)
	}
}

func TestOTLPSeverities(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "informational", 8: "informational", 9: "informational", 10: "low", 12: "low", 13: "medium", 16: "medium", 17: "high", 20: "high", 21: "critical", 24: "critical"} {
		if got := otlpSeverity(n, ""); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
