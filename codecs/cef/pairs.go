package cef

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/rfc5424"
)

// The limits of values, in characters.
const (
	maxExternalID       = 40
	maxDeviceExternalID = 255
	maxCategory         = 1023
	maxMsg              = 1023
	maxCustom           = 4000
	maxAttackID         = 32
)

// appendPairs appends the extension. The text of the rest of the line is
// rt=..., so every later pair begins with the space that separates it.
func (c *Codec) appendPairs(dst []byte, l *line, e *agent.Event, f *fields.Fields) []byte {
	dst = append(dst, "rt="...)
	dst = fields.AppendMillis(dst, e.Time)
	dst = c.pair(dst, " externalId=", e.ID, maxExternalID)
	dst = c.pair(dst, " deviceExternalId=", e.Source, maxDeviceExternalID)
	dst = append(dst, c.dvchost...)
	dst = c.pair(dst, " cat=", e.Type, maxCategory)
	if outcome := f.Outcome(); outcome != "" {
		dst = append(append(dst, " outcome="...), outcome...)
	}
	dst = c.message(dst, l, e, f)
	l.needed = len(dst)
	mitre, attacked := f.Mitre()
	if c.version == 1 && attacked {
		dst = c.attack(dst, mitre)
		l.mark(len(dst))
	}
	switch f.Kind {
	case fields.Anomaly:
		dst = c.anomaly(dst, l, f, mitre)
	case fields.Risk:
		dst = c.risk(dst, l, f)
	case fields.Compliance:
		dst = c.compliance(dst, l, f)
	}
	for i := range c.extensions {
		dst = c.extension(dst, &c.extensions[i], e)
		l.mark(len(dst))
	}
	return dst
}

// message appends msg: the figures of risk and compliance, else the
// description, else what the header has as the name.
func (c *Codec) message(dst []byte, l *line, e *agent.Event, f *fields.Fields) []byte {
	n := len(dst)
	if f.Kind == fields.Risk || f.Kind == fields.Compliance {
		dst = rfc5424.AppendText(dst, e, f, c.repairs)
		dst = c.moved(dst, n, " msg=", maxMsg)
	} else {
		dst = c.value(dst, " msg=", f.Get(fields.Description), maxMsg, "")
		if len(dst) == n {
			dst = c.value(dst, " msg=", f.Get(fields.Title), maxMsg, "")
		}
		if len(dst) == n {
			dst = c.pair(dst, " msg=", f.Headline(e), maxMsg)
		}
	}
	l.msg, l.msgEnd = min(n+len(" msg="), len(dst)), len(dst)
	return dst
}

// attack appends what CEF 1.2 has for ATT&CK: one id.
func (c *Codec) attack(dst []byte, mitre *fields.Mitre) []byte {
	const framework = " frameworkName=MITRE ATT&CK"
	n := len(dst)
	dst = append(dst, framework...)
	m := len(dst)
	first := true
	mitre.Each(fields.Techniques, func(t fields.Label) {
		if first && t.ID != nil {
			dst = c.value(dst, " threatAttackID=", t.ID, maxAttackID, "")
			first = false
		}
	})
	if len(dst) == m {
		return dst[:n]
	}
	return dst
}

func (c *Codec) anomaly(dst []byte, l *line, f *fields.Fields, mitre *fields.Mitre) []byte {
	dst = c.mitre(dst, " cs1=", mitre, fields.Tactics, " cs1Label=mitreTactic")
	l.mark(len(dst))
	dst = c.mitre(dst, " cs2=", mitre, fields.Techniques, " cs2Label=mitreTechnique")
	l.mark(len(dst))
	dst = c.value(dst, " cs3=", f.Get(fields.Detector), maxCustom, " cs3Label=detector")
	l.mark(len(dst))
	dst = c.value(dst, " cs4=", f.Get(fields.Method), maxCustom, " cs4Label=detectionMethod")
	l.mark(len(dst))
	dst = c.value(dst, " cs5=", f.Get(fields.Recommendations), maxCustom, " cs5Label=recommendations")
	l.mark(len(dst))
	dst = c.decimal(dst, " cfp1=", f.Get(fields.AnomalyScore), " cfp1Label=anomalyScore")
	l.mark(len(dst))
	dst = c.decimal(dst, " cfp2=", f.Get(fields.Confidence), " cfp2Label=confidence")
	l.mark(len(dst))
	return dst
}

// mitre appends a custom field with ids of ATT&CK.
func (c *Codec) mitre(dst []byte, key string, m *fields.Mitre, p fields.Part, labelled string) []byte {
	if v, ok := m.Single(p); ok {
		return c.value(dst, key, v, maxCustom, labelled)
	}
	n := len(dst)
	return label(c.moved(m.AppendText(dst, p), n, key, maxCustom), n, labelled)
}

