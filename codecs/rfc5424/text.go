package rfc5424

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// AppendText appends what people read of an event, on one line: the figures of
// a risk assessment or a compliance check, else the title, else the headline.
func AppendText(dst []byte, e *agent.Event, f *fields.Fields, r *fields.Repairs) []byte {
	start := len(dst)
	switch f.Kind {
	case fields.Risk:
		dst = figure(dst, start, "level=", f.Get(fields.RiskLevel), r)
		dst = figure(dst, start, "total_score=", f.Get(fields.RiskScore), r)
		dst = figure(dst, start, "previous_score=", f.Get(fields.PreviousScore), r)
		dst = figure(dst, start, "score_change=", f.Get(fields.ScoreChange), r)
	case fields.Compliance:
		dst = figure(dst, start, "is_compliant=", f.Get(fields.IsCompliant), r)
		dst = figure(dst, start, "score=", f.Get(fields.ComplianceScore), r)
		dst = figure(dst, start, "policies_failed=", f.Get(fields.PoliciesFailed), r)
		dst = figure(dst, start, "policies_total=", f.Get(fields.PoliciesTotal), r)
	}
	if len(dst) > start {
		return dst
	}
	if f.Get(fields.Title) != nil {
		return f.Get(fields.Title).AppendLine(dst, r)
	}
	return fields.AppendLine(dst, f.Headline(e), r)
}

func figure(dst []byte, start int, name string, v fields.Value, r *fields.Repairs) []byte {
	if v == nil {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	return v.AppendLine(append(dst, name...), r)
}
