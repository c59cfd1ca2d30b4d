package ecs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
	"github.com/adrian207/siemd/codecs/route"
)

// MaxID is the size of an _id in bytes. A longer one makes Elasticsearch
// refuse the whole request, so it is replaced by its SHA-256 in lower-case hex.
const MaxID = 512

// action makes the line before a document.
type action struct {
	before   []byte          // up to the value of the id, if the index is fixed
	index    *route.Template // all that, if it is not
	named    bool            // there is an index
	beforeID []byte          // what of it is there for the id
	noID     bool
	bySource bool   // routing is the event's source
	after    []byte // fixed members and the end
	repairs  *fields.Repairs
}

func newAction(c Config) (action, error) {
	a := action{repairs: c.Repairs, noID: c.NoID}
	op := c.Op
	switch op {
	case "":
		op = "create"
	case "create", "index":
	default:
		return a, fmt.Errorf("op: %q is neither create nor index", op)
	}
	if c.DataStream && op != "create" {
		return a, fmt.Errorf("op: a data stream takes only create")
	}
	a.before, a.beforeID = []byte(`{"`+op+`":{`), []byte(`"_id":"`)
	if c.Index != "" {
		alphabet := route.ElasticIndex
		if c.DataStream {
			alphabet = route.ElasticDataStream
		}
		t, err := route.Parse(c.Index, c.IndexDefault, alphabet, c.Repairs)
		if err != nil {
			return a, fmt.Errorf("index: %w", err)
		}
		a.before = append(a.before, `"_index":"`...)
		a.named, a.beforeID = true, []byte(`","_id":"`)
		if name, ok := t.Fixed(); ok {
			a.before = append(a.before, name...)
		} else {
			t.Around(a.before, a.beforeID)
			a.index, a.before = t, nil
		}
	}
	if a.index == nil {
		a.before = append(a.before, a.beforeID...)
	}
	if c.Pipeline != "" {
		a.after = json.AppendString(append(a.after, `,"pipeline":`...), c.Pipeline)
	}
	switch c.Routing {
	case "":
	case "{source}":
		a.bySource = true
	default:
		a.after = json.AppendString(append(a.after, `,"routing":`...), c.Routing)
	}
	a.after = append(a.after, '}', '}', '\n')
	return a, nil
}

// A line is what the document needs to know of the action before it.
type line struct {
	id    []byte // as it stands there; nil if it does not stand there in full
	own   bool   // the index is the event's own, and not the default of those that fit none
	quote bool   // a closing quote is to follow
}

// append appends the action but for a.after.
func (a *action) append(dst []byte, e *agent.Event) ([]byte, line) {
	l := line{own: true, quote: true}
	if a.index != nil {
		dst, l.own = a.index.AppendJSON(dst, e)
	} else {
		dst = append(dst, a.before...)
	}
	switch {
	case a.noID || len(e.ID) == 0:
		dst, l.quote = dst[:len(dst)-len(a.beforeID)], a.named
	case len(e.ID) > MaxID:
		a.repairs.Add(fields.IDHashed)
		sum := sha256.Sum256(e.ID)
		dst = hex.AppendEncode(dst, sum[:])
	default:
		start := len(dst)
		dst = fields.AppendInside(dst, e.ID)
		l.id = dst[start:]
	}
	if a.bySource && len(e.Source) > 0 {
		if l.quote {
			dst = append(dst, `",`...)
		}
		dst, l.quote = append(dst, `"routing":"`...), true
		dst = fields.AppendInside(dst, e.Source)
	}
	return dst, l
}
