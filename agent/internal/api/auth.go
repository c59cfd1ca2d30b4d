package api

import (
	"fmt"
	"net/http"
)

// A caller is who sent a request, for the audit log.
type caller struct {
	Name    string // of the token, or of the user at the other end of the socket
	Address string
	scope   scope
}

// authorize finds out who calls, and whether that one may.
func (s *Server) authorize(ln listening, c *call) *problem {
	c.who.Address = peerAddress(c.Request)
	if ln.unix {
		c.who.Name, c.who.scope = peerName(c.Request), scopeWrite
		return nil
	}
	want := c.route.scope
	if want == scopeNone || c.route.plain && ln.local {
		return nil
	}
	if c.Request.Header.Get("Authorization") == "" {
		return unauthorized("a token is needed", fmt.Sprintf("send Authorization: Bearer TOKEN; the agent's own is in %s of its data_dir", TokenName))
	}
	if wait := s.failures.wait(c.who.Address, s.now()); wait > 0 {
		p := fail(http.StatusTooManyRequests, "too many wrong tokens from this address", "try again later")
		p.header = [2]string{"Retry-After", fmt.Sprint(int(wait.Seconds()) + 1)}
		return p
	}
	c.who.Name, c.who.scope = s.callers().caller(c.Request)
	switch have := c.who.scope; {
	case have == scopeNone:
		s.failures.note(c.who.Address, s.now())
		return unauthorized("this token is not known", "")
	case have < want:
		return fail(http.StatusForbidden, "this token may not do that", "its scope is read")
	}
	return nil
}

func unauthorized(title, detail string) *problem {
	p := fail(http.StatusUnauthorized, title, "%s", detail)
	p.header = [2]string{"WWW-Authenticate", "Bearer"}
	return p
}
