package api

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// maxConnections bounds what can be made through the API: each has a runner and its memory.
const maxConnections = 256

// newConnection holds the defaults of a connection that is made through the API.
var newConnection = connectionFields{UseSSL: true, VerifySSL: true, BatchSize: 100, BatchInterval: 60, MaxRetries: 3, RetryDelay: 30, Enabled: true}

func (s *Server) createConnection(c *call) error {
	data, err := c.object()
	if err != nil {
		return err
	}
	request, err := c.requestOf("create connection", data)
	if err != nil {
		return err
	}
	if request != "" {
		if id, err := s.madeBy(request); id != "" || err != nil {
			if err != nil {
				return err
			}
			return s.answerMade(c, id)
		}
	}
	w, err := parseWish(data, newConnection, false)
	if err != nil {
		return err
	}
	d, err := render(w, nil)
	if err != nil {
		return err
	}
	id := s.freeID()
	now := s.now().UTC().Truncate(time.Millisecond)
	ch, err := d.change(id, config.Managed{CreatedAt: now, UpdatedAt: now, Request: request})
	if err != nil {
		return err
	}
	ch.Action, ch.Difference = "create connection", differenceOf(nil, &w.fields, d)
	ch.Check = func(supervisor.Connection, bool) error {
		if request != "" {
			if id, err := s.madeBy(request); id != "" || err != nil {
				return cmp.Or(err, error(errMade{id}))
			}
		}
		n := 0
		for _, o := range s.agent.Config().Outputs {
			if o.Managed != nil {
				n++
			}
		}
		if n >= maxConnections {
			return fail(http.StatusConflict, "there are too many connections", "at most %d can be made through the API", maxConnections)
		}
		return nil
	}
	if err := s.agent.Change(c.who.Actor, ch); err != nil {
		var made errMade
		if errors.As(err, &made) {
			return s.answerMade(c, made.id)
		}
		return explain(err, ch.Data, id)
	}
	c.w.Header().Set("Location", prefix+"/connections/"+id)
	return s.answerChanged(c, http.StatusCreated, id)
}

func (s *Server) answerChanged(c *call, status int, id string) error {
	conn, ok := s.agent.Connection(id)
	if !ok {
		return supervisor.ErrUnknownConnection // removed again in this moment
	}
	c.w.Header().Set("ETag", etag(conn.Config))
	return c.json(status, objectOf(conn))
}

func (s *Server) updateConnection(c *call) error {
	conn, err := s.connection(c)
	if err != nil {
		return err
	}
	if err := mayChange(c, conn.Config); err != nil {
		return err
	}
	data, err := c.object()
	if err != nil {
		return err
	}
	// One after the other: each builds on what the one before has left, and
	// If-Match is held to that.
	s.editing.Lock()
	defer s.editing.Unlock()
	if conn, err = s.connection(c); err != nil {
		return err
	}
	if err := mayChange(c, conn.Config); err != nil {
		return err
	}
	before := fieldsOf(conn.Config)
	w, err := parseWish(data, before, true)
	if err != nil {
		return err
	}
	d, err := render(w, conn.Config)
	if err != nil {
		return err
	}
	m := *conn.Config.Managed
	m.UpdatedAt = s.now().UTC().Truncate(time.Millisecond)
	ch, err := d.change(conn.Config.Name, m)
	if err != nil {
		return err
	}
	ch.Action, ch.Difference = "change connection", differenceOf(&before, &w.fields, d)
	ch.Check = func(now supervisor.Connection, exists bool) error {
		if !exists {
			return supervisor.ErrUnknownConnection
		}
		if etag(now.Config) != etag(conn.Config) {
			return fail(http.StatusConflict, "somebody else has changed the connection in this moment", "look at it, and try again")
		}
		return nil
	}
	if err := s.agent.Change(c.who.Actor, ch); err != nil {
		return explain(err, ch.Data, conn.Config.Name)
	}
	return s.answerChanged(c, http.StatusOK, conn.Config.Name)
}

type deleteAnswer struct {
	Message      string `json:"message" doc:"For people."`
	ConnectionID string `json:"connection_id" doc:"What is gone."`
	GivenUp      uint64 `json:"pending_events" doc:"Events that waited for it and were given up."`
	Failed       uint64 `json:"failed_events" doc:"Failed events that stay until they are purged."`
}

func (s *Server) deleteConnection(c *call) error {
	force, err := c.flag("force")
	if err != nil {
		return err
	}
	conn, err := s.connection(c)
	if err != nil {
		return err
	}
	id := conn.Config.Name
	a := deleteAnswer{ConnectionID: id}
	ch := supervisor.Change{Change: config.Change{ID: id}, Action: "delete connection"}
	ch.Check = func(now supervisor.Connection, exists bool) error {
		if !exists {
			return supervisor.ErrUnknownConnection
		}
		if err := mayChange(c, now.Config); err != nil {
			return err
		}
		if now.Pending > 0 && !force {
			p := fail(http.StatusConflict, fmt.Sprintf("%d events wait for this connection", now.Pending), "drain it first, or give them up with ?force=true")
			p.Pending = &now.Pending
			return p
		}
		a.GivenUp, a.Failed = now.Pending, now.Failed
		return nil
	}
	ch.Difference = map[string]any{"force": force, "name": fieldsOf(conn.Config).Name}
	if err := s.agent.Change(c.who.Actor, ch); err != nil {
		return err
	}
	a.Message = "connection deleted"
	return c.json(http.StatusOK, a)
}

// mayChange refuses to change what a config file says, and what the caller has not seen.
func mayChange(c *call, o *config.Output) error {
	if o.Managed == nil {
		p := fail(http.StatusConflict, "this connection is managed by a config file", "change it at %s:%d and reload", o.File, o.Line)
		p.File, p.Line = o.File, o.Line
		return p
	}
	if want := c.Header.Get("If-Match"); want != "" && want != "*" && !strings.Contains(","+strings.ReplaceAll(want, " ", "")+",", ","+etag(o)+",") {
		return fail(http.StatusPreconditionFailed, "the connection has changed since", "look at it again: its ETag is %s now", etag(o))
	}
	return nil
}

// maxObject bounds a connection object: it comes into the audit log and is kept in memory.
const maxObject = 64 << 10

// object is the body, which must not be empty.
func (c *call) object() ([]byte, error) {
	data, err := c.bodyUpTo(maxObject)
	if err == nil && len(data) == 0 {
		err = fail(http.StatusBadRequest, "the body is empty", "it takes a JSON object")
	}
	return data, err
}

// freeID is an id that nothing in the agent has, or has left.
func (s *Server) freeID() string {
	for {
		var raw [4]byte
		rand.Read(raw[:]) // never fails: see crypto/rand
		id := fmt.Sprintf("SIEM-CONN-%X", raw)
		cfg := s.agent.Config()
		_, taken := cfg.Outputs[id]
		_, err := os.Stat(filepath.Join(cfg.DataDir, "failed", id))
		if !taken && os.IsNotExist(err) {
			return id
		}
	}
}

// change is the draft as the supervisor takes it.
func (d *draft) change(id string, m config.Managed) (supervisor.Change, error) {
	m.Secrets = ""
	if len(d.secrets) > 0 {
		var raw [6]byte
		rand.Read(raw[:]) // never fails: see crypto/rand
		m.Secrets = fmt.Sprintf("g%x", raw)
	}
	ch, err := d.file(id, m)
	return supervisor.Change{Change: ch, Generation: m.Secrets}, err
}
