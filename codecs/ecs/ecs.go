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
	"github.com/adrian207/siemd/codecs/route"
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
	reader fields.Reader
	action action
	raw    bool

	known   [len(words) - 1][agent.Critical + 1][]byte // described in full
	unknown []byte                                     // described up to the type
	app     []byte                                     // ,"app":
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
	k.app = append(fields.AppendString([]byte(","), []byte(c.App)), ':')
	k.unknown = describe(len(words)-1, c.App, "", agent.Unset)
	for w := range k.known {
		for s := range k.known[w] {
			k.known[w][s] = describe(w, c.App, words[w].eventType, agent.Severity(s))
		}
	}
	return k, nil
}

// Encode appends the action and the document of e, each ended by a line feed. It never fails.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	dst, own := c.action.append(dst, e)
	if c.raw {
		return appendRaw(dst, e), nil
	}
	return c.appendDocument(dst, e, own), nil
}

// appendRaw appends the body, with @timestamp as its first member unless it has one.
func appendRaw(dst []byte, e *agent.Event) []byte {
	if hasTimestamp(e.Body) {
		return append(append(dst, e.Body...), '\n')
	}
	dst = append(dst, `{"@timestamp":"`...)
	dst = append(fields.AppendISO(dst, e.Time), '"')
	members := bytes.TrimLeft(e.Body[bytes.IndexByte(e.Body, '{')+1:], " \t")
	if len(members) > 0 && members[0] != '}' {
		dst = append(dst, ',')
	}
	return append(append(dst, members...), '\n')
}

// hasTimestamp reports whether the object has a member @timestamp.
func hasTimestamp(body []byte) (found bool) {
	// An escape of ASCII begins with \u00. Without one the name can only stand there in plain text.
	if !bytes.Contains(body, []byte("@timestamp")) && !bytes.Contains(body, []byte(`\u00`)) {
		return false
	}
	json.Walk(body, func(key, _ []byte) bool {
		found = json.KeyIs(key, "@timestamp")
		return !found
	})
	return found
}

// What events are in the words of ECS, by their type; the last is for all other types.
var words = [...]struct{ eventType, kind, category string }{
	{"anomaly", "alert", "intrusion_detection"},
	{"alert", "alert", "intrusion_detection"},
	{"security_event", "event", "intrusion_detection"},
	{"risk_assessment", "state", "host"},
	{"compliance_check", "state", "configuration"},
	{"telemetry", "metric", "host"},
	{"workflow_execution", "event", "host"},
	{"", "event", "host"},
}

func wordsOf(eventType []byte) int {
	for i := range len(words) - 1 {
		if string(eventType) == words[i].eventType {
			return i
		}
	}
	return len(words) - 1
}

// describe makes the members of event that follow from its type and severity.
// For a type of its own the end of the dataset and the severity are left open.
func describe(w int, app, eventType string, s agent.Severity) []byte {
	text := fmt.Sprintf(`"kind":%q,"category":[%q],"type":["info"],"module":`, words[w].kind, words[w].category)
	b := fields.AppendString([]byte(text), []byte(app))
	b = append(b, `,"dataset":"`...)
	b = append(fields.AppendInside(b, []byte(app)), '.')
	if eventType == "" {
		return b
	}
	b = append(b, eventType+`","severity":`...)
	return append(b, fields.ECSSeverity(s)...)
}

func (c *Codec) appendDocument(dst []byte, e *agent.Event, own bool) []byte {
	var f fields.Fields
	c.reader.Read(&f, e)

	dst = append(dst, `{"@timestamp":"`...)
	dst = fields.AppendISO(dst, e.Time)
	dst = append(dst, `","ecs":{"version":"`+Version+`"},"message":`...)
	if f.Get(fields.Title) != nil {
		dst = f.Get(fields.Title).AppendJSON(dst)
	} else {
		dst = fields.AppendString(dst, f.Headline(e))
	}

	dst = append(dst, `,"event":{`...)
	if len(e.ID) > 0 {
		dst = append(fields.AppendString(append(dst, `"id":`...), e.ID), ',')
	}
	if w := wordsOf(e.Type); w < len(words)-1 {
		dst = append(dst, c.known[w][min(e.Severity, agent.Critical)]...)
	} else {
		dst = append(dst, c.unknown...)
		dst = fields.AppendInside(dst, fields.TypeOf(e))
		dst = append(dst, `","severity":`...)
		dst = append(dst, fields.ECSSeverity(e.Severity)...)
	}
	if outcome := f.Outcome(); outcome != "" {
		dst = append(dst, `,"outcome":"`...)
		dst = append(append(dst, outcome...), '"')
	}
	if f.Kind == fields.Anomaly || f.Kind == fields.Risk {
		dst = c.number(dst, `"risk_score":`, f.Score())
	}
	dst = append(dst, '}')

	source, size := 0, 0 // where the source stands as a JSON string
	if len(e.Source) > 0 {
		dst = append(dst, `,"host":{"id":`...)
		source = len(dst)
		dst = fields.AppendString(dst, e.Source)
		size = len(dst) - source
		if f.Kind == fields.Risk {
			dst = c.appendRisk(dst, &f)
		}
		dst = append(dst, '}')
	} else if f.Kind == fields.Risk {
		var host list
		dst, host = begin(dst, `"host":{`)
		dst = host.end(c.appendRisk(dst, &f), '}')
	}
	if f.Get(fields.Detector) != nil {
		dst = append(dst, `,"rule":{"name":`...)
		dst = append(f.Get(fields.Detector).AppendJSON(dst), '}')
	}
	if mitre, ok := f.Mitre(); ok {
		dst = appendThreat(dst, &mitre)
	}
	if len(e.Source) > 0 {
		dst = append(dst, `,"related":{"hosts":[`...)
		dst = append(append(dst, dst[source:source+size]...), ']', '}')
	}
	if !own {
		dst = append(dst, `,"tags":["`+route.Flag+`"]`...)
	}
	dst = append(dst, c.app...)
	dst = append(dst, e.Body...)
	return append(dst, '}', '\n')
}

// appendRisk appends the risk that a risk assessment found to its host.
func (c *Codec) appendRisk(dst []byte, f *fields.Fields) []byte {
	dst, risk := begin(dst, `"risk":{`)
	if f.Get(fields.RiskLevel) != nil {
		dst = append(dst, `"calculated_level":`...)
		level := len(dst)
		dst = f.Get(fields.RiskLevel).AppendJSON(dst)
		capitalise(dst[level:])
	}
	dst = c.number(dst, `"calculated_score":`, f.Get(fields.RiskScore))
	return risk.end(dst, '}')
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
