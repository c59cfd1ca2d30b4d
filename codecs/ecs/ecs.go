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
	action action
	raw    bool

	module  []byte // ,"module":"app","dataset":"app.
	app     []byte // ,"app":
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
	quoted := json.AppendString(nil, c.App)
	k.app = slices.Concat([]byte(","), quoted, []byte(":"))
	k.module = slices.Concat([]byte(`,"module":`), quoted, []byte(`,"dataset":`), quoted[:len(quoted)-1], []byte("."))
	return k, nil
}

// Encode appends the action and the document of e, each ended by a line feed. It never fails.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	dst = c.action.append(dst, e)
	if c.raw {
		return appendRaw(dst, e), nil
	}
	return c.appendDocument(dst, e), nil
}

// appendRaw appends the body, with @timestamp as its first member unless it has one.
func appendRaw(dst []byte, e *agent.Event) []byte {
	found, empty := false, true
	json.Walk(e.Body, func(key, _ []byte) bool {
		empty = false
		found = json.KeyIs(key, "@timestamp")
		return !found
	})
	if found {
		return append(append(dst, e.Body...), '\n')
	}
	dst = append(dst, `{"@timestamp":"`...)
	dst = append(fields.AppendISO(dst, e.Time), '"')
	if !empty {
		dst = append(dst, ',')
	}
	dst = append(dst, e.Body[bytes.IndexByte(e.Body, '{')+1:]...)
	return append(dst, '\n')
}

// What an event is in the words of ECS: event.kind, .category and .type.
const (
	alert       = `"kind":"alert","category":["intrusion_detection"],"type":["info"]`
	security    = `"kind":"event","category":["intrusion_detection"],"type":["info"]`
	state       = `"kind":"state","category":["host"],"type":["info"]`
	compliance  = `"kind":"state","category":["configuration"],"type":["info"]`
	measurement = `"kind":"metric","category":["host"],"type":["info"]`
	other       = `"kind":"event","category":["host"],"type":["info"]`
)

func category(eventType []byte) string {
	switch string(eventType) {
	case "anomaly", "alert":
		return alert
	case "security_event":
		return security
	case "risk_assessment":
		return state
	case "compliance_check":
		return compliance
	case "telemetry":
		return measurement
	}
	return other
}

func (c *Codec) appendDocument(dst []byte, e *agent.Event) []byte {
	var f fields.Fields
	f.Read(e)

	dst = append(dst, `{"@timestamp":"`...)
	dst = fields.AppendISO(dst, e.Time)
	dst = append(dst, `","ecs":{"version":"`+Version+`"},"message":`...)
	if f.Title != nil {
		dst = f.Title.AppendJSON(dst)
	} else {
		dst = json.AppendString(dst, f.Headline(e))
	}

	dst = append(dst, `,"event":{`...)
	if len(e.ID) > 0 {
		dst = append(dst, `"id":`...)
		dst = append(json.AppendString(dst, e.ID), ',')
	}
	dst = append(dst, category(e.Type)...)
	if outcome := f.Outcome(); outcome != "" {
		dst = append(dst, `,"outcome":"`...)
		dst = append(append(dst, outcome...), '"')
	}
	dst = append(dst, c.module...)
	dst = appendInside(dst, fields.TypeOf(e))
	dst = append(dst, `","severity":`...)
	dst = append(dst, fields.ECSSeverity(e.Severity)...)
	if f.Kind == fields.Anomaly || f.Kind == fields.Risk {
		dst = c.number(dst, `"risk_score":`, f.Score())
	}
	dst = append(dst, '}')

	dst = c.appendHost(dst, e, &f)
	if f.Detector != nil {
		dst = append(dst, `,"rule":{"name":`...)
		dst = append(f.Detector.AppendJSON(dst), '}')
	}
	if !f.Mitre.IsZero() {
		dst = appendThreat(dst, &f.Mitre)
	}
	if len(e.Source) > 0 {
		dst = append(dst, `,"related":{"hosts":[`...)
		dst = append(json.AppendString(dst, e.Source), "]}"...)
	}
	dst = append(dst, c.app...)
	dst = append(dst, e.Body...)
	return append(dst, '}', '\n')
}

// appendHost appends who the event is about and, of a risk assessment, the risk.
func (c *Codec) appendHost(dst []byte, e *agent.Event, f *fields.Fields) []byte {
	dst, host := begin(dst, `"host":{`)
	if len(e.Source) > 0 {
		dst = json.AppendString(append(dst, `"id":`...), e.Source)
	}
	if f.Kind == fields.Risk {
		var risk list
		dst, risk = begin(dst, `"risk":{`)
		if f.RiskLevel != nil {
			dst = append(dst, `"calculated_level":`...)
			level := len(dst)
			dst = f.RiskLevel.AppendJSON(dst)
			capitalise(dst[level:])
		}
		dst = c.number(dst, `"calculated_score":`, f.RiskScore)
		dst = risk.end(dst, '}')
	}
	return host.end(dst, '}')
}

// capitalise makes "high" and "HIGH" "High", as ECS writes levels of risk. Other text stays.
func capitalise(quoted []byte) {
	for _, c := range quoted[1 : len(quoted)-1] {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return
		}
	}
	for i := 1; i < len(quoted)-1; i++ {
		if i == 1 {
			quoted[i] &^= 0x20
		} else {
			quoted[i] |= 0x20
		}
	}
}

// number appends a member with a number as it is written. What the field could
// not index, so that the whole document would be refused, is left out: it
// stays in the original.
func (c *Codec) number(dst []byte, key string, v fields.Value) []byte {
	switch {
	case v == nil:
		return dst
	case !v.IsNumber() || !v.FitsFloat():
		c.repairs.Add(fields.NotNumber)
		return dst
	}
	return append(append(comma(dst), key...), v...)
}

// appendInside appends text as the inside of a JSON string.
func appendInside(dst, text []byte) []byte {
	n := len(dst)
	dst = json.AppendString(dst, text)
	copy(dst[n:], dst[n+1:len(dst)-1])
	return dst[:len(dst)-2]
}
