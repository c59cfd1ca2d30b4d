package cef

import "github.com/adrian207/siemd/codecs/fields"

// A field here is one of those that CEF leaves to the product. It has its label behind it.
type field struct {
	of         fields.Name
	attack     bool        // it is not of a member, but of
	part       fields.Part // of ATT&CK
	typ        valueType   // text, decimal or integer
	key, label string

	// Where a number goes that is no integer, which a cn field may not hold.
	textKey, textLabel string
}

// maxCustoms is the most that a kind of event has.
const maxCustoms = 8

// customs are the custom fields by the kind of event, in order.
var customs = [...][]field{
	fields.Anomaly: {
		{attack: true, part: fields.Tactics, key: " cs1=", label: " cs1Label=mitreTactic"},
		{attack: true, part: fields.Techniques, key: " cs2=", label: " cs2Label=mitreTechnique"},
		{of: fields.Detector, key: " cs3=", label: " cs3Label=detector"},
		{of: fields.Method, key: " cs4=", label: " cs4Label=detectionMethod"},
		{of: fields.Recommendations, key: " cs5=", label: " cs5Label=recommendations"},
		{of: fields.AnomalyScore, typ: decimal, key: " cfp1=", label: " cfp1Label=anomalyScore"},
		{of: fields.Confidence, typ: decimal, key: " cfp2=", label: " cfp2Label=confidence"},
	},
	fields.Risk: {
		{of: fields.RiskFactors, key: " cs1=", label: " cs1Label=riskFactors"},
		{of: fields.RiskScore, typ: integer, key: " cn1=", label: " cn1Label=riskScore", textKey: " cs2=", textLabel: " cs2Label=riskScore"},
		{of: fields.PreviousScore, typ: integer, key: " cn2=", label: " cn2Label=previousRiskScore", textKey: " cs3=", textLabel: " cs3Label=previousRiskScore"},
		{of: fields.ScoreChange, typ: integer, key: " cn3=", label: " cn3Label=riskScoreChange", textKey: " cs4=", textLabel: " cs4Label=riskScoreChange"},
		{of: fields.SecurityPosture, typ: decimal, key: " cfp1=", label: " cfp1Label=security_posture"},
		{of: fields.ComplianceComponent, typ: decimal, key: " cfp2=", label: " cfp2Label=compliance"},
		{of: fields.Vulnerability, typ: decimal, key: " cfp3=", label: " cfp3Label=vulnerability"},
		{of: fields.Behaviour, typ: decimal, key: " cfp4=", label: " cfp4Label=behavior"},
	},
	fields.Compliance: {
		{of: fields.CriticalPolicies, key: " cs1=", label: " cs1Label=criticalPolicies"},
		{of: fields.ComplianceScore, typ: integer, key: " cn1=", label: " cn1Label=complianceScore", textKey: " cs2=", textLabel: " cs2Label=complianceScore"},
		{of: fields.PoliciesFailed, typ: integer, key: " cn2=", label: " cn2Label=policiesFailed", textKey: " cs3=", textLabel: " cs3Label=policiesFailed"},
		{of: fields.PoliciesTotal, typ: integer, key: " cn3=", label: " cn3Label=policiesTotal", textKey: " cs4=", textLabel: " cs4Label=policiesTotal"},
	},
}

// custom appends custom field i of the event's kind, if there is one.
func (v *event) custom(dst []byte, i int) []byte {
	list := customs[v.Kind]
	if i >= len(list) {
		return dst
	}
	f := &list[i]
	if f.attack {
		mitre, _ := v.Mitre()
		return v.form.mitre(dst, f, mitre)
	}
	value := v.Get(f.of)
	switch f.typ {
	case decimal:
		return v.form.decimal(dst, f, value)
	case integer:
		return v.form.number(dst, f, value)
	}
	return v.form.value(dst, f.key, value, maxCustom, f.label)
}

// mitre appends a custom field with ids of ATT&CK.
func (c *form) mitre(dst []byte, f *field, m *fields.Mitre) []byte {
	if v, ok := m.Single(f.part); ok {
		return c.value(dst, f.key, v, maxCustom, f.label)
	}
	n := len(dst)
	return label(c.moved(m.AppendText(dst, f.part), n, f.key, maxCustom), n, f.label)
}

// decimal appends a number to a field for doubles. What is no number is left out.
func (c *form) decimal(dst []byte, f *field, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	if !isDecimal(fields.Trim(scalar(v))) {
		c.repairs.Add(fields.NotNumber)
		return dst
	}
	return c.value(dst, f.key, v, 0, f.label)
}

// number appends an integer to its field, and anything else to the text field beside it.
func (c *form) number(dst []byte, f *field, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	n := len(dst)
	if i := wholePart(fields.Trim(scalar(v))); i != nil {
		return label(c.pair(dst, f.key, i, 0), n, f.label)
	}
	c.repairs.Add(fields.NumberMoved)
	return c.value(dst, f.textKey, v, maxCustom, f.textLabel)
}

// scalar is the text of v, or nil if v is an array or an object.
func scalar(v fields.Value) []byte {
	if text, ok := v.Plain(); ok {
		return text
	}
	if v[0] != '"' {
		return nil
	}
	return v.AppendText(nil) // digits written as escapes: nobody does that often
}
