package fields

import "encoding/binary"

// A Name is what a member is called here.
type Name uint8

// The names of members, by where they stand.
const (
	unmapped Name = iota

	Title
	Description
	Recommendations
	RiskFactors
	attacks // mitre_attack, unless it is an object

	AnomalyType // anomaly
	AnomalyScore
	Confidence

	Method // detection
	Detector

	RiskScore // risk
	RiskLevel
	PreviousScore
	ScoreChange

	SecurityPosture // risk_components
	ComplianceComponent
	Vulnerability
	Behaviour

	IsCompliant // compliance
	ComplianceScore
	PoliciesTotal
	PoliciesPassed
	PoliciesFailed

	CriticalPolicies // violations

	tactic // mitre_attack: for each Part its id and its name
	tacticName
	technique
	techniqueName
	subTechnique
	subTechniqueName

	attackOpens // the braces of mitre_attack, if it is an object
	attackCloses

	names
)

// A group is an object whose members are looked at.
type group uint8

const (
	none group = iota
	top
	anomaly
	detection
	risk
	components
	compliance
	violations
	mitre
)

// A member is one that is looked at, or that is so frequent that it is
// recognised in order to be passed by.
type member struct {
	of    group
	key   string
	name  Name
	opens group // its own members are looked at
}

var members = []member{
	{top, "event_id", unmapped, none},
	{top, "timestamp", unmapped, none},
	{top, "event_type", unmapped, none},
	{top, "source", unmapped, none},
	{top, "severity", unmapped, none},
	{top, "title", Title, none},
	{top, "description", Description, none},
	{top, "recommendations", Recommendations, none},
	{top, "risk_factors", RiskFactors, none},
	{top, "anomaly", unmapped, anomaly},
	{top, "detection", unmapped, detection},
	{top, "risk", unmapped, risk},
	{top, "risk_components", unmapped, components},
	{top, "compliance", unmapped, compliance},
	{top, "violations", unmapped, violations},
	{top, "mitre_attack", attacks, mitre},
	{anomaly, "type", AnomalyType, none},
	{anomaly, "score", AnomalyScore, none},
	{anomaly, "confidence", Confidence, none},
	{detection, "method", Method, none},
	{detection, "detector", Detector, none},
	{risk, "total_score", RiskScore, none},
	{risk, "level", RiskLevel, none},
	{risk, "previous_score", PreviousScore, none},
	{risk, "score_change", ScoreChange, none},
	{components, "security_posture", SecurityPosture, none},
	{components, "compliance", ComplianceComponent, none},
	{components, "vulnerability", Vulnerability, none},
	{components, "behavior", Behaviour, none},
	{compliance, "is_compliant", IsCompliant, none},
	{compliance, "score", ComplianceScore, none},
	{compliance, "policies_total", PoliciesTotal, none},
	{compliance, "policies_passed", PoliciesPassed, none},
	{compliance, "policies_failed", PoliciesFailed, none},
	{violations, "critical_policies", CriticalPolicies, none},
	{mitre, "tactic", tactic, none},
	{mitre, "tactic_name", tacticName, none},
	{mitre, "technique", technique, none},
	{mitre, "technique_name", techniqueName, none},
	{mitre, "sub_technique", subTechnique, none},
	{mitre, "subtechnique", subTechnique, none},
	{mitre, "sub_technique_name", subTechniqueName, none},
	{mitre, "subtechnique_name", subTechniqueName, none},
}

// A key is how a member's key is written nearly always: without white space
// and escapes, the colon behind it. Its first 16 bytes are compared as two numbers.
type key struct {
	member
	size        int
	first, next uint64 // of the text, 0 behind its end
	mask, mask2 uint64 // which bytes of them count
	rest        string // beyond them
	also        uint8  // index of another key with the same hash; 0: none
}

const (
	// compared is how much of a text is needed to look for a key in it.
	compared = 16
	// longest is the size of the longest key, as it is written.
	longest = len(`"sub_technique_name":`)
)

// keys has an entry for each member, from 1 on; hashed has the first one of each hash.
var keys, hashed = func() (keys [64]key, hashed [256]uint8) {
	for i, m := range members {
		text := `"` + m.key + `":`
		k := key{member: m, size: len(text), rest: text[min(len(text), compared):]}
		var b, mask [compared]byte
		for i := range copy(b[:], text) {
			mask[i] = 0xff
		}
		k.first, k.next = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
		k.mask, k.mask2 = binary.LittleEndian.Uint64(mask[:]), binary.LittleEndian.Uint64(mask[8:])
		h := hash(m.of, k.first)
		k.also, hashed[h] = hashed[h], uint8(i+1)
		keys[i+1] = k
	}
	return keys, hashed
}()

// hash is of the first seven bytes of a text, which every key has, and of where it stands.
func hash(g group, first uint64) uint8 {
	return uint8((first<<8 | uint64(g)) * 0x9e3779b97f4a7c15 >> 56)
}

// find is the member of g whose key the text begins with, or nil.
func find(g group, text []byte) *key {
	if len(text) < compared {
		return nil
	}
	first, next := binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:])
	for at := hashed[hash(g, first)]; at != 0; {
		k := &keys[at&63]
		if (first^k.first)&k.mask|(next^k.next)&k.mask2|uint64(k.of^g) == 0 &&
			(k.rest == "" || len(text) >= k.size && string(text[compared:k.size]) == k.rest) {
			return k
		}
		at = k.also
	}
	return nil
}
