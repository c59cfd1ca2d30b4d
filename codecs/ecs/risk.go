package ecs

import "github.com/adrian207/siemd/codecs/fields"

// appendResult appends to the member event what it came to: a score, or the outcome of a check.
func (d *document) appendResult(dst []byte) []byte {
	switch d.Kind {
	case fields.Anomaly, fields.Risk:
		if score := d.Score(); d.fits(score) {
			dst = append(dst, `,"risk_score":`...)
			dst = fields.AppendShort(dst, score)
		}
	case fields.Compliance:
		if outcome := d.Outcome(); outcome != "" {
			dst = append(dst, `,"outcome":"`...)
			dst = append(append(dst, outcome...), '"')
		}
	}
	return dst
}

// appendRisk appends to the member host, which is there if the event has a
// source, the risk that a risk assessment found.
func (d *document) appendRisk(dst []byte) []byte {
	before, opening := len(dst), `},"host":{"risk":{`
	if len(d.event.Source) > 0 {
		dst = append(dst, '"')
		before, opening = len(dst), `,"risk":{`
	}
	if d.Kind != fields.Risk {
		return dst
	}
	dst = append(dst, opening...)
	empty := len(dst)
	if level := d.Get(fields.RiskLevel); level != nil {
		dst = append(dst, `"calculated_level":`...)
		start := len(dst)
		dst = level.AppendJSON(dst)
		capitalise(dst[start:])
	}
	if score := d.Get(fields.RiskScore); d.fits(score) {
		dst = append(comma(dst), `"calculated_score":`...)
		dst = append(dst, score...)
	}
	if len(dst) == empty {
		return dst[:before]
	}
	return append(dst, '}')
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
func (d *document) fits(v fields.Value) bool {
	if v == nil {
		return false
	}
	ok := v.IsNumber() && v.FitsFloat()
	if !ok {
		d.repairs.Add(fields.NotNumber)
	}
	return ok
}
