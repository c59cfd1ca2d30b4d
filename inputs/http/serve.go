package http

import (
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// writeTime is how long a client may take to read its answer.
const writeTime = 30 * time.Second

// retryAfter is what clients are told, in seconds, while nothing can be taken.
const retryAfter = "5"

// ServeHTTP finds the dialect.
func (in *Input) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	defer in.caught()
	path := req.URL.Path
	a := &answer{ResponseWriter: rw, status: http.StatusOK}
	// Also for what is read behind the back of a handler that takes no body.
	http.NewResponseController(rw).SetReadDeadline(time.Now().Add(in.config.ReadTimeout.D()))
	dialect := "other"
	switch {
	case len(in.tokens) == 0 && req.Header.Get("Origin") != "":
		// Without tokens the listener trusts this machine, but not the web
		// pages that its browsers have open: they can post here, too.
		a.json(http.StatusForbidden, problem("web pages may not post here; set tokens"))
	case path == "/v1/events":
		dialect = "events"
		in.serveEvents(a, req)
	case path == "/services/collector" || strings.HasPrefix(path, "/services/collector/"):
		dialect = "hec"
		in.serveHEC(a, req)
	case path == "/v1/logs":
		dialect = "otlp"
		in.serveOTLP(a, req)
	case path == "/_bulk" || strings.HasSuffix(path, "/_bulk"):
		dialect = "bulk"
		in.serveBulk(a, req)
	case path == "/" || strings.HasPrefix(path, "/_"):
		in.serveElastic(a, req)
	default:
		a.json(http.StatusNotFound, problem("there is nothing at this path"))
	}
	in.linger(a, req)
	in.env.Counter("requests_total", "dialect", dialect, "result", resultOf(a.status)).Inc()
}

// lingering is how long the rest of a refused body is read.
const lingering = 5 * time.Second

// linger reads what is left of a refused body, within bounds: a client that
// writes all before it reads would see a broken connection in place of the answer.
// One that asked first (Expect) does not send it.
func (in *Input) linger(a *answer, req *http.Request) {
	if a.status < 400 || req.ProtoMajor != 1 || req.ContentLength == 0 || req.Header.Get("Expect") != "" {
		return
	}
	ctl := http.NewResponseController(a.ResponseWriter)
	if ctl.Flush() != nil {
		return
	}
	ctl.SetReadDeadline(time.Now().Add(lingering))
	io.CopyN(io.Discard, req.Body, 4*int64(in.config.MaxBody)) // whatever comes of it, the answer is out
}

// caught ends a request whose handler has panicked: without an answer, so that
// the client sends it again, and without ending the others.
func (in *Input) caught() {
	v := recover()
	if v == nil {
		return
	}
	in.env.Counter("panics_total").Inc()
	in.env.Log.Error("a request made the input panic", "panic", v, "stack", string(debug.Stack()))
	panic(http.ErrAbortHandler)
}

// resultOf is a status as a label.
func resultOf(status int) string {
	switch {
	case status < 400:
		return "ok"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "unauthorized"
	case status == http.StatusRequestEntityTooLarge:
		return "too_large"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return "busy"
	case status == http.StatusRequestTimeout:
		return "slow"
	case status < 500:
		return "bad_request"
	}
	return "error"
}

// An answer is a ResponseWriter that knows its status.
type answer struct {
	http.ResponseWriter
	status int
	fields []agent.Field // what the events of its request get
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// json sends the whole answer.
func (a *answer) json(status int, body []byte) { a.send(status, "application/json", body) }

func (a *answer) send(status int, kind string, body []byte) {
	h := a.Header()
	h["Content-Type"] = []string{kind}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime))
	a.status = status
	a.WriteHeader(status)
	a.Write(body)
}

// again tells the client to come again.
func (a *answer) again(status int, body []byte) {
	a.Header()["Retry-After"] = []string{retryAfter}
	a.json(status, body)
}

// problem is an error as the dialects without one of their own write it.
func problem(text string) []byte {
	return append(cjson.AppendString([]byte(`{"error":`), text), '}')
}

// statusOf is the status for what is wrong with a body.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errRatio):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errEncoding):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, errSlow):
		return http.StatusRequestTimeout
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
