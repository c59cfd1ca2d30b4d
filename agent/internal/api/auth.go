package api

import (
	"fmt"
	"net/http"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// A caller is who sent a request, for the audit log.
type caller struct {
	supervisor.Actor // the name of the token, or the user at the other end of the socket
	scope            scope
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
		if n := s.failures.note(c.who.Address, s.now()); n > 0 {
			s.auditFailure(c, n)
		}
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

// auditFailure tells the audit log about wrong tokens from one address; the
// further ones of the same minute come as a number with the next record.
func (s *Server) auditFailure(c *call, n int) {
	err := s.agent.Audit().Add(supervisor.AuditRecord{
		Actor: "unknown", Address: c.who.Address, Action: "authenticate", Target: c.route.method + " " + c.route.path,
		Result: "refused", Detail: fmt.Sprintf("%d wrong tokens", n),
	})
	if err != nil {
		s.log.Error("a wrong token is not in the audit log", "address", c.who.Address, "err", err)
	}
}
