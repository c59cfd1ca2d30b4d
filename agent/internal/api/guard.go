package api

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// guard keeps web pages out. A page in the browser of somebody who may reach
// the API could send requests to it from another origin, or make its own name
// resolve to 127.0.0.1 (DNS rebinding). So an Origin must be the API's own, and
// over loopback the Host must be an address or localhost: a name that somebody
// else controls is neither.
func (s *Server) guard(ln listening, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A deadline of an earlier answer on this connection is still set, and may have passed.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.reading)) // a connection always can
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		switch {
		case ln.unix: // no browser comes this way
		case ln.local && !localHost(r.Host):
			writeProblem(w, fail(http.StatusMisdirectedRequest, "this is not the host that was meant", "use the address, or localhost"))
			return
		case foreign(r):
			writeProblem(w, fail(http.StatusForbidden, "requests from other origins are refused", ""))
			return
		}
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			// The router would lead to the clean path. Nobody means //x or /a/../b.
			writeProblem(w, notHere)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil
}

// foreign reports whether a browser says that another site is behind r. Going
// to a page by a link is no request of that site's.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	navigation := r.Header.Get("Sec-Fetch-Mode") == "navigate" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	return !navigation
}
