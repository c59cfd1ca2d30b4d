package plugintest

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
)

// plain is a target without a protocol of its own: JSON lines or an array of
// objects, on any path, by any method with a body.
type plain struct{ r *Receiver }

func (p *plain) failure(status int) reply {
	return reply{status: status, body: []byte(`{"error":` + strconv.Quote(http.StatusText(status)) + `}`)}
}

func (p *plain) answer(req *http.Request, body []byte, problem error) reply {
	o := p.r.opts
	user, password, basic := req.BasicAuth()
	switch {
	case o.Username != "" && (!basic || user != o.Username || password != o.Password),
		o.Token != "" && req.Header.Get("Authorization") != "Bearer "+o.Token:
		return p.failure(http.StatusUnauthorized)
	case errors.Is(problem, errTooLarge):
		return p.failure(http.StatusRequestEntityTooLarge)
	case errors.Is(problem, errEncoding):
		return p.failure(http.StatusUnsupportedMediaType)
	case problem != nil:
		return p.failure(http.StatusBadRequest)
	case len(body) == 0:
		return reply{status: http.StatusOK, body: []byte(`{}`)}
	}
	p.r.ledger.requests.Add(1)
	if at := skipSpace(body, 0); o.Light && at < len(body) && body[at] != '[' {
		for len(body) > 0 {
			var line []byte
			if line, body = cutLine(body); len(line) > 1 {
				p.r.ledger.take(quickID(line), line)
			}
		}
		return reply{status: http.StatusOK, body: []byte(`{}`)}
	}
	events, err := plainEvents(body)
	if err != nil {
		p.r.ledger.bad(err.Error())
		return reply{status: http.StatusBadRequest, body: []byte(`{"error":` + strconv.Quote(err.Error()) + `}`)}
	}
	for _, e := range events {
		var id []byte
		if v := member(e, "event_id"); v != nil {
			id = []byte(unquote(v))
		}
		p.r.ledger.take(id, e)
	}
	return reply{status: http.StatusOK, body: []byte(`{"accepted":` + strconv.Itoa(len(events)) + `}`)}
}

// plainEvents are the objects of an array, or of lines.
func plainEvents(body []byte) (events [][]byte, err error) {
	notObject := errors.New("an event is not an object")
	add := func(v []byte) error {
		if v[0] != '{' {
			return notObject
		}
		events = append(events, v)
		return nil
	}
	if at := skipSpace(body, 0); at < len(body) && body[at] == '[' {
		end, err := skipArray(body, at, 0, add)
		if err == nil && skipSpace(body, end) != len(body) {
			err = errors.New("something follows the array")
		}
		return events, err
	}
	for len(body) > 0 {
		var line []byte
		line, body = cutLine(body)
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		v, rest, err := nextValue(line)
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, errors.New("something follows the object on its line")
		}
		if err := add(v); err != nil {
			return nil, err
		}
	}
	return events, nil
}
