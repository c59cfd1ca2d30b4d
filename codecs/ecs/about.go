package ecs

import (
	"fmt"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
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

// describe makes the members of event that follow from its type, up to the last word of the dataset.
func describe(w int, app string) []byte {
	text := fmt.Sprintf(`"kind":%q,"category":[%q],"type":["info"],"module":`, words[w].kind, words[w].category)
	b := fields.AppendString([]byte(text), []byte(app))
	b = append(b, `,"dataset":"`...)
	return append(fields.AppendInside(b, []byte(app)), '.')
}

// appendAbout appends the members of event that follow from its type and severity.
func (c *Codec) appendAbout(dst []byte, e *agent.Event) []byte {
	w := 0
	for w < len(words)-1 && string(e.Type) != words[w].eventType {
		w++
	}
	dst = fields.AppendInside(append(dst, c.about[w]...), fields.TypeOf(e))
	dst = append(dst, `","severity":`...)
	return append(dst, fields.ECSSeverity(e.Severity)...)
}
