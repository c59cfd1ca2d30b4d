package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An action is one pair of lines of a bulk request.
type action struct {
	op, index, id string
	hasID         bool
	doc           []byte
	requireAlias  bool
}

// elasticText is an error in Elasticsearch's words.
type elasticText string

func (e elasticText) Error() string { return string(e) }

// bulk answers a bulk request. All lines are looked at before anything is
// taken, because one bad action line fails the request.
func (e *elastic) bulk(req *http.Request, index string, body []byte) reply {
	l := e.r.ledger
	if len(body) == 0 {
		return esError(http.StatusBadRequest, "parse_exception", "request body is required")
	}
	if body[len(body)-1] != '\n' {
		l.bad("the final newline is missing")
		return esError(http.StatusBadRequest, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
	}
	if e.r.opts.Light && !e.r.faults.hasItem() {
		return e.takeLight(body)
	}
	actions, err := parseActions(body, index)
	if err != nil {
		l.bad(err.Error())
		return esError(http.StatusBadRequest, "illegal_argument_exception", err.Error())
	}
	if problem := validate(actions); problem != "" {
		l.bad(problem)
		return esError(http.StatusBadRequest, "action_request_validation_exception", problem)
	}
	filter := e.filter(req.URL.Query().Get("filter_path"))
	items := make([]byte, 0, 160*len(actions)+64)
	failed := false
	for i := range actions {
		r := e.do(&actions[i])
		failed = failed || r.status >= 300
		items = filter.appendItem(items, &actions[i], r)
	}
	return reply{status: http.StatusOK, body: filter.answer(items, failed)}
}

func parseActions(body []byte, index string) ([]action, error) {
	var actions []action
	for n := 1; len(body) > 0; n++ {
		var line []byte
		line, body = cutLine(body)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		a := action{index: index}
		if err := a.parse(line, n); err != nil {
			return nil, err
		}
		if a.op != "delete" {
			if len(body) == 0 {
				return nil, errors.New("the source of the last action is missing")
			}
			a.doc, body = cutLine(body)
			a.doc = bytes.TrimSuffix(a.doc, []byte("\r"))
			n++
		}
		actions = append(actions, a)
	}
	if len(actions) == 0 {
		return nil, errors.New("no requests added")
	}
	return actions, nil
}

var actionKeys = []string{"_index", "_id", "routing", "pipeline", "require_alias", "require_data_stream", "dynamic_templates", "version", "version_type", "if_seq_no", "if_primary_term", "list_executed_pipelines"}

func (a *action) parse(line []byte, n int) error {
	obj, rest, err := nextValue(line)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 || obj[0] != '{' {
		return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected START_OBJECT or END_OBJECT", n))
	}
	_, err = skipObject(obj, 0, 0, func(key, value []byte) error {
		if a.op != "" {
			return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected END_OBJECT but found [%s]", n, key))
		}
		a.op = unquote(key)
		if !slices.Contains([]string{"index", "create", "update", "delete"}, a.op) {
			return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected field [create], [delete], [index] or [update] but found [%s]", n, a.op))
		}
		if value[0] != '{' {
			return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected START_OBJECT", n))
		}
		_, err := skipObject(value, 0, 0, func(key, value []byte) error { return a.metadata(unquote(key), value, n) })
		return err
	})
	if err == nil && a.op == "" {
		return elasticText(fmt.Sprintf("Malformed action/metadata line [%d], expected FIELD_NAME but found [END_OBJECT]", n))
	}
	return err
}

func (a *action) metadata(key string, value []byte, n int) error {
	if !slices.Contains(actionKeys, key) {
		return elasticText(fmt.Sprintf("Action/metadata line [%d] contains an unknown parameter [%s]", n, key))
	}
	switch key {
	case "_index":
		a.index = unquote(value)
	case "_id":
		a.id, a.hasID = unquote(value), string(value) != "null"
	case "require_alias":
		a.requireAlias = string(value) == "true"
	}
	return nil
}

// validate is what makes Elasticsearch refuse the request as a whole.
func validate(actions []action) string {
	var problems []string
	add := func(text string) {
		if len(problems) < 10 {
			problems = append(problems, strconv.Itoa(len(problems)+1)+": "+text+";")
		}
	}
	for _, a := range actions {
		switch {
		case a.index == "":
			add("index is missing")
		case len(a.id) > 512:
			add(fmt.Sprintf("id [%s...] is too long, must be no longer than 512 bytes but was: %d", a.id[:20], len(a.id)))
		case a.hasID && a.id == "":
			add("if _id is specified it must not be empty")
		case !a.hasID && (a.op == "update" || a.op == "delete"):
			add("id is missing")
		}
	}
	if problems == nil {
		return ""
	}
	return "Validation Failed: " + strings.Join(problems, "")
}

// A result is the outcome of one action.
type result struct {
	status       int
	word         string // created, updated, deleted
	kind, reason string
}

func itemError(status int, kind, reason string) result {
	return result{status: status, kind: kind, reason: reason}
}

func (e *elastic) do(a *action) result {
	l := e.r.ledger
	refuse := func(r result) result { l.refused.Add(1); return r }
	stream := e.isStream(a.index)
	switch {
	case !goodIndex(a.index):
		l.bad("index name " + a.index)
		return refuse(itemError(400, "invalid_index_name_exception", "Invalid index name ["+a.index+"]"))
	case a.requireAlias:
		return refuse(itemError(404, "index_not_found_exception", "no such index ["+a.index+"] and [require_alias] request flag is [true]"))
	case a.op == "delete":
		return itemError(404, "", "")
	case stream && a.op != "create":
		l.bad("op " + a.op + " on a data stream")
		return refuse(itemError(400, "illegal_argument_exception", "only write ops with an op_type of create are allowed in data streams"))
	case a.op == "update":
		return refuse(itemError(404, "document_missing_exception", "["+a.id+"]: document missing"))
	}
	if status := e.r.faults.item(a.doc); status != 0 {
		k := esKinds[status]
		if k[0] == "" {
			k = [2]string{"exception", http.StatusText(status)}
		}
		return refuse(itemError(status, k[0], k[1]))
	}
	if err := checkDocument(a.doc, stream); err != nil {
		l.bad(err.Error())
		kind := "document_parsing_exception"
		if e.r.opts.OpenSearch {
			kind = "mapper_parsing_exception"
		}
		return refuse(itemError(400, kind, "[1:1] failed to parse: "+err.Error()))
	}
	return e.store(a)
}

func (e *elastic) store(a *action) result {
	if !a.hasID {
		e.r.ledger.take(nil, a.doc)
		a.id = string(e.makeID())
		return result{status: 201, word: "created"}
	}
	if a.op == "create" {
		if !e.r.ledger.takeNew([]byte(a.id), a.doc) {
			return itemError(409, "version_conflict_engine_exception", "["+a.id+"]: version conflict, document already exists (current version [1])")
		}
		return result{status: 201, word: "created"}
	}
	if e.r.ledger.take([]byte(a.id), a.doc) > 1 {
		return result{status: 200, word: "updated"}
	}
	return result{status: 201, word: "created"}
}

// isStream: names that the built-in templates make data streams, and those of the options.
func (e *elastic) isStream(index string) bool {
	for _, prefix := range []string{"logs-", "metrics-", "traces-"} {
		if strings.HasPrefix(index, prefix) && strings.Count(index, "-") >= 2 {
			return true
		}
	}
	return slices.Contains(e.r.opts.Indexes, index)
}

// goodIndex: protocols 2.6.
func goodIndex(name string) bool {
	return name != "." && name != ".." && len(name) <= 255 && name == strings.ToLower(name) &&
		!strings.ContainsAny(name, "\\/*?\"<>| ,#:") && !strings.ContainsAny(name[:1], "-_+")
}
