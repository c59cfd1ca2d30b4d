package http

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/adrian207/siemd/agent"
)

// hecWords are Splunk's codes: protocols 1.5.
var hecWords = map[int]struct {
	status int
	text   string
}{
	0: {200, "Success"}, 2: {401, "Token is required"}, 3: {401, "Invalid authorization"}, 4: {403, "Invalid token"},
	5: {400, "No data"}, 6: {400, "Invalid data format"}, 8: {500, "Internal server error"}, 9: {503, "Server is busy"},
	10: {400, "Data channel is missing"}, 11: {400, "Invalid data channel"}, 12: {400, "Event field is required"},
	13: {400, "Event field cannot be blank"}, 14: {400, "ACK is disabled"}, 15: {400, "Error in handling indexed fields"},
	16: {400, "Query string authorization is not enabled"}, 17: {200, "HEC is healthy"},
	18: {503, "HEC is unhealthy, queues are full"}, 23: {503, "Server is shutting down"},
	27: {429, "HEC ACK channel is at capacity and cannot process any more requests"},
}

// hecSay answers with a code; number and ack are left out below 0.
func hecSay(rw *answer, code, number int, ack int64) {
	word := hecWords[code]
	b := strconv.AppendInt(append(append([]byte(`{"text":"`), word.text...), `","code":`...), int64(code), 10)
	if number >= 0 {
		b = strconv.AppendInt(append(b, `,"invalid-event-number":`...), int64(number), 10)
	}
	if ack >= 0 {
		b = strconv.AppendInt(append(b, `,"ackId":`...), ack, 10)
	}
	b = append(b, '}')
	if word.status == http.StatusServiceUnavailable {
		rw.again(word.status, b)
		return
	}
	rw.json(word.status, b)
}

// serveHEC answers what Splunk's HTTP Event Collector answers.
func (in *Input) serveHEC(rw *answer, req *http.Request) {
	route := strings.TrimPrefix(strings.TrimSuffix(req.URL.Path, "/1.0"), "/services/collector")
	method, allow := http.MethodPost, "POST,OPTIONS"
	switch route {
	case "", "/event", "/raw", "/ack":
	case "/health":
		method, allow = http.MethodGet, "GET,HEAD,OPTIONS"
	default:
		hecLost(rw, http.StatusNotFound)
		return
	}
	switch {
	case req.Method == http.MethodOptions:
		rw.Header()["Allow"] = []string{allow}
		rw.json(http.StatusOK, nil)
		return
	case req.Method != method && !(route == "/health" && req.Method == http.MethodHead):
		rw.Header()["Allow"] = []string{allow}
		hecLost(rw, http.StatusMethodNotAllowed)
		return
	case route == "/health":
		code := 17
		if in.state.ill() {
			code = 18
		}
		hecSay(rw, code, -1, -1)
		return
	}
	query := req.URL.Query()
	if query.Has("token") {
		hecSay(rw, 16, -1, -1)
		return
	}
	if code := hecDenial[in.tokens.check(rw, req.Header)]; code != 0 {
		hecSay(rw, code, -1, -1)
		return
	}
	channel := req.Header.Get("X-Splunk-Request-Channel")
	if channel == "" {
		channel = query.Get("channel")
	}
	if channel != "" && !isGUID(channel) {
		hecSay(rw, 11, -1, -1)
		return
	}
	w := works.Get().(*work)
	defer in.done(w)
	if err := in.read(w, rw, req); err != nil {
		hecRefuse(rw, err)
		return
	}
	switch route {
	case "/ack":
		in.serveAck(rw, w.body, channel)
	case "/raw":
		in.takeRaw(rw, req, w, channel)
	default:
		in.takeEnvelopes(rw, req, w, channel)
	}
}

var hecDenial = map[credential]int{credentialNone: 2, credentialUnknown: 3, credentialWrong: 4}

func hecLost(rw *answer, status int) {
	rw.json(status, []byte(`{"text":"The requested URL was not found on this server.","code":404}`))
}

func hecRefuse(rw *answer, err error) {
	switch status := statusOf(err); status {
	case http.StatusBadRequest:
		hecSay(rw, 6, -1, -1)
	case http.StatusServiceUnavailable:
		hecSay(rw, 9, -1, -1)
	default:
		rw.send(status, "text/html; charset=UTF-8", []byte("<!doctype html><html><head><title>"+http.StatusText(status)+"</title></head><body>"+http.StatusText(status)+"</body></html>\n"))
	}
}

// takeEnvelopes takes the envelopes before the first bad one, and names that.
func (in *Input) takeEnvelopes(rw *answer, req *http.Request, w *work, channel string) {
	bad := in.envelopes(w)
	if len(w.items) == 0 && bad.code == 0 {
		hecSay(rw, 5, -1, -1)
		return
	}
	b := agent.Batch{Lines: w.items, Offsets: w.offsets, Fields: rw.fields, File: req.RemoteAddr}
	if bad.refused.Text != nil {
		b.Refused = []agent.Refusal{bad.refused}
	}
	in.takeHEC(rw, req, b, bad, channel)
}

// takeHEC puts a batch into the log and answers.
func (in *Input) takeHEC(rw *answer, req *http.Request, b agent.Batch, bad badObject, channel string) {
	if channel != "" && in.config.HECAck && !in.acks.room(channel) {
		hecSay(rw, 27, -1, -1)
		return
	}
	var r agent.Receipt
	if len(b.Lines) > 0 || len(b.Refused) > 0 {
		var err error
		switch r, err = in.emit(req.Context(), b); {
		case errors.Is(err, errTooLarge):
			hecRefuse(rw, err)
			return
		case errors.Is(err, agent.ErrClosed):
			hecSay(rw, 23, -1, -1)
			return
		case err != nil:
			hecSay(rw, 9, -1, -1)
			return
		}
	}
	// What the log refuses although it looked well comes before the object that did not.
	if len(r.Refused) > 0 {
		bad = badObject{code: 6, number: r.Refused[0].Line}
	}
	ack := int64(-1)
	if channel != "" && in.config.HECAck && r.Accepted > 0 {
		ack = in.acks.give(channel)
	}
	if bad.code != 0 {
		hecSay(rw, bad.code, bad.number, ack)
		return
	}
	hecSay(rw, 0, -1, ack)
}
