package api

import (
	"encoding/json"
	"net/http"
)

// routes are the paths served on ln. Liveness, readiness and metrics need no
// token on loopback and the socket; metrics elsewhere need the scope read.
func (s *Server) routes(ln listening) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.agent.Ready(); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		writeText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /metrics", s.need(ln, scopeRead, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.agent.WriteMetrics(w)
	}))
	mux.HandleFunc("GET /api/v1/siem/status", s.needToken(ln, scopeRead, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.agent.Status())
	}))
	return mux
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a client that went away is not our error
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, "the answer could not be written as JSON", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func writeProblem(w http.ResponseWriter, code int, title, detail string) {
	data, _ := json.Marshal(problem{Type: "about:blank", Title: title, Status: code, Detail: detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

// need lets a request through if it came over loopback or the socket, or with enough scope.
func (s *Server) need(ln listening, want scope, h http.HandlerFunc) http.HandlerFunc {
	if ln.local {
		return h
	}
	return s.needToken(ln, want, h)
}

// needToken lets a request through if it came over the socket, or with enough scope.
func (s *Server) needToken(ln listening, want scope, h http.HandlerFunc) http.HandlerFunc {
	if ln.unix {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		switch _, have := s.tokens.caller(r); {
		case have == scopeNone:
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeProblem(w, http.StatusUnauthorized, "a token is needed", "send Authorization: Bearer TOKEN; the agent's own is in "+TokenName+" of its data_dir")
		case have < want:
			writeProblem(w, http.StatusForbidden, "this token may not do that", "it may read only")
		default:
			h(w, r)
		}
	}
}
