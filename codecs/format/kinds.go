package format

import (
	"strconv"

	"github.com/adrian207/siemd/codecs/json"
)

// Raw keys of an anomaly, and their places in anomalyKeys.
const (
	anomalyID = iota
	detectedAt
	anomalyDevice
	anomalyType
	anomalySeverity
	anomalyScore
	confidence
	detectionMethod
	detectorName
	modelVersion
	title
	description
	featureName
	observedValue
	expectedValue
	deviation
	recommendations
	isConfirmed
	isFalsePositive
	isResolved
	alertSent
	mitreAttack
)

var anomalyKeys = [...]string{
	"anomaly_id", "detected_at", "device_id", "anomaly_type", "anomaly_severity", "anomaly_score", "confidence",
	"detection_method", "detector_name", "model_version", "title", "description", "feature_name", "observed_value",
	"expected_value", "deviation", "recommendations", "is_confirmed", "is_false_positive", "is_resolved", "alert_sent",
	"mitre_attack",
}

// head writes the members that every kind begins with, but for the id.
func (r *record) head(dst []byte, kind string, timestamp, source int) []byte {
	dst = r.put(dst, "timestamp", timestamp)
	dst = append(r.top(dst, "event_type"), '"')
	dst = append(dst, kind...)
	dst = append(dst, '"')
	return r.put(dst, "source", source)
}

func (f Formatter) anomaly(dst []byte, r *record) []byte {
	dst = r.put(dst, "event_id", anomalyID)
	dst = r.head(dst, Anomaly, detectedAt, anomalyDevice)

	dst = r.object(dst, "anomaly")
	dst = r.member(dst, "type", anomalyType)
	dst = r.member(dst, "severity", anomalySeverity)
	dst = r.member(dst, "score", anomalyScore)
	dst = r.member(dst, "confidence", confidence)
	dst = append(dst, '}')

	dst = r.object(dst, "detection")
	dst = r.member(dst, "method", detectionMethod)
	dst = r.member(dst, "detector", detectorName)
	dst = r.member(dst, "model_version", modelVersion)
	dst = append(dst, '}')

	dst = r.put(dst, "title", title)
	dst = r.put(dst, "description", description)
	dst = r.put(dst, "feature", featureName)
	dst = r.put(dst, "observed_value", observedValue)
	dst = r.put(dst, "expected_value", expectedValue)
	dst = r.put(dst, "deviation", deviation)
	dst = r.lists(dst, "recommendations", recommendations)

	dst = r.object(dst, "status")
	dst = r.member(dst, "confirmed", isConfirmed)
	dst = r.member(dst, "false_positive", isFalsePositive)
	dst = r.member(dst, "resolved", isResolved)
	dst = r.member(dst, "alert_sent", alertSent)
	dst = append(dst, '}')

	dst = f.platform(dst, r, "behavioral_analytics")
	if r.has(mitreAttack) {
		return r.put(dst, "mitre_attack", mitreAttack)
	}
	if m := mitreOf(r.value[anomalyType]); m != "" {
		dst = append(r.top(dst, "mitre_attack"), m...)
	}
	return dst
}

// mitreOf is the tactic and technique that an anomaly's type stands for.
func mitreOf(anomalyType []byte) string {
	switch string(anomalyType) {
	case `"authentication"`:
		return `{"tactic":"TA0006","tactic_name":"Credential Access","technique":"T1110","technique_name":"Brute Force"}`
	case `"network"`:
		return `{"tactic":"TA0011","tactic_name":"Command and Control","technique":"T1071","technique_name":"Application Layer Protocol"}`
	case `"process"`:
		return `{"tactic":"TA0002","tactic_name":"Execution","technique":"T1059","technique_name":"Command and Scripting Interpreter"}`
	}
	return ""
}

func (f Formatter) platform(dst []byte, r *record, module string) []byte {
	dst = r.object(dst, "platform")
	dst = json.AppendString(r.nested(dst, "product"), f.Product)
	dst = json.AppendString(r.nested(dst, "module"), module)
	dst = json.AppendString(r.nested(dst, "version"), f.Version)
	return append(dst, '}')
}

// Raw keys of a risk assessment.
const (
	assessmentID = iota
	assessmentTime
	riskDevice
	totalRiskScore
	riskLevel
	previousRiskScore
	scoreDelta
	securityPostureScore
	riskComplianceScore
	vulnerabilityScore
	behaviorScore
	riskFactors
	riskFactorCount
	assessedBy
	riskLevelChanged
)

var riskKeys = [...]string{
	"assessment_id", "assessment_time", "device_id", "total_risk_score", "risk_level", "previous_risk_score",
	"score_delta", "security_posture_score", "compliance_score", "vulnerability_score", "behavior_score",
	"risk_factors", "risk_factor_count", "assessed_by", "risk_level_changed",
}

