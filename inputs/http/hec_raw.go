package http

import (
	"bytes"
	"net/http"

	"github.com/adrian207/siemd/agent"
	cjson "github.com/adrian207/siemd/codecs/json"
)

// takeRaw makes a message of each line. What the query says of host, time and
// the rest holds for all.
func (in *Input) takeRaw(rw *answer, req *http.Request, w *work, channel string) {
	query := req.URL.Query()
	var rest []byte
	for _, key := range []string{"index", "sourcetype", "source"} {
		if v := query.Get(key); v != "" {
			rest = appendMember(rest, 0, []byte(key), cjson.AppendString(nil, v))
		}
	}
	e := envelope{rest: rest}
	if v := query.Get("time"); v != "" {
		if e.time = cjson.AppendString(nil, v); !goodTime(e.time) {
			hecSay(rw, 15, -1, -1)
			return
		}
	}
	if v := query.Get("host"); v != "" {
		e.host = cjson.AppendString(nil, v)
	}
	for body := bytes.TrimPrefix(w.body, bom); len(body) > 0; {
		var line []byte
		line, body = cutLine(body)
		line = bytes.TrimSuffix(line, []byte("\r"))
		if blank(line) {
			continue
		}
		if len(line) > int(in.config.MaxEvent) || len(w.items) == in.config.MaxEvents {
			hecRefuse(rw, errTooLarge)
			return
		}
		one := e
		one.event = cjson.AppendString(nil, line)
		start := len(w.arena)
		w.arena = one.appendEvent(w.arena)
		w.items = append(w.items, w.arena[start:len(w.arena):len(w.arena)])
		w.offsets = append(w.offsets, w.offset(line))
	}
	if len(w.items) == 0 {
		hecSay(rw, 5, -1, -1)
		return
	}
	in.takeHEC(rw, req, agent.Batch{Lines: w.items, Offsets: w.offsets, Fields: rw.fields, File: req.RemoteAddr}, badObject{}, channel)
}
