package leef

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/json"
)

// An Extension puts a member of the event into an attribute of its own.
type Extension struct {
	Key  string // one word: a predefined attribute such as usrName or src, or one of one's own
	Path string // of the member, dotted: network.src_ip
}

type extension struct {
	key  string // "usrName="
	path []string
}

// taken are the attributes that every line may have already. A key that is
// given twice is read differently by every receiver.
var taken = []string{
	"devTime", "devTimeFormat", "sev", "cat", "resource", "externalId", "msg", "title",
	"anomalyScore", "anomalyConfidence", "detectionMethod", "detector", "mitreTactic", "mitreTechnique",
	"riskLevel", "riskScore", "previousRiskScore", "riskScoreChange", "riskFactors",
	"isCompliant", "complianceScore", "policiesTotal", "policiesPassed", "policiesFailed", "criticalPolicies",
}

// maxKey is the longest key, in characters.
const maxKey = 64

func (c *Codec) newExtensions(list []Extension) ([]extension, error) {
	var all []extension
	for _, x := range list {
		switch {
		case x.Key == "" || len(x.Key) > maxKey || strings.Trim(x.Key, alphanumeric) != "":
			return nil, fmt.Errorf("extensions: %q is no name of an attribute: want 1 to %d letters and digits", x.Key, maxKey)
		case slices.Contains(taken, x.Key):
			return nil, fmt.Errorf("extensions: %s is written already", x.Key)
		case x.Path == "" || slices.Contains(strings.Split(x.Path, "."), ""):
			return nil, fmt.Errorf("extensions: %s needs the path of a member, for example network.src_ip", x.Key)
		case slices.ContainsFunc(all, func(e extension) bool { return e.key == x.Key+"=" }):
			return nil, fmt.Errorf("extensions: %s is given twice", x.Key)
		}
		all = append(all, extension{key: x.Key + "=", path: strings.Split(x.Path, ".")})
	}
	return all, nil
}

// extension appends the attribute of x, unless the event lacks the member.
func (c *Codec) extension(dst []byte, l *line, x *extension, e *agent.Event) []byte {
	v, ok := json.Get(e.Body, x.path...)
	if !ok || json.IsAbsent(v) {
		return dst
	}
	return c.value(dst, l, x.key, fields.Value(v))
}
