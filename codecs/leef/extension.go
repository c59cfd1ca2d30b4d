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
	key   string // "usrName="
	path  []string
	limit int // characters of the value; 0: any number
}

// taken are the attributes that every line may have already. A key that is
// given twice is read differently by every receiver.
var taken = []string{
	"devTime", "devTimeFormat", "sev", "cat", "resource", "externalId", "msg", "title",
	"anomalyScore", "anomalyConfidence", "detectionMethod", "detector", "mitreTactic", "mitreTechnique",
	"riskLevel", "riskScore", "previousRiskScore", "riskScoreChange", "riskFactors",
	"isCompliant", "complianceScore", "policiesTotal", "policiesPassed", "policiesFailed", "criticalPolicies",
}

// reserved are attributes that QRadar keeps for itself.
var reserved = []string{"identMAC", "isLoginEvent", "isLogoutEvent", "identSecondlp", "calLanguage", "calCountryOrRegion"}

// short are the attributes of which QRadar takes only so much.
var short = []string{"usrName", "identHostName", "identNetBios", "identGrpName", "vSrcName", "accountName"}

const maxShort = 255 // characters

// maxKey is the longest key, in characters.
const maxKey = 64

func (c *form) newExtensions(list []Extension) ([]extension, error) {
	var all []extension
	for _, x := range list {
		switch {
		case x.Key == "" || len(x.Key) > maxKey || strings.Trim(x.Key, alphanumeric) != "":
			return nil, fmt.Errorf("extensions: %q is no name of an attribute: want 1 to %d letters and digits", x.Key, maxKey)
		case slices.Contains(taken, x.Key):
			return nil, fmt.Errorf("extensions: %s is written already", x.Key)
		case slices.Contains(reserved, x.Key):
			return nil, fmt.Errorf("extensions: %s is reserved by QRadar", x.Key)
		case x.Path == "" || slices.Contains(strings.Split(x.Path, "."), ""):
			return nil, fmt.Errorf("extensions: %s needs the path of a member, for example network.src_ip", x.Key)
		case slices.ContainsFunc(all, func(e extension) bool { return e.key == x.Key+"=" }):
			return nil, fmt.Errorf("extensions: %s is given twice", x.Key)
		}
		e := extension{key: x.Key + "=", path: strings.Split(x.Path, ".")}
		if slices.Contains(short, x.Key) {
			e.limit = maxShort
		}
		all = append(all, e)
	}
	return all, nil
}

// extension appends the attribute of x, unless the event lacks the member.
func (c *form) extension(dst []byte, x *extension, e *agent.Event) []byte {
	v, ok := json.Get(e.Body, x.path...)
	if !ok || json.IsAbsent(v) {
		return dst
	}
	n := len(dst)
	dst = c.value(dst, x.key, fields.Value(v))
	if value := n + len(c.delimiter) + len(x.key); x.limit > 0 && len(dst) > value {
		if kept := fields.Trim(fields.CutChars(dst[value:], x.limit)); len(kept) < len(dst)-value {
			c.repairs.Add(fields.Truncated)
			dst = dst[:value+len(kept)]
		}
	}
	return dst
}
