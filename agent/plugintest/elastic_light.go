package plugintest

import (
	"bytes"
	"net/http"
	"strconv"
)

var (
	createPrefix = []byte(`{"create"`)
	deletePrefix = []byte(`{"delete"`)
	idMark       = []byte(`"_id":"`)
)

// takeLight answers a bulk request without parsing it. It still tells a new
// document from one that exists, for that is how a client learns that it has
// repeated itself.
func (e *elastic) takeLight(body []byte) reply {
	items := make([]byte, 0, len(body)/8)
	failed := false
	for len(body) > 0 {
		var line, doc []byte
		line, body = cutLine(body)
		if len(line) < 2 {
			continue
		}
		if bytes.HasPrefix(line, deletePrefix) {
			items = append(items, `{"delete":{"status":404}},`...)
			failed = true
			continue
		}
		doc, body = cutLine(body)
		var id []byte
		if i := bytes.Index(line, idMark); i >= 0 {
			id = line[i+len(idMark):]
			id = id[:max(bytes.IndexByte(id, '"'), 0)]
		}
		op, status := "index", 201
		switch create := bytes.HasPrefix(line, createPrefix); {
		case create && len(id) > 0 && !e.r.ledger.takeNew(id, doc):
			op, status, failed = "create", 409, true
		case create && len(id) > 0:
			op = "create"
		case e.r.ledger.take(id, doc) > 1:
			status = 200
		case create:
			op = "create"
		}
		items = append(append(append(items, `{"`...), op...), `":{"status":`...)
		items = strconv.AppendInt(items, int64(status), 10)
		if status == 409 {
			items = append(items, `,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}`...)
		}
		items = append(items, "}},"...)
	}
	f := itemFilter{took: true, errors: true, all: true}
	return reply{status: http.StatusOK, body: f.answer(bytes.TrimSuffix(items, []byte(",")), failed)}
}
