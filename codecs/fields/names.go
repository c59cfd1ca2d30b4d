package fields

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

// longestName is the size of the longest key that named knows.
const longestName = len("sub_technique_name")

// named is where the member of g that is called key goes to: a value, if it is
// one of interest, or a group, if it is one whose members are.
func (f *Fields) named(g group, key []byte) (to *Value, in group) {
	switch g {
	case top:
		switch string(key) {
		case "title":
			to = &f.Title
		case "description":
			to = &f.Description
		case "recommendations":
			to = &f.Recommendations
		case "risk_factors":
			to = &f.RiskFactors
		case "anomaly":
			in = anomaly
		case "detection":
			in = detection
		case "risk":
			in = risk
		case "risk_components":
			in = components
		case "compliance":
			in = compliance
		case "violations":
			in = violations
		case "mitre_attack":
			in = mitre
		}
	case anomaly:
		switch string(key) {
		case "type":
			to = &f.AnomalyType
		case "score":
			to = &f.AnomalyScore
		case "confidence":
			to = &f.Confidence
		}
	case detection:
		switch string(key) {
		case "method":
			to = &f.Method
		case "detector":
			to = &f.Detector
		}
	case risk:
		switch string(key) {
		case "total_score":
			to = &f.RiskScore
		case "level":
			to = &f.RiskLevel
		case "previous_score":
			to = &f.PreviousScore
		case "score_change":
			to = &f.ScoreChange
		}
	case components:
		switch string(key) {
		case "security_posture":
			to = &f.SecurityPosture
		case "compliance":
			to = &f.ComplianceComponent
		case "vulnerability":
			to = &f.Vulnerability
		case "behavior":
			to = &f.Behaviour
		}
	case compliance:
		switch string(key) {
		case "is_compliant":
			to = &f.IsCompliant
		case "score":
			to = &f.ComplianceScore
		case "policies_total":
			to = &f.PoliciesTotal
		case "policies_passed":
			to = &f.PoliciesPassed
		case "policies_failed":
			to = &f.PoliciesFailed
		}
	case violations:
		if string(key) == "critical_policies" {
			to = &f.CriticalPolicies
		}
	case mitre:
		to = f.Mitre.named(key)
	}
	return to, in
}