func (f Formatter) risk(dst []byte, r *record) []byte {
	dst = r.put(dst, "event_id", assessmentID)
	dst = r.head(dst, Risk, assessmentTime, riskDevice)

	dst = r.object(dst, "risk")
	dst = r.member(dst, "total_score", totalRiskScore)
	dst = r.member(dst, "level", riskLevel)
	dst = r.member(dst, "previous_score", previousRiskScore)
	dst = r.member(dst, "score_change", scoreDelta)
	dst = append(dst, '}')

	dst = r.object(dst, "risk_components")
	dst = r.member(dst, "security_posture", securityPostureScore)
	dst = r.member(dst, "compliance", riskComplianceScore)
	dst = r.member(dst, "vulnerability", vulnerabilityScore)
	dst = r.member(dst, "behavior", behaviorScore)
	dst = append(dst, '}')

	dst = r.lists(dst, "risk_factors", riskFactors)
	if r.has(riskFactorCount) {
		dst = r.put(dst, "risk_factor_count", riskFactorCount)
	} else {
		dst = strconv.AppendInt(r.top(dst, "risk_factor_count"), int64(r.length(riskFactors)), 10)
	}

	dst = r.object(dst, "assessment")
	dst = r.literal(dst, "method", `"multi_factor"`)
	dst = r.literal(dst, "confidence", "0.9")
	dst = r.member(dst, "assessor", assessedBy)
	dst = append(dst, '}')

	sign := signOf(r.value[scoreDelta])
	dst = r.object(dst, "changes")
	dst = strconv.AppendBool(r.nested(dst, "risk_increased"), sign > 0)
	dst = strconv.AppendBool(r.nested(dst, "risk_decreased"), sign < 0)
	dst = r.member(dst, "level_changed", riskLevelChanged)
	dst = append(dst, '}')

	dst = f.platform(dst, r, "risk_engine")
	switch level := string(r.value[riskLevel]); level {
	case `"low"`, `"medium"`, `"high"`, `"critical"`:
		return append(r.top(dst, "severity"), level...)
	}
	return append(r.top(dst, "severity"), `"info"`...)
}

// lists writes the value at i, or an empty array if it is absent.
func (r *record) lists(dst []byte, key string, i int) []byte {
	if !r.has(i) {
		return append(r.top(dst, key), "[]"...)
	}
	return r.put(dst, key, i)
}

// signOf is the sign of a number literal, or of a string that holds one.
func signOf(value []byte) int {
	if len(value) > 1 && value[0] == '"' {
		value = value[1 : len(value)-1]
	}
	sign := 0
	for i, c := range value {
		switch {
		case c == 'e' || c == 'E':
			return sign
		case '1' <= c && c <= '9':
			if value[0] == '-' {
				return -1
			}
			sign = 1
		case c != '0' && c != '.' && !(i == 0 && (c == '-' || c == '+')):
			return 0 // no number
		}
	}
	return sign
}

// Raw keys of a compliance check.
const (
	complianceID = iota
	recordedAt
	complianceDevice
	isCompliant
	complianceScore
	policiesTotal
	policiesPassed
	policiesFailed
	criticalFailures
	newlyFailed
	newlyPassed
	statusChanged
)

var complianceKeys = [...]string{
	"id", "recorded_at", "device_id", "is_compliant", "compliance_score", "policies_total", "policies_passed",
	"policies_failed", "critical_failures", "newly_failed_policies", "newly_passed_policies", "status_changed",
}

func (f Formatter) compliance(dst []byte, r *record) []byte {
	if r.has(complianceID) {
		dst = append(r.top(dst, "event_id"), `"COMP-`...)
		id := json.AppendString(nil, json.Text(nil, r.value[complianceID]))
		dst = append(dst, id[1:]...)
	}
	dst = r.head(dst, Compliance, recordedAt, complianceDevice)

	dst = r.object(dst, "compliance")
	dst = r.member(dst, "is_compliant", isCompliant)
	dst = r.member(dst, "score", complianceScore)
	dst = r.member(dst, "policies_total", policiesTotal)
	dst = r.member(dst, "policies_passed", policiesPassed)
	dst = r.member(dst, "policies_failed", policiesFailed)
	dst = append(dst, '}')

	critical := r.length(criticalFailures)
	dst = r.object(dst, "violations")
	dst = strconv.AppendInt(r.nested(dst, "critical_count"), int64(critical), 10)
	dst = r.nestedList(dst, "critical_policies", criticalFailures)
	dst = r.nestedList(dst, "newly_failed", newlyFailed)
	dst = r.nestedList(dst, "newly_passed", newlyPassed)
	dst = append(dst, '}')

	compliant := r.isTrue(isCompliant)
	dst = r.object(dst, "changes")
	dst = r.member(dst, "status_changed", statusChanged)
	dst = strconv.AppendBool(r.nested(dst, "previously_compliant"), compliant != r.isTrue(statusChanged))
	dst = append(dst, '}')

	dst = f.platform(dst, r, "compliance_checker")
	severity := `"medium"`
	switch {
	case compliant:
		severity = `"info"`
	case critical > 0:
		severity = `"critical"`
	case moreThan(r.value[policiesFailed], 3):
		severity = `"high"`
	}
	return append(r.top(dst, "severity"), severity...)
}

func (r *record) nestedList(dst []byte, key string, i int) []byte {
	if !r.has(i) {
		return r.literal(dst, key, "[]")
	}
	return r.member(dst, key, i)
}

// moreThan compares a count; a float is fine here, since the limit is small.
func moreThan(value []byte, limit float64) bool {
	n, err := strconv.ParseFloat(string(json.Text(nil, value)), 64)
	return err == nil && n > limit
}
