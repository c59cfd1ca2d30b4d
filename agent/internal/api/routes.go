package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// prefix begins the paths of the REST API.
const prefix = "/api/v1/siem"

// A route is one endpoint. The table of routes is all that is served: the
// OpenAPI document, the scopes and the answers 404 and 405 come from it.
type route struct {
	method   string
	path     string
	scope    scope
	plain    bool // needs no token on loopback
	brief    string
	query    []parameter
	body     any      // an example value of the request's type; nil: none
	required []string // of its fields
	answer   any      // an example value of the answer's type; nil: not JSON
	created  bool     // success is 201
	keyed    bool     // takes an Idempotency-Key
	stream   string   // media type of an answer that is not JSON
	status   []int    // beside the usual ones
	serve    func(*Server, *call) error
}

// routes are all endpoints.
func routes() []route {
	var all []route
	for _, list := range [][]route{plainRoutes, viewRoutes, connectionRoutes, exportRoutes, errandRoutes, probeRoutes, failedRoutes, logRoutes, tapRoutes, pageRoutes} {
		all = append(all, list...)
	}
	// It is not in a table of its own because it describes them all.
	return append(all, route{
		method: "GET", path: openAPIPath, brief: "This document.", answer: map[string]any{},
		serve: func(s *Server, c *call) error { return c.json(http.StatusOK, s.document()) },
	})
}

var notHere = fail(http.StatusNotFound, "there is nothing at this path", "/api/openapi.json lists what there is")

// handler serves the routes on ln.
func (s *Server) handler(ln listening) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range routes() {
		mux.Handle(r.method+" "+r.path, s.endpoint(ln, r))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			p := fail(http.StatusMethodNotAllowed, "this method is not for this path", "it takes %s", allow)
			p.header = [2]string{"Allow", allow}
			writeProblem(w, p)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, notHere)
	})
	return s.guard(ln, mux)
}

// endpoint checks who asks, and answers with what serve returns.
func (s *Server) endpoint(ln listening, r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer s.caught(req, r.path)
		c := &call{w: w, Request: req, route: &r, patience: s.patience, reading: s.reading, whole: req.ContentLength == 0}
		if p := s.authorize(ln, c); p != nil {
			c.hurry()
			writeProblem(w, p)
			return
		}
		var err error
		if !r.plain {
			err = c.checkQuery()
		}
		if err == nil && r.scope == scopeWrite {
			err = c.checkType(ln.unix)
		}
		if err == nil {
			err = r.serve(s, c)
		}
		if err != nil {
			p := problemOf(err)
			if p == nil {
				s.log.Error("request failed", "method", req.Method, "path", r.path, "err", err)
				p = fail(http.StatusInternalServerError, "the agent could not do that", "%s", err)
			}
			if !c.begun {
				c.hurry()
				writeProblem(w, p)
			}
		}
	})
}

// caught says that a handler has panicked, which the server itself says to
// nobody at the usual level of the log. The client gets no answer.
func (s *Server) caught(req *http.Request, path string) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		s.log.Error("a request made the API panic", "method", req.Method, "path", path, "panic", v, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// A call is one request on its way.
type call struct {
	*http.Request
	w     http.ResponseWriter
	route *route
	who   caller
	begun bool // the answer has begun
	whole bool // nothing of the body is left to be read

	patience time.Duration // for the body
	reading  time.Duration // for an answer, or a part of one
}

// json answers with v.
func (c *call) json(status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.begun = true
	c.w.Header().Set("Content-Type", "application/json")
	c.hurry()
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(data, '\n')) // a client that went away is not our error
	return nil
}

// leftover is how long the server reads what a handler has left of a body, before it answers.
const leftover = time.Second

// hurry bounds how long the client may take to read an answer, which begins now, and to send
// what nobody has read of the body. Behind the end of a body the server listens for the
// client's: a deadline that passes then, because the client is slow to read the answer,
// would end the context of every later request on the connection.
func (c *call) hurry() {
	control := http.NewResponseController(c.w)
	_ = control.SetWriteDeadline(time.Now().Add(c.reading)) // a connection always can
	if !c.whole {
		_ = control.SetReadDeadline(time.Now().Add(leftover))
	}
}

// text answers with plain text.
func (c *call) text(status int, text string) error {
	c.begun = true
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.hurry()
	c.w.WriteHeader(status)
	_, _ = c.w.Write([]byte(text))
	return nil
}

// plainRoutes are for machines that watch the agent.
var plainRoutes = []route{
	{method: "GET", path: "/livez", plain: true, brief: "The process lives.", serve: func(_ *Server, c *call) error {
		return c.text(http.StatusOK, "ok\n")
	}},
	{method: "GET", path: "/readyz", plain: true, brief: "Intake is open and durable. Says nothing about any SIEM.", status: []int{503}, serve: func(s *Server, c *call) error {
		if err := s.agent.Ready(); err != nil {
			return c.text(http.StatusServiceUnavailable, err.Error()+"\n")
		}
		return c.text(http.StatusOK, "ok\n")
	}},
	{method: "GET", path: "/metrics", plain: true, scope: scopeRead, brief: "Everything that is measured, for Prometheus.", serve: func(s *Server, c *call) error {
		c.begun = true
		c.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		c.hurry()
		s.agent.WriteMetrics(c.w)
		return nil
	}},
}
