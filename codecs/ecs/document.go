package ecs

import (
	"fmt"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/route"
)

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

// describe makes the members of event that follow from its type and severity,
// behind the open quote of its id. For a type of its own the end of the dataset and the severity are left open.
func describe(w int, app, eventType string, s agent.Severity) []byte {
	text := fmt.Sprintf(`","kind":%q,"category":[%q],"type":["info"],"module":`, words[w].kind, words[w].category)
	b := fields.AppendString([]byte(text), []byte(app))
	b = append(b, `,"dataset":"`...)
	b = append(fields.AppendInside(b, []byte(app)), '.')
	if eventType == "" {
		return b
	}
	b = append(b, eventType+`","severity":`...)
	return append(b, fields.ECSSeverity(s)...)
}

// How a document begins, around its time.
const (
	head      = `{"@timestamp":"`
	blanks    = "                        " // fields.SizeISO
	afterTime = `","ecs":{"version":"` + Version + `"},"message":`
)

// appendDocument appends a document of which the beginning is there already, up to the value of message.
func (c *Codec) appendDocument(dst []byte, e *agent.Event, l line) []byte {
	var f fields.Fields
	c.reader.Read(&f, e)

	fields.PutISO((*[fields.SizeISO]byte)(dst[len(dst)-len(blanks+afterTime):]), e.Time)
	if title := f.Get(fields.Title); title != nil {
		dst = title.AppendJSON(dst)
	} else {
		dst = fields.AppendString(dst, f.Headline(e))
	}
	dst = c.appendEvent(dst, e, &f, l.id) // whose closing brace, like those of others, comes with what follows
	source, size := 0, 0                  // where the source stands as a JSON string
	if len(e.Source) > 0 {
		dst = append(dst, `},"host":{"id":"`...)
		source = len(dst)
		dst = fields.AppendInside(dst, e.Source)
		size = len(dst) - source
		dst = append(dst, '"')
		if f.Kind == fields.Risk {
			dst = c.appendRisk(dst, &f)
		}
	} else if f.Kind == fields.Risk {
		before := len(dst)
		dst = append(dst, `},"host":{`...)
		empty := len(dst)
		if dst = c.appendRisk(dst, &f); len(dst) == empty {
			dst = dst[:before]
		}
	}
	if detector := f.Get(fields.Detector); detector != nil {
		dst = append(dst, `},"rule":{"name":`...)
		dst = detector.AppendJSON(dst)
	}
	dst = c.appendThreat(dst, &f)
	if len(e.Source) > 0 {
		dst = append(dst, `},"related":{"hosts":["`...)
		dst = append(dst, dst[source:source+size]...)
		dst = append(dst, `"]`...)
	}
	if !l.own {
		dst = append(dst, `},"tags":["`+route.Flag+`"]`...)
		dst = append(dst, c.app[len("}"):]...)
	} else {
		dst = append(dst, c.app...)
	}
	dst = append(dst, e.Body...)
	return append(dst, "}\n"...)
}

// appendEvent appends the member event but for the brace that closes it. id is
// how the event's id is written, if that is known.
func (c *Codec) appendEvent(dst []byte, e *agent.Event, f *fields.Fields, id []byte) []byte {
	about := c.unknown
	w := wordsOf(e.Type)
	if w < len(c.known) {
		about = c.known[w][min(e.Severity, agent.Critical)]
	}
	switch {
	case id != nil:
		dst = append(append(dst, `,"event":{"id":"`...), id...)
	case len(e.ID) > 0:
		dst = fields.AppendInside(append(dst, `,"event":{"id":"`...), e.ID)
	default:
		dst = append(dst, `,"event":{`...)
		about = about[len(`",`):]
	}
	dst = append(dst, about...)
	if w == len(c.known) {
		dst = fields.AppendInside(dst, fields.TypeOf(e))
		dst = append(dst, `","severity":`...)
		dst = append(dst, fields.ECSSeverity(e.Severity)...)
	}
	switch f.Kind {
	case fields.Anomaly, fields.Risk:
		if score := f.Score(); c.fits(score) {
			dst = append(dst, `,"risk_score":`...)
			dst = append(dst, score...)
		}
	case fields.Compliance:
		if outcome := f.Outcome(); outcome != "" {
			dst = append(dst, `,"outcome":"`...)
			dst = append(append(dst, outcome...), '"')
		}
	}
	return dst
}

// appendRisk appends the risk that a risk assessment found to its host.
func (c *Codec) appendRisk(dst []byte, f *fields.Fields) []byte {
	dst, risk := begin(dst, `"risk":{`)
	if level := f.Get(fields.RiskLevel); level != nil {
		dst = append(dst, `"calculated_level":`...)
		start := len(dst)
		dst = level.AppendJSON(dst)
		capitalise(dst[start:])
	}
	if score := f.Get(fields.RiskScore); c.fits(score) {
		dst = append(comma(dst), `"calculated_score":`...)
		dst = append(dst, score...)
	}
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

// fits reports whether v is there and a number that a field of floats can
// index. What it could not, so that the whole document would be refused, is
// left out of the fields and stays in the original.
func (c *Codec) fits(v fields.Value) bool {
	if v == nil {
		return false
	}
	ok := v.IsNumber() && v.FitsFloat()
	if !ok {
		c.repairs.Add(fields.NotNumber)
	}
	return ok
}
