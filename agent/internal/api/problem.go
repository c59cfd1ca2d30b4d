package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// A problem is an error as RFC 9457 has it. It is what handlers return.
type problem struct {
	Type    string       `json:"type" doc:"about:blank: the status says it all."`
	Title   string       `json:"title" doc:"What is wrong, in a few words."`
	Status  int          `json:"status" doc:"The HTTP status."`
	Detail  string       `json:"detail,omitempty" doc:"What to do about it."`
	Errors  []fieldError `json:"errors,omitempty" doc:"The mistakes in the request or in the config, all of them."`
	Pending *uint64      `json:"pending_events,omitempty" doc:"Events that would be lost."`
	File    string       `json:"file,omitempty" doc:"The config file that has the last word."`
	Line    int          `json:"line,omitempty" doc:"Its line."`
	header  [2]string    // one more header
}

// A fieldError is one mistake, in the request (Pointer) or in a file.
type fieldError struct {
	Pointer string `json:"pointer,omitempty" doc:"JSON pointer into the request's body, or the query's key behind a question mark."`
	File    string `json:"file,omitempty" doc:"The config file."`
	Line    int    `json:"line,omitempty" doc:"From 1."`
	Column  int    `json:"column,omitempty" doc:"From 1."`
	Width   int    `json:"width,omitempty" doc:"How many characters of the line are meant."`
	Source  string `json:"source,omitempty" doc:"The line, with *** for what may be a secret."`
	Caret   int    `json:"caret,omitempty" doc:"From 1, the place in source."`
	Warning bool   `json:"warning,omitempty" doc:"It is odd, and no mistake."`
	Message string `json:"message" doc:"What is wrong."`
	Hint    string `json:"hint,omitempty" doc:"What to write instead."`
}

func (p *problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// fail makes a problem; detail is a format.
func fail(status int, title, detail string, args ...any) *problem {
	return &problem{Title: title, Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// wrong is a 400 about one place of the request.
func wrong(pointer, hint, message string, args ...any) *problem {
	e := fieldError{Pointer: pointer, Message: fmt.Sprintf(message, args...), Hint: hint}
	return &problem{Title: "the request has a mistake", Status: http.StatusBadRequest, Detail: e.Message, Errors: []fieldError{e}}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	said := *p // some are shared
	if said.Type == "" {
		said.Type = "about:blank"
	}
	data, _ := json.Marshal(said) // strings and numbers
	h := w.Header()
	if p.header[0] != "" {
		h.Set(p.header[0], p.header[1])
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(data, '\n')) // a client that went away is not our error
}

// problemOf gives errors from below their status.
func problemOf(err error) *problem {
	var (
		p       *problem
		refused *supervisor.RefusedError
		config  *supervisor.ConfigError
		build   *supervisor.BuildError
		audit   *supervisor.AuditError
		tooBig  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		return wrong("/event_data", "", "the event cannot be taken: %s", refused.Refusal.Detail)
	case errors.As(err, &config):
		return &problem{Title: "the config was not applied, the old one runs on", Status: http.StatusUnprocessableEntity, Detail: config.Error(), Errors: diagnostics(config.Problems)}
	case errors.As(err, &build):
		return fail(http.StatusUnprocessableEntity, "the config was not applied, the old one runs on", "%s", build)
	case errors.As(err, &audit):
		return fail(http.StatusServiceUnavailable, "nothing was done, because it cannot be audited", "%s", audit)
	case errors.Is(err, supervisor.ErrNoProbe):
		return fail(http.StatusConflict, "this connection cannot be tested", "%s", err)
	case errors.As(err, &tooBig):
		return fail(http.StatusRequestEntityTooLarge, "the body is too large", "at most %d bytes", tooBig.Limit)
	case errors.Is(err, supervisor.ErrUnknownConnection):
		return fail(http.StatusNotFound, "there is no such connection", "GET %s lists them", prefix+"/connections")
	case errors.Is(err, supervisor.ErrNoOrphan):
		return fail(http.StatusConflict, "this connection is in the config", "delete it or disable it; only what is gone can be purged")
	case errors.Is(err, supervisor.ErrDisabled):
		return fail(http.StatusConflict, "the connection is disabled", "enable it first")
	case errors.Is(err, supervisor.ErrStopping), errors.Is(err, agent.ErrClosed):
		return fail(http.StatusServiceUnavailable, "the agent is stopping", "")
	case errors.Is(err, agent.ErrFull):
		p := fail(http.StatusServiceUnavailable, "the log is full", "nothing can be stored until connections have delivered")
		p.header = [2]string{"Retry-After", "5"}
		return p
	}
	return nil
}

// diagnostics are a config's problems for a program.
func diagnostics(problems []agent.Problem) []fieldError {
	list := make([]fieldError, 0, len(problems))
	for _, p := range problems {
		list = append(list, fieldError{
			File: p.File, Line: p.Line, Column: p.Column, Width: p.Width, Source: p.Source, Caret: p.Caret,
			Warning: p.Warning, Message: p.Message, Hint: p.Hint,
		})
	}
	return list
}
