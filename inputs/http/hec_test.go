package http

import (
	"strings"
	"testing"
	"time"
)

func TestHECEvents(t *testing.T) {
	f := func(body, answer string, lines ...string) {
		t.Helper()
		r := start(t, func(c *Config) { c.MaxEvent = 2000 })
		_, got := r.post("/services/collector/event", body)
		if got != answer {
			t.Errorf("%.100s:\n got %s\nwant %s", body, got, answer)
		}
		if got := r.lines(); got != strings.Join(lines, "\n") {
			t.Errorf("%.100s:\nlog has %s\n   want %s", body, got, strings.Join(lines, "\n"))
		}
	}
	const ok = `{"text":"Success","code":0}`
	f(`{"event":{"a":1}}`, ok, `{"a":1}`)
	f(`{"event":{ "a" : 1 }}`, ok, `{ "a" : 1}`)
	f(`{"event":"hi \"you\""}`, ok, `{"message":"hi \"you\""}`)
	f(`{"event":5}{"event":[1,{}]}{"event":false}`, ok, `{"message":5}`, `{"message":[1,{}]}`, `{"message":false}`)
	f(`{"time":1761739200.5,"host":"h","event":{"a":1}}`, ok, `{"a":1,"timestamp":1761739200.5,"source":"h"}`)
	f(`{"time":"1761739200","host":"h","event":"x"}`, ok, `{"message":"x","timestamp":"1761739200","source":"h"}`)
	f(`{"time":1,"host":"h","event":{"timestamp":"t","source":"s"}}`, ok, `{"timestamp":"t","source":"s","hec":{"time":1,"host":"h"}}`)
	f(`{"time":1,"host":"h","event":{"timestamp":null,"source":""}}`, ok, `{"timestamp":null,"source":"","timestamp":1,"source":"h"}`)
	f(`{"event":{"a":1},"index":"i","sourcetype":"st","source":"s","fields":{"x":"y","z":["a"]}}`, ok, `{"a":1,"hec":{"fields":{"x":"y","z":["a"]},"index":"i","sourcetype":"st","source":"s"}}`)
	f(`{"event":{"hec":1},"index":"i"}`, ok, `{"hec":1,"hec_envelope":{"index":"i"}}`)
	f(`{"event":{"a":1},"host":null,"time":null,"index":null,"fields":null}`, ok, `{"a":1}`)
	f(`{"event":{"a":1},"host":5,"other":{"b":2}}`, ok, `{"a":1,"hec":{"host":5,"other":{"b":2}}}`)
	f("\xef\xbb\xbf [ {\"event\":1} , {\"event\":2} ] ", ok, `{"message":1}`, `{"message":2}`)
	f(``, `{"text":"No data","code":5}`)
	f(" \n ", `{"text":"No data","code":5}`)
	f(`[]`, `{"text":"No data","code":5}`)
	f(`{"event":1}{"host":"h"}{"event":2}`, `{"text":"Event field is required","code":12,"invalid-event-number":1}`, `{"message":1}`)
	f(`{"fields":{"a":1}}`, `{"text":"Event field is required","code":12,"invalid-event-number":0}`)
	for _, blank := range []string{`null`, `""`, `" \t"`, `{}`, `[ ]`} {
		f(`{"event":1}{"event":`+blank+`}{"event":2}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1}`, `{"message":1}`)
	}
	for _, bad := range []string{`"time":"soon"`, `"time":1e9`, `"time":true`, `"time":{}`, `"time":"."`, `"fields":{"a":{}}`, `"fields":[]`, `"fields":{"a":[{}]}`} {
		f(`{"event":1,`+bad+`}`, `{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}`)
	}
	const format = `{"text":"Invalid data format","code":6,"invalid-event-number":`
	f(`{"event":1}{"event":}{"event":2}`, format+`1}`, `{"message":1}`)
	f(`{"event":1}{"event":2`, format+`1}`, `{"message":1}`)
	f(`{"event":1}]`, format+`1}`, `{"message":1}`)
	f(`[{"event":1},]`, format+`1}`, `{"message":1}`)
	f(`[{"event":1}{"event":2}]`, format+`1}`, `{"message":1}`)
	f(`[{"event":1}] x`, format+`1}`, `{"message":1}`)
	f(`[{"event":1}`, format+`1}`, `{"message":1}`)
	f(`hello`, format+`0}`)
	f(`"event"`, format+`0}`)
	f("{\"event\":\"a\nb\"}", format+`0}`)
	f(`{"event":{"a":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)+`}}`, format+`0}`)
	f(`{"event":"`+strings.Repeat("x", 2000)+`"}`, format+`0}`)
}

func TestHECKeepsWhatIsNoJSON(t *testing.T) {
	r := start(t, nil)
	r.post("/services/collector", "{\"event\":1}\n{\"event\": oops}\n{\"event\":2}")
	r.post("/services/collector", "garbage of an application\n{\"event\":2}")
	got := r.sink.Refused()
	if len(got) != 2 || string(got[0].Text) != `{"event": oops}` || string(got[1].Text) != "garbage of an application" || got[0].Reason != "not_json" {
		t.Errorf("refused %+v", got)
	}
}

func TestHECRaw(t *testing.T) {
	f := func(query, body, answer string, lines ...string) {
		t.Helper()
		r := start(t, func(c *Config) { c.MaxEvent = 100 })
		_, got := r.post("/services/collector/raw"+query, body)
		if !strings.Contains(got, answer) || r.lines() != strings.Join(lines, "\n") {
			t.Errorf("%s %.50q: %s, log has\n%s", query, body, got, r.lines())
		}
	}
	const ok = `{"text":"Success","code":0}`
	f("", "one\r\n\n {\"a\":1}\nlast", ok, `{"message":"one"}`, `{"message":" {\"a\":1}"}`, `{"message":"last"}`)
	f("?host=h&time=5&source=s&sourcetype=st&index=i", "x", ok, `{"message":"x","timestamp":"5","source":"h","hec":{"index":"i","sourcetype":"st","source":"s"}}`)
	f("?time=soon", "x", `"code":15`)
	f("", "a\x00b\xff\t", ok, `{"message":"a\u0000b`+"\ufffd"+`\t"}`)
	f("", "\n \n", `"code":5`)
	f("", strings.Repeat("x", 101), "Request Entity Too Large")
}

func TestHECRoutes(t *testing.T) {
	r := start(t, nil)
	f := func(method, path, auth string, status int, answer string) {
		t.Helper()
		got, text, _ := r.do(method, path, `{"event":1}`, "Authorization: "+auth)
		if got != status || text != answer {
			t.Errorf("%s %s as %q: %d %s, want %d %s", method, path, auth, got, text, status, answer)
		}
	}
	const ok, lost = `{"text":"Success","code":0}`, `{"text":"The requested URL was not found on this server.","code":404}`
	for _, path := range []string{"", "/event", "/event/1.0", "/raw", "/raw/1.0"} {
		f("POST", "/services/collector"+path, "splunk T0K", 200, ok)
		f("OPTIONS", "/services/collector"+path, "", 200, "")
		f("GET", "/services/collector"+path, "Splunk T0K", 405, lost)
	}
	f("POST", "/services/collector", "", 401, `{"text":"Token is required","code":2}`)
	f("POST", "/services/collector", "Splunk", 401, `{"text":"Token is required","code":2}`)
	f("POST", "/services/collector", "Digest x", 401, `{"text":"Invalid authorization","code":3}`)
	f("POST", "/services/collector", "Basic ?", 401, `{"text":"Invalid authorization","code":3}`)
	f("POST", "/services/collector", "Basic eDp5", 403, `{"text":"Invalid token","code":4}`)
	f("POST", "/services/collector?token=T0K", "Splunk T0K", 400, `{"text":"Query string authorization is not enabled","code":16}`)
	f("POST", "/services/collector?channel=5", "Splunk T0K", 400, `{"text":"Invalid data channel","code":11}`)
	f("POST", "/services/collector/mint", "Splunk T0K", 404, lost)
	f("GET", "/services/collector/health/1.0", "", 200, `{"text":"HEC is healthy","code":17}`)
	f("POST", "/services/collector/health", "", 405, lost)
	f("POST", "/services/collector/ack", "Splunk T0K", 400, `{"text":"Data channel is missing","code":10}`)
	f("POST", "/services/collector/ack?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba", "Splunk T0K", 400, `{"text":"ACK is disabled","code":14}`)
	f("POST", "/services/collector?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba", "Splunk T0K", 200, ok)
}

func TestHECUnpacks(t *testing.T) {
	r := start(t, nil)
	f := func(path, encoding, body string, status int) {
		t.Helper()
		if got, text := r.post(path, body, "Content-Encoding: "+encoding); got != status || status == 415 && !strings.HasPrefix(text, "<!doctype html>") {
			t.Errorf("%s in %s: %d %s, want %d", path, encoding, got, text, status)
		}
	}
	const text = `{"event":1}`
	for _, path := range []string{"/services/collector", "/services/collector/event/1.0", "/services/collector/raw"} {
		f(path, "gzip", gzipped(text), 200)
		f(path, "zstd", zstdized(text), 415)
		f(path, "deflate", text, 415)
	}
	f("/_bulk", "zstd", zstdized("{\"index\":{}}\n{}\n"), 200)
}

func TestHECAcks(t *testing.T) {
	r := start(t, func(c *Config) { c.HECAck = true })
	f := func(path, body, want string, headers ...string) {
		t.Helper()
		if _, got := r.post("/services/collector"+path, body, headers...); got != want {
			t.Errorf("%s %s: %s, want %s", path, body, got, want)
		}
	}
	const one, two = "X-Splunk-Request-Channel: 0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba", "?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581bb"
	f("", `{"event":1}`, `{"text":"Success","code":0}`)
	f("", `{"event":1}`, `{"text":"Success","code":0,"ackId":0}`, one)
	f("", `{"event":1}{"event":""}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1,"ackId":1}`, one)
	f("/raw"+two, `x`, `{"text":"Success","code":0,"ackId":0}`)
	f("/ack", `{"acks":[0,1,7]}`, `{"acks":{"0":true,"1":true,"7":false}}`, one)
	f("/ack", `{"acks":[0,1]}`, `{"acks":{"0":false,"1":false}}`, one)
	f("/ack"+two, `{"acks":[0]}`, `{"acks":{"0":true}}`)
	f("/ack", `{"acks":"x"}`, `{"text":"Invalid data format","code":6}`, one)
}

func TestAcksAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	a := newAcks()
	a.now = func() time.Time { return now }
	for range maxPending {
		if !a.room("c") {
			t.Fatal("no room within the limit")
		}
		a.give("c")
	}
	if a.room("c") {
		t.Error("room beyond the limit of a channel")
	}
	a.report("c", 3)
	if !a.room("c") {
		t.Error("no room although an id was asked for")
	}
	for i := range maxChannels - 1 {
		a.give(string(rune(i)) + "x")
	}
	if a.room("new") {
		t.Error("room beyond the limit of channels")
	}
	now = now.Add(channelIdle + time.Second)
	if !a.room("new") || len(a.channels) != 0 {
		t.Errorf("%d idle channels are kept", len(a.channels))
	}
}
