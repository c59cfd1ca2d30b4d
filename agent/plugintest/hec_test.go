package plugintest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

const splunkAuth = "Authorization: Splunk T0K"

func TestHECRules(t *testing.T) {
	f := func(body, answer string, taken int) {
		t.Helper()
		r := start(t, "splunk", Options{Token: "T0K", Indexes: []string{"zerotrust"}})
		_, text, err := post(t, r.URL()+"/services/collector/event", body, splunkAuth)
		if err != nil || text != answer {
			t.Errorf("%s\n got %s %v\nwant %s", body, text, err, answer)
		}
		if r.Events() != taken {
			t.Errorf("%s: %d taken, want %d", body, r.Events(), taken)
		}
	}
	const ok = `{"text":"Success","code":0}`
	f(`{"event":"a"}{"event":"b"} `+"\n\n"+`{"event":{"c":1}}`, ok, 3)
	f(`[{"event":"a"},{"event":"b"}]`, ok, 2)
	f(`{"time":1761739200.000,"host":"h","source":"s","sourcetype":"_json","index":"zerotrust","event":1,"fields":{"a":"b","c":["d"]}}`, ok, 1)
	f(``, `{"text":"No data","code":5}`, 0)
	f(" \n", `{"text":"No data","code":5}`, 0)
	f(`{"event":1}{"host":"h"}`, `{"text":"Event field is required","code":12,"invalid-event-number":1}`, 1)
	f(`{"event":1}{"event":""}{"event":2}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1}`, 1)
	f(`{"event":" \t"}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}`, 0)
	f(`{"event":null}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}`, 0)
	f(`{"event":{ }}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}`, 0)
	f(`{"event":1,"fields":{"a":{"b":1}}}`, `{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}`, 0)
	f(`{"event":1,"time":1.7617392E9}`, `{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}`, 0)
	f(`{"event":1,"time":"soon"}`, `{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}`, 0)
	f(`{"event":1,"time":1761739200000}`, `{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}`, 0)
	f(`{"event":1,"time":"1761739200.5"}`, ok, 1)
	f(`{"event":1,"index":"other"}`, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`, 0)
	f(`{"event":1}{"event":2,"index":"other"}`, `{"text":"Incorrect index","code":7,"invalid-event-number":2}`, 1)
	f(`{"event":1,"evnt":2}`, `{"text":"No data","code":5}`, 0)
	f(`{"event":1}{"event":1,"extra":2}{"event":3}`, ok, 1)
	f(`{"event":1}{"fields":{"a":"b"}}{"event":2}`, ok, 2)
	f(`{"event":1}{"event":`, `{"text":"Invalid data format","code":6,"invalid-event-number":1}`, 1)
	f(`[{"event":1},{"event":2}`, `{"text":"Invalid data format","code":6,"invalid-event-number":2}`, 2)
	f(`"text"`, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, 0)
	f(`{"event":1,"host":5}`, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, 0)
	f("{\"event\":\"a\nb\"}", `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, 0)
	f(`{"event":"`+strings.Repeat("x", 5<<20)+`"}`, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, 0)
}

func TestHECRoutesAndAuth(t *testing.T) {
	r := start(t, "splunk", Options{Token: "T0K"})
	f := func(method, path, auth string, status int, answer string) {
		t.Helper()
		req, _ := http.NewRequest(method, r.URL()+path, strings.NewReader(`{"event":1}`))
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		got, text, err := do(t, req)
		if err != nil || got != status || text != answer {
			t.Errorf("%s %s with %q: %d %s %v, want %d %s", method, path, auth, got, text, err, status, answer)
		}
	}
	const ok, lost = `{"text":"Success","code":0}`, `{"text":"The requested URL was not found on this server.","code":404}`
	for _, path := range []string{"", "/event", "/event/1.0", "/raw", "/raw/1.0"} {
		f("POST", "/services/collector"+path, "Splunk T0K", 200, ok)
	}
	f("POST", "/services/collector", "splunk T0K", 200, ok)
	f("POST", "/services/collector", "Basic eDpUMEs=", 200, ok)
	f("POST", "/services/collector", "Basic !", 401, `{"text":"Invalid authorization","code":3}`)
	f("POST", "/services/collector", "", 401, `{"text":"Token is required","code":2}`)
	f("POST", "/services/collector", "Splunk ", 401, `{"text":"Token is required","code":2}`)
	f("POST", "/services/collector", "T0K", 401, `{"text":"Invalid authorization","code":3}`)
	f("POST", "/services/collector", "Bearer T0K", 401, `{"text":"Invalid authorization","code":3}`)
	f("POST", "/services/collector", "Splunk nope", 403, `{"text":"Invalid token","code":4}`)
	f("POST", "/services/collector?token=T0K", "", 400, `{"text":"Query string authorization is not enabled","code":16}`)
	f("GET", "/services/collector/health", "", 200, `{"text":"HEC is healthy","code":17}`)
	f("GET", "/services/collector/event", "Splunk T0K", 405, lost)
	f("POST", "/services/other", "Splunk T0K", 404, lost)
	f("OPTIONS", "/services/collector/event", "", 200, "")
	f("POST", "/services/collector/ack", "Splunk T0K", 400, `{"text":"ACK is disabled","code":14}`)
}

func TestHECEncodings(t *testing.T) {
	r := start(t, "splunk", Options{MaxBody: 1000})
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(`{"event":{"event_id":"z"}}`))
	w.Close()
	f := func(body string, status int, header ...string) {
		t.Helper()
		got, text, err := post(t, r.URL()+"/services/collector", body, append(header, splunkAuth)...)
		if err != nil || got != status {
			t.Errorf("%d %s %v, want %d", got, text, err, status)
		}
	}
	f(z.String(), 200, "Content-Encoding: gzip")
	f(z.String()[:30], 400, "Content-Encoding: gzip")
	f("{}", 400, "Content-Encoding: gzip")
	f("{}", 415, "Content-Encoding: deflate")
	f(`{"event":"`+strings.Repeat("x", 1000)+`"}`, 413)
	var bomb bytes.Buffer
	w = gzip.NewWriter(&bomb)
	w.Write(bytes.Repeat([]byte(" "), 1<<20))
	w.Close()
	f(bomb.String(), 413, "Content-Encoding: gzip")
	if r.Seen("z") != 1 || r.Events() != 1 {
		t.Errorf("stats %+v", r.Stats())
	}
}

func TestHECAcks(t *testing.T) {
	r := start(t, "splunk", Options{Ack: true})
	const channel = "X-Splunk-Request-Channel: 0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"
	f := func(path, body, want string, header ...string) {
		t.Helper()
		if _, text, err := post(t, r.URL()+"/services/collector"+path, body, append(header, splunkAuth)...); text != want {
			t.Errorf("%s %s: %s %v, want %s", path, body, text, err, want)
		}
	}
	f("", `{"event":1}`, `{"text":"Data channel is missing","code":10}`)
	f("", `{"event":1}`, `{"text":"Invalid data channel","code":11}`, "X-Splunk-Request-Channel: 5")
	f("", `{"event":1}`, `{"text":"Success","code":0,"ackId":0}`, channel)
	f("?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581bb", `{"event":1}`, `{"text":"Success","code":0,"ackId":0}`)
	f("", `{"event":1}{"event":""}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1,"ackId":1}`, channel)
	f("", `{"event":""}`, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}`, channel)
	f("/ack", `{"acks":[0,1,9]}`, `{"acks":{"0":true,"1":true,"9":false}}`, channel)
	f("/ack", `{"acks":[0,1]}`, `{"acks":{"0":false,"1":false}}`, channel) // a true is reported once
	f("/ack", `{"acks":["x"]}`, `{"text":"Invalid data format","code":6}`, channel)
	f("/ack", `{"acks":[0]}`, `{"text":"Data channel is missing","code":10}`)
	r.SetFault("noack")
	f("", `{"event":1}`, `{"text":"Success","code":0,"ackId":2}`, channel)
	f("/ack", `{"acks":[2]}`, `{"acks":{"2":false}}`, channel)
}