// A numbered slot and the text slot that takes over when a number is no
// integer, which a cn field may not hold.
type slot struct {
	integer, text, integerLabel, textLabel string
}

var (
	riskSlots = [...]slot{
		{" cn1=", " cs2=", " cn1Label=riskScore", " cs2Label=riskScore"},
		{" cn2=", " cs3=", " cn2Label=previousRiskScore", " cs3Label=previousRiskScore"},
		{" cn3=", " cs4=", " cn3Label=riskScoreChange", " cs4Label=riskScoreChange"},
	}
	complianceSlots = [...]slot{
		{" cn1=", " cs2=", " cn1Label=complianceScore", " cs2Label=complianceScore"},
		{" cn2=", " cs3=", " cn2Label=policiesFailed", " cs3Label=policiesFailed"},
		{" cn3=", " cs4=", " cn3Label=policiesTotal", " cs4Label=policiesTotal"},
	}
)

func (c *Codec) risk(dst []byte, l *line, f *fields.Fields) []byte {
	dst = c.value(dst, " cs1=", f.Get(fields.RiskFactors), maxCustom, " cs1Label=riskFactors")
	l.mark(len(dst))
	for i, v := range [...]fields.Value{f.Get(fields.RiskScore), f.Get(fields.PreviousScore), f.Get(fields.ScoreChange)} {
		dst = c.number(dst, &riskSlots[i], v)
		l.mark(len(dst))
	}
	dst = c.decimal(dst, " cfp1=", f.Get(fields.SecurityPosture), " cfp1Label=security_posture")
	l.mark(len(dst))
	dst = c.decimal(dst, " cfp2=", f.Get(fields.ComplianceComponent), " cfp2Label=compliance")
	l.mark(len(dst))
	dst = c.decimal(dst, " cfp3=", f.Get(fields.Vulnerability), " cfp3Label=vulnerability")
	l.mark(len(dst))
	dst = c.decimal(dst, " cfp4=", f.Get(fields.Behaviour), " cfp4Label=behavior")
	l.mark(len(dst))
	return dst
}

func (c *Codec) compliance(dst []byte, l *line, f *fields.Fields) []byte {
	dst = c.value(dst, " cs1=", f.Get(fields.CriticalPolicies), maxCustom, " cs1Label=criticalPolicies")
	l.mark(len(dst))
	for i, v := range [...]fields.Value{f.Get(fields.ComplianceScore), f.Get(fields.PoliciesFailed), f.Get(fields.PoliciesTotal)} {
		dst = c.number(dst, &complianceSlots[i], v)
		l.mark(len(dst))
	}
	return dst
}

// pair appends a pair, unless nothing is left of its value. key has the space
// in front and the = behind.
func (c *Codec) pair(dst []byte, key string, value []byte, limit int) []byte {
	n := len(dst)
	dst = append(dst, key...)
	m := len(dst)
	if dst = c.appendValue(dst, value, limit); len(dst) == m {
		return dst[:n]
	}
	return dst
}

// value is pair for a raw value, followed by its label if it has one.
func (c *Codec) value(dst []byte, key string, v fields.Value, limit int, labelled string) []byte {
	if v == nil {
		return dst
	}
	n := len(dst)
	if text, ok := v.Plain(); ok {
		dst = c.pair(dst, key, text, limit)
	} else {
		dst = c.moved(v.AppendText(dst), n, key, limit)
	}
	return label(dst, n, labelled)
}

// moved makes a pair of the text that was appended at n.
func (c *Codec) moved(dst []byte, n int, key string, limit int) []byte {
	m := len(dst)
	dst = c.pair(dst, key, dst[n:m], limit)
	return append(dst[:n], dst[m:]...)
}

// label appends a label if a pair was appended at n.
func label(dst []byte, n int, text string) []byte {
	if len(dst) == n {
		return dst
	}
	return append(dst, text...)
}

// decimal appends a number to a field for doubles. What is no number is left out.
func (c *Codec) decimal(dst []byte, key string, v fields.Value, labelled string) []byte {
	if v == nil {
		return dst
	}
	if !isDecimal(fields.Trim(scalar(v))) {
		c.repairs.Add(fields.NotNumber)
		return dst
	}
	return c.value(dst, key, v, 0, labelled)
}

// number appends an integer to its slot, and anything else to the text slot beside it.
func (c *Codec) number(dst []byte, s *slot, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	n := len(dst)
	if i := wholePart(fields.Trim(scalar(v))); i != nil {
		return label(c.pair(dst, s.integer, i, 0), n, s.integerLabel)
	}
	c.repairs.Add(fields.NumberMoved)
	return c.value(dst, s.text, v, maxCustom, s.textLabel)
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
