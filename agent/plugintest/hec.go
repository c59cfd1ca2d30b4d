package plugintest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// hecAnswers is Splunk's table: protocols 1.5.
var hecAnswers = map[int]struct {
	status int
	text   string
}{
	0: {200, "Success"}, 1: {403, "Token disabled"}, 2: {401, "Token is required"}, 3: {401, "Invalid authorization"},
	4: {403, "Invalid token"}, 5: {400, "No data"}, 6: {400, "Invalid data format"}, 7: {400, "Incorrect index"},
	8: {500, "Internal server error"}, 9: {503, "Server is busy"}, 10: {400, "Data channel is missing"},
	11: {400, "Invalid data channel"}, 12: {400, "Event field is required"}, 13: {400, "Event field cannot be blank"},
	14: {400, "ACK is disabled"}, 15: {400, "Error in handling indexed fields"},
	16: {400, "Query string authorization is not enabled"}, 17: {200, "HEC is healthy"},
	18: {503, "HEC is unhealthy, queues are full"}, 19: {503, "HEC is unhealthy, ack service unavailable"},
	20: {503, "HEC is unhealthy, queues are full, ack service unavailable"}, 21: {400, "Invalid token"},
	22: {400, "Token disabled"}, 23: {503, "Server is shutting down"},
	24: {200, "HEC queue is approaching its capacity limit"}, 25: {200, "HEC ACK is approaching its capacity limit"},
	26: {429, "HEC queue is at capacity and cannot process any more requests"},
	27: {429, "HEC ACK channel is at capacity and cannot process any more requests"},
	28: {400, "Data channel is missing. Use a load balancer with sticky sessions"},
}

// hecReply is Splunk's answer with a code; bad and ack are left out below 0.
func hecReply(code, bad int, ack int64) reply {
	a := hecAnswers[code]
	b := append([]byte(`{"text":`), strconv.Quote(a.text)...)
	b = strconv.AppendInt(append(b, `,"code":`...), int64(code), 10)
	if bad >= 0 {
		b = strconv.AppendInt(append(b, `,"invalid-event-number":`...), int64(bad), 10)
	}
	if ack >= 0 {
		b = strconv.AppendInt(append(b, `,"ackId":`...), ack, 10)
	}
	return reply{status: a.status, body: append(b, '}')}
}

// hec is the mock of Splunk's HTTP Event Collector.
type hec struct {
	r    *Receiver
	acks acks
}

func newHEC(r *Receiver) *hec { return &hec{r: r, acks: acks{channels: map[string]*channel{}}} }

func (h *hec) failure(status int) reply {
	switch status {
	case 401:
		return hecReply(3, -1, -1)
	case 403:
		return hecReply(4, -1, -1)
	case 400:
		return hecReply(6, -1, -1)
	case 500:
		return hecReply(8, -1, -1)
	case 503:
		return hecReply(9, -1, -1)
	case 429:
		return hecReply(26, -1, -1)
	case 404, 405:
		return notFound(status)
	}
	return reply{status: status, body: []byte(http.StatusText(status)), header: map[string]string{"Content-Type": "text/html"}}
}

func notFound(status int) reply {
	return reply{status: status, body: []byte(`{"text":"The requested URL was not found on this server.","code":404}`)}
}

func (h *hec) answer(req *http.Request, body []byte, problem error) reply {
	route, ok := strings.CutPrefix(strings.TrimSuffix(req.URL.Path, "/1.0"), "/services/collector")
	method := http.MethodPost
	if route == "/health" {
		method = http.MethodGet
	}
	switch {
	case !ok || route != "" && route != "/event" && route != "/raw" && route != "/ack" && route != "/health":
		return notFound(404)
	case req.Method == http.MethodOptions:
		allow := "POST,OPTIONS"
		if route == "/health" {
			allow = "GET,HEAD,OPTIONS"
		}
		return reply{status: 200, header: map[string]string{"Allow": allow}}
	case req.Method != method && !(route == "/health" && req.Method == http.MethodHead):
		return notFound(405)
	case route == "/health":
		return hecReply(17, -1, -1)
	}
	if code := h.auth(req); code != 0 {
		return hecReply(code, -1, -1)
	}
	switch {
	case errors.Is(problem, errEncoding):
		return reply{status: 415, body: []byte("<html><body>Unsupported Media Type</body></html>"), header: map[string]string{"Content-Type": "text/html"}}
	case errors.Is(problem, errTooLarge):
		return reply{status: 413, body: []byte(`{"text":"Content-Length too large","code":413}`)}
	case problem != nil:
		h.r.ledger.bad("the body is not gzip")
		return hecReply(6, -1, -1)
	}
	if route == "/ack" {
		return h.pollAcks(req, body)
	}
	id := channelOf(req)
	if h.r.opts.Ack && id == "" {
		return hecReply(10, -1, -1)
	}
	if id != "" && !guid.MatchString(id) {
		return hecReply(11, -1, -1)
	}
	return h.take(req, body, route == "/raw", id)
}

func (h *hec) take(req *http.Request, body []byte, raw bool, channel string) reply {
	l := h.r.ledger
	l.requests.Add(1)
	if len(bytes.TrimSpace(body)) == 0 {
		return hecReply(5, -1, -1)
	}
	if h.r.opts.Cloud && len(body) > 5_500_000 {
		l.bad("the body is larger than Splunk Cloud takes")
		return hecReply(6, 0, -1)
	}
	before := l.events.Load()
	code, bad := 0, -1
	switch {
	case raw:
		h.takeRaw(body)
	case h.r.opts.Light && !h.r.faults.hasItem():
		h.takeLight(body)
	default:
		code, bad = h.takeEvents(body)
	}
	if code != 0 {
		l.refused.Add(1)
		l.bad("Splunk's code " + strconv.Itoa(code) + ": " + hecAnswers[code].text)
	}
	ack := int64(-1)
	if h.r.opts.Ack && (code == 0 || l.events.Load() > before) {
		ack = h.acks.give(channel, h.r.faults.is("noack"))
	}
	return hecReply(code, bad, ack)
}

// takeLight takes each line for an event.
func (h *hec) takeLight(body []byte) {
	for len(body) > 0 {
		var line []byte
		line, body = cutLine(body)
		if len(line) > 0 {
			h.r.ledger.take(quickID(line), line)
		}
	}
}

func (h *hec) takeRaw(body []byte) {
	for len(body) > 0 {
		var line []byte
		line, body = cutLine(body)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var id []byte
		if v := member(line, "event_id"); len(v) > 0 && v[0] == '"' {
			id = []byte(unquote(v))
		}
		h.r.ledger.take(id, line)
	}
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// auth is Splunk's code for what is wrong with the token, or 0.
func (h *hec) auth(req *http.Request) int {
	if req.URL.Query().Has("token") {
		return 16
	}
	header := req.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(strings.TrimSpace(header), " ")
	token = strings.TrimSpace(token)
	switch {
	case header == "" || strings.EqualFold(scheme, "Splunk") && token == "":
		return 2
	case strings.EqualFold(scheme, "Basic"):
		text, err := base64.StdEncoding.DecodeString(token)
		_, password, ok := strings.Cut(string(text), ":")
		if err != nil || !ok {
			return 3
		}
		token = password
	case !strings.EqualFold(scheme, "Splunk"):
		return 3
	}
	if h.r.opts.Token != "" && token != h.r.opts.Token {
		return 4
	}
	return 0
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func channelOf(req *http.Request) string {
	if id := req.Header.Get("X-Splunk-Request-Channel"); id != "" {
		return id
	}
	return req.URL.Query().Get("channel")
}
