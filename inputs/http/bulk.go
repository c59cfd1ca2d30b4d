package http

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// An action is one entry of a bulk request, and of its answer.
type action struct {
	op     string // index, create, update, delete
	index  []byte // raw texts between quotes
	id     []byte
	status int
	kind   string // of the error
	reason string
}

func (a *action) fail(status int, kind, reason string) {
	a.status, a.kind, a.reason = status, kind, reason
}

// elasticText is an error in Elasticsearch's words, which clients look for.
type elasticText string

func (e elasticText) Error() string { return string(e) }

// serveBulk answers Elasticsearch's bulk requests.
func (in *Input) serveBulk(rw *answer, req *http.Request) {
	begun := time.Now()
	elasticHeader(rw, req)
	switch {
	case req.Method != http.MethodPost && req.Method != http.MethodPut:
		rw.Header()["Allow"] = []string{"POST,PUT"}
		elasticError(rw, http.StatusMethodNotAllowed, "method_not_allowed_exception", "want POST or PUT")
		return
	case !in.elasticAdmit(rw, req):
		return
	}
	w := works.Get().(*work)
	defer in.done(w)
	if err := in.read(w, rw, req); err != nil {
		bulkRefuse(rw, err)
		return
	}
	index := strings.Trim(strings.TrimSuffix(req.URL.Path, "_bulk"), "/")
	actions, placed, refused, err := in.actions(w, cjson.AppendString(nil, index))
	if err != nil {
		elasticError(rw, http.StatusBadRequest, "illegal_argument_exception", err.Error())
		return
	}
	if len(w.items) > 0 || len(refused) > 0 {
		r, err := in.emit(req.Context(), agent.Batch{Lines: w.items, Offsets: w.offsets, Fields: rw.fields, File: req.RemoteAddr, Refused: refused})
		switch {
		case errors.Is(err, errTooLarge):
			bulkRefuse(rw, err)
			return
		case err != nil:
			// A request as a whole, so that clients send all of it again.
			bulkBusy(rw, excuse(err))
			return
		}
		for _, x := range r.Refused {
			actions[placed[x.Line]].fail(http.StatusBadRequest, "document_parsing_exception", "failed to parse: "+reasonText(x))
		}
	}
	sendItems(rw, actions, time.Since(begun))
}

func bulkRefuse(rw *answer, err error) {
	switch status := statusOf(err); status {
	case http.StatusServiceUnavailable:
		bulkBusy(rw, err.Error())
	case http.StatusRequestEntityTooLarge:
		elasticError(rw, status, "content_too_long_exception", err.Error())
	default:
		elasticError(rw, status, "parse_exception", err.Error())
	}
}

func bulkBusy(rw *answer, reason string) {
	rw.Header()["Retry-After"] = []string{retryAfter}
	elasticError(rw, http.StatusTooManyRequests, "es_rejected_execution_exception", reason)
}

// actions reads the body. Items of w are the events; placed says which action each belongs to.
func (in *Input) actions(w *work, index []byte) (actions []action, placed []int, refused []agent.Refusal, err error) {
	body := bytes.TrimPrefix(w.body, bom)
	switch {
	case blank(body):
		return nil, nil, nil, elasticText("request body is required")
	case body[len(body)-1] != '\n':
		return nil, nil, nil, elasticText("The bulk request must be terminated by a newline [\\n]")
	}
	for n := 1; len(body) > 0; n++ {
		var line, doc []byte
		line, body = cutLine(body)
		if blank(line) {
			continue
		}
		a := action{index: index, status: http.StatusCreated}
		if err := a.parse(line, n); err != nil {
			return nil, nil, nil, err
		}
		if a.op != "delete" {
			if len(body) == 0 {
				return nil, nil, nil, fmt.Errorf("the source of the action on line [%d] is missing", n)
			}
			var lines int
			doc, body, lines = cutSource(body)
			n += lines
		}
		switch {
		case a.op == "delete" || a.op == "update":
			a.fail(http.StatusBadRequest, "illegal_argument_exception", "only index and create are taken here")
		case len(doc) > int(in.config.MaxEvent):
			a.fail(http.StatusRequestEntityTooLarge, "content_too_long_exception", "the document is larger than max_event")
			refused = append(refused, agent.Refusal{Text: doc[:in.config.MaxEvent], Offset: w.offset(doc), Reason: agent.ReasonTooLong, Detail: a.reason})
		case blank(doc):
			a.fail(http.StatusBadRequest, "document_parsing_exception", "the document is empty")
		default:
			w.document(&a, doc)
			w.offsets = append(w.offsets, w.offset(doc))
			placed = append(placed, len(actions))
		}
		if len(actions) == in.config.MaxEvents {
			return nil, nil, nil, fmt.Errorf("more than %d actions", in.config.MaxEvents)
		}
		actions = append(actions, a)
	}
	return actions, placed, refused, nil
}

