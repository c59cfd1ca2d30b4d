package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// A caller is who sent a request, for the audit log.
type caller struct {
	supervisor.Actor // the name of the token, or the user at the other end of the socket
	scope            scope
	client           string // like Name, the same for every request of this caller
}

// authorize finds out who calls, and whether that one may.
func (s *Server) authorize(ln listening, c *call) *problem {
	c.who.Address = peerAddress(c.Request)
	if ln.unix {
		p, known := peerBehind(c.Request)
		c.who.Name, c.who.client, c.who.scope = p.String(), "uid "+strconv.Itoa(p.uid), scopeWrite
		if known && !ln.admits(p) {
			if n := s.failures.note(c.who.client, s.now()); n > 0 {
				s.auditRefusal(c, fmt.Sprintf("%d requests over the socket by somebody who is not root, the agent's user or in api.socket_group", n))
			}
			return fail(http.StatusForbidden, "this user may not speak to the agent", "be root, the user that siemd runs as, or in api.socket_group")
		}
		return nil
	}
	want := c.route.scope
	if want == scopeNone || c.route.plain && ln.local {
		return nil
	}
	if c.Request.Header.Get("Authorization") == "" {
		// A token that is sent decides, and not the certificate that a program or a browser always sends.
		name, have := holder(s.agent.Config().API.Clients, c.TLS)
		switch {
		case have >= want:
			c.who.Name, c.who.client, c.who.scope = name, "certificate "+name, have
			return nil
		case have > scopeNone:
			c.who.Name, c.who.client = name, "certificate "+name
			return s.beyondScope(c, "certificate")
		}
		return unauthorized("a token is needed", fmt.Sprintf("send Authorization: Bearer TOKEN; the agent's own is in %s of its data_dir", TokenName))
	}
	if wait := s.failures.wait(c.who.Address, s.now()); wait > 0 {
		p := fail(http.StatusTooManyRequests, "too many wrong tokens from this address", "try again later")
		p.header = [2]string{"Retry-After", fmt.Sprint(int(wait.Seconds()) + 1)}
		return p
	}
	c.who.Name, c.who.scope = s.callers().caller(c.Request)
	c.who.client = "token " + c.who.Name
	switch have := c.who.scope; {
	case have == scopeNone:
		if n := s.failures.note(c.who.Address, s.now()); n > 0 {
			s.auditFailure(c, n)
		}
		return unauthorized("this token is not known", "")
	case have < want:
		return s.beyondScope(c, "token")
	}
	return nil
}

// beyondScope refuses somebody who may only read.
func (s *Server) beyondScope(c *call, with string) *problem {
	if n := s.overreach.note(c.who.client, s.now()); n > 0 {
		s.auditRefusal(c, fmt.Sprintf("%d requests beyond the scope of the %s", n, with))
	}
	return fail(http.StatusForbidden, "this "+with+" may not do that", "its scope is read")
}

func unauthorized(title, detail string) *problem {
	p := fail(http.StatusUnauthorized, title, "%s", detail)
	p.header = [2]string{"WWW-Authenticate", "Bearer"}
	return p
}

// auditFailure tells the audit log about wrong tokens from one address; the
// further ones of the same minute come as a number with the next record.
func (s *Server) auditFailure(c *call, n int) {
	s.auditRefusal(c, fmt.Sprintf("%d wrong tokens", n))
}

func (s *Server) auditRefusal(c *call, why string) {
	err := s.agent.Audit().Add(supervisor.AuditRecord{
		Actor: cmp.Or(c.who.Name, "unknown"), Address: c.who.Address, Action: "authenticate", Target: c.route.method + " " + c.route.path,
		Result: "refused", Detail: why,
	})
	if err != nil {
		s.log.Error("a refused caller is not in the audit log", "address", c.who.Address, "err", err)
	}
}
