// Package ecs writes events for the bulk API of Elasticsearch and OpenSearch:
// an action line and a document line for each event.
//
// A document of the schema "ecs" has the fields of the Elastic Common Schema
// that the event can fill, and the event itself, unchanged, below the name of
// the app. One of the schema "raw" is the event itself with an @timestamp.
package ecs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
)

// Version is the version of ECS that the documents follow.
const Version = "8.17.0"

// Config of a Codec.
type Config struct {
	App string // event.module, and the name below which the event stands; default siemd

	Op           string // create | index; default create
	Index        string // a template (package route); left out if empty
	IndexDefault string // for events whose values do not fit Index; empty: the template's beginning
	DataStream   bool   // Index names a data stream
	Pipeline     string // left out if empty
	Routing      string // fixed, or {source} for the event's source; left out if empty
	NoID         bool   // no _id, for collections that refuse one; a retry then makes a second document

	Schema string // ecs | raw; default ecs

	Repairs *fields.Repairs // counts what did not fit; may be nil
}

// Codec is an agent.Encoder. It is safe for concurrent use.
type Codec struct {
	reader  fields.Reader
	threats fields.Memo // what appendThreat appended, by mitre_attack
	action  action
	raw     bool

	between []byte             // the end of the action and the beginning of the document, with blanks for its time
	about   [len(words)][]byte // what describe made
	app     []byte             // ,"app":
	repairs *fields.Repairs
}

// Names that documents use at the top level or that ECS gives a meaning to.
var reserved = []string{
	"@timestamp", "ecs", "message", "event", "host", "rule", "threat", "related", "labels", "tags", "data_stream",
	"agent", "client", "cloud", "container", "destination", "device", "dll", "dns", "email", "error", "faas", "file",
	"group", "hash", "http", "interface", "log", "network", "observer", "orchestrator", "organization", "package",
	"process", "registry", "server", "service", "source", "span", "tls", "trace", "transaction", "url", "user",
	"user_agent", "vlan", "volume", "vulnerability", "x509",
}

// New makes a Codec, or says what is wrong with c.
func New(c Config) (*Codec, error) {
	if c.App == "" {
		c.App = "siemd"
	}
	if slices.Contains(reserved, c.App) {
		return nil, fmt.Errorf("app: %q is a name of the Elastic Common Schema and cannot hold the original event", c.App)
	}
	if strings.Trim(c.App, " .") != c.App {
		return nil, fmt.Errorf("app: %q cannot be the name of a field", c.App)
	}
	k := &Codec{repairs: c.Repairs}
	switch c.Schema {
	case "", "ecs":
	case "raw":
		k.raw = true
	default:
		return nil, fmt.Errorf("schema: %q is neither ecs nor raw", c.Schema)
	}
	var err error
	if k.action, err = newAction(c); err != nil {
		return nil, err
	}
	k.between = append([]byte(`"`), k.action.after...)
	if !k.raw {
		k.between = append(k.between, head+blanks+afterTime...)
	}
	k.app = append(fields.AppendString([]byte(","), []byte(c.App)), ':')
	for w := range k.about {
		k.about[w] = describe(w, c.App)
	}
	return k, nil
}

// Encode appends the action and the document of e, each ended by a line feed. It never fails.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	dst, l := c.action.append(dst, e)
	between := c.between
	if !l.quote {
		between = bytes.TrimPrefix(between[len(`"`):], []byte(",")) // what follows is the first member
	}
	if c.raw {
		return appendRaw(append(dst, between...), e), nil
	}
	return c.appendDocument(dst, e, l, between), nil
}

// appendRaw appends the body, with @timestamp as its first member unless it has one.
func appendRaw(dst []byte, e *agent.Event) []byte {
	if hasTimestamp(e.Body) {
		return append(append(dst, e.Body...), '\n')
	}
	n := len(dst)
	dst = append(dst, head+blanks+`"`...)
	fields.PutISO((*[fields.SizeISO]byte)(dst[n+len(head):]), e.Time)
	members := e.Body[bytes.IndexByte(e.Body, '{')+1:]
	for len(members) > 0 && (members[0] == ' ' || members[0] == '\t') {
		members = members[1:]
	}
	if len(members) > 0 && members[0] != '}' {
		dst = append(dst, ',')
	}
	return append(append(dst, members...), '\n')
}

// hasTimestamp reports whether the object has a member @timestamp.
func hasTimestamp(body []byte) (found bool) {
	// An escape of ASCII begins with \u00. Without one the name can only stand
	// there in plain text. A single byte is found much faster than a word, and most events have neither.
	if !contains(body, '@', "@timestamp") && !contains(body, '\\', `\u00`) {
		return false
	}
	json.Walk(body, func(key, _ []byte) bool {
		found = json.KeyIs(key, "@timestamp")
		return !found
	})
	return found
}

// contains reports whether body has text, which begins with first.
func contains(body []byte, first byte, text string) bool {
	i := bytes.IndexByte(body, first)
	return i >= 0 && bytes.Contains(body[i:], []byte(text))
}