// cutSource takes the source of an action off body, and says how many lines that
// are. Blank lines are ignored; where the next action follows them, or nothing, the source is empty.
func cutSource(body []byte) (doc, rest []byte, lines int) {
	doc, rest = cutLine(body)
	for lines = 1; blank(doc) && len(rest) > 0; lines++ {
		next, after := cutLine(rest)
		if !blank(next) && new(action).parse(next, 0) == nil {
			break
		}
		doc, rest = next, after
	}
	return doc, rest, lines
}

// parse reads an action line, the n-th of the body.
func (a *action) parse(line []byte, n int) error {
	line = bytes.TrimSpace(line)
	if line[0] != '{' || !json.Valid(line) {
		return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected START_OBJECT", n))
	}
	var bad error
	cjson.Walk(line, func(key, value []byte) bool {
		switch {
		case a.op != "":
			bad = elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected END_OBJECT but found [FIELD_NAME]", n))
			return false
		case string(key) == "index" || string(key) == "create" || string(key) == "update" || string(key) == "delete":
			a.op = string(key)
		default:
			bad = elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected field [create], [delete], [index] or [update] but found [%.100s]", n, key))
			return false
		}
		if value[0] != '{' {
			bad = elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected START_OBJECT", n))
			return false
		}
		cjson.Walk(value, func(key, value []byte) bool {
			switch {
			case string(value) == "null":
			case string(key) == "_index":
				a.index = quoted(value)
			case string(key) == "_id":
				a.id = quoted(value)
			}
			return true
		})
		return true
	})
	switch {
	case bad != nil:
		return bad
	case a.op == "":
		return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected FIELD_NAME but found [END_OBJECT]", n))
	case string(a.id) == `""`:
		return elasticText("if _id is specified it must not be empty")
	case len(a.id) > 2+512 && len(cjson.Text(nil, a.id)) > 512:
		return fmt.Errorf("the id on line [%d] is too long, must be no longer than 512 bytes", n)
	}
	return nil
}

// quoted is a scalar as a JSON string.
func quoted(value []byte) []byte {
	if value[0] == '"' {
		return value
	}
	return cjson.AppendString(nil, cjson.Text(nil, value))
}

// document makes an event of doc. The action's id becomes its event_id, unless
// it has one, and @timestamp its timestamp. What is no object is left to the
// log, which refuses it and keeps it.
func (w *work) document(a *action, doc []byte) {
	doc = bytes.TrimSpace(doc)
	var id, time, ecsTime []byte
	end, ok := 0, false
	if doc[0] == '{' {
		end, ok = scanObject(doc, 0, maxDepth, func(key, value []byte) {
			switch {
			case cjson.KeyIs(key, "event_id"):
				id = value
			case cjson.KeyIs(key, "timestamp"):
				time = value
			case string(key) == "@timestamp":
				ecsTime = value
			}
		})
	}
	if !ok || end != len(doc) {
		w.items = append(w.items, doc)
		return
	}
	if a.id == nil && !cjson.IsAbsent(id) && id[0] != '{' && id[0] != '[' {
		a.id = quoted(id)
	}
	if a.id == nil {
		a.id = cjson.AppendString(nil, rand.Text())
	}
	addID := cjson.IsAbsent(id)
	addTime := cjson.IsAbsent(time) && !cjson.IsAbsent(ecsTime)
	if !addID && !addTime {
		w.items = append(w.items, doc)
		return
	}
	start := len(w.arena)
	b := append(w.arena, bytes.TrimRight(doc[:len(doc)-1], " \t\r\n")...)
	first := start
	if len(b) == start+1 {
		first = len(b) // an empty object: no comma
	}
	if addID {
		b = appendMember(b, first, []byte("event_id"), a.id)
		first = start
	}
	if addTime {
		b = appendMember(b, first, []byte("timestamp"), ecsTime)
	}
	w.arena = append(b, '}')
	w.items = append(w.items, w.arena[start:len(w.arena):len(w.arena)])
}

// sendItems answers with one item for each action, in order.
func sendItems(rw *answer, actions []action, took time.Duration) {
	failed := false
	for i := range actions {
		failed = failed || actions[i].kind != ""
	}
	b := make([]byte, 0, 128*len(actions)+64)
	b = strconv.AppendInt(append(b, `{"took":`...), took.Milliseconds(), 10)
	b = strconv.AppendBool(append(b, `,"errors":`...), failed)
	b = append(b, `,"items":[`...)
	for i := range actions {
		a := &actions[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, `{"`...), a.op...), `":{"_index":`...)
		b = append(append(b, a.index...), `,"_id":`...)
		if a.id == nil {
			b = append(b, "null"...)
		}
		b = append(b, a.id...)
		if a.kind == "" {
			b = append(b, `,"_version":1,"result":"created"`...)
		}
		b = strconv.AppendInt(append(b, `,"status":`...), int64(a.status), 10)
		if a.kind != "" {
			b = append(append(append(b, `,"error":{"type":"`...), a.kind...), `","reason":`...)
			b = append(cjson.AppendString(b, a.reason), '}')
		}
		b = append(b, '}', '}')
	}
	rw.send(http.StatusOK, rw.Header().Get("Content-Type"), append(b, ']', '}'))
}
