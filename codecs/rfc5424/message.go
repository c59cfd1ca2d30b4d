package rfc5424

import (
	"slices"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// An event is written part after part.
type event struct {
	fields.Fields
	*agent.Event
	form  *form
	start int // where the message begins
}

// The parts behind the header, in order: structured data, and the text.
const (
	opens = iota
	eventID
	device
	severity
	score
	attack
	closes
	text
	parts
)

// madeOf is what the parts are made of that are not always the same.
var madeOf = [parts]fields.Set{
	eventID: fields.Itself,
	device:  fields.Itself,
	score:   fields.Of(fields.AnomalyScore, fields.RiskScore, fields.ComplianceScore),
	attack:  fields.Attacks,
	text: fields.Of(fields.Title, fields.RiskLevel, fields.RiskScore, fields.PreviousScore, fields.ScoreChange,
		fields.IsCompliant, fields.ComplianceScore, fields.PoliciesFailed, fields.PoliciesTotal),
}

// every is the plan for events with which something is unusual.
var every = fields.Every(parts)

// Encode appends one message without a frame. RFC 3164 has no structured data:
// there it stands at the beginning of the text, so that the event's id is never lost.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var v event
	v.Event, v.form, v.start = e, &c.form, len(dst)
	c.reader.Read(&v.Fields, e)
	plan := v.Plan(e.Severity)
	if plan == nil {
		plan = v.newPlan()
	}
	dst = c.header.Append(dst, e)
	behind := len(dst)
	dst = v.write(dst, plan.Pieces)
	if v.isLong(dst) {
		return v.shorten(dst[:behind])
	}
	return dst, nil
}

// newPlan makes the plan for events like this one.
func (v *event) newPlan() *fields.Plan {
	like, form := *v, *v.form
	like.form, form.max = &form, 0
	return v.MakePlan(v.Severity, every, madeOf[:], func(dst []byte, p fields.Piece, r *fields.Repairs) []byte {
		form.repairs = r
		return like.write(dst, []fields.Piece{p})
	})
}

// write appends pieces of the message.
func (v *event) write(dst []byte, pieces []fields.Piece) []byte {
	c, e := v.form, v.Event
	for i := range pieces {
		p := &pieces[i]
		dst = append(dst, p.Text...)
		switch p.Part {
		case opens:
			dst = append(dst, c.sd...)
		case eventID:
			dst = c.param(dst, ` eventId="`, e.ID)
		case device:
			dst = c.param(dst, ` device="`, e.Source)
		case severity:
			dst = append(dst, ` severity="`...)
			dst = append(dst, fields.SeverityName(e.Severity)...)
			dst = append(dst, '"')
		case score:
			dst = c.value(dst, ` score="`, v.Score())
		case attack:
			if mitre, ok := v.Mitre(); ok {
				dst = c.attack(dst, ` tactic="`, mitre, fields.Tactics)
				dst = c.attack(dst, ` technique="`, mitre, fields.Techniques)
			}
		case closes:
			dst = append(dst, ']')
		case text:
			if !v.isLong(dst) {
				dst, _ = v.text(dst)
			}
		}
	}
	return dst
}

// text appends the text with what is in front of it, and tells where it begins. Without a text it appends nothing.
func (v *event) text(dst []byte) (message []byte, begins int) {
	c, before := v.form, len(dst)
	dst = append(dst, ' ')
	if c.bomAlways && !c.header.bsd {
		dst = append(dst, bom...)
	}
	begins = len(dst)
	dst = AppendText(dst, v.Event, &v.Fields, c.repairs)
	if len(dst) == begins {
		return dst[:before], before
	}
	if c.bomAuto && !c.header.bsd && !fields.IsASCII(dst[begins:]) {
		dst = append(dst, bom...)
		copy(dst[begins+len(bom):], dst[begins:])
		begins += copy(dst[begins:], bom)
	}
	return dst, begins
}

// isLong reports whether the message that dst ends with is longer than the largest one.
func (v *event) isLong(dst []byte) bool {
	return v.form.max > 0 && len(dst)-v.start > v.form.max
}

// bare is structured data without what is not needed to know the event again.
var bare = slices.Concat(every.Pieces[:score], every.Pieces[closes:text])

// shorten writes a message again that was too long, behind its header, and cuts
// the end of its text. Structured data that is too long alone loses score and ATT&CK.
func (v *event) shorten(dst []byte) ([]byte, error) {
	silent := *v.form
	silent.repairs = nil // they have been counted
	long := *v
	long.form = &silent
	behind := len(dst)
	dst = long.write(dst, every.Pieces[:text])
	if v.isLong(dst) {
		dst = long.write(dst[:behind], bare)
		if v.isLong(dst) {
			return dst[:v.start], ErrTooLong
		}
		v.form.repairs.Add(fields.PairDropped)
	}
	v.form.repairs.Add(fields.Truncated)
	fixed := len(dst)
	dst, begins := long.text(dst)
	keep := fields.CutBytes(dst[begins:], v.form.max-(begins-v.start))
	if len(keep) == 0 {
		return dst[:fixed], nil
	}
	return dst[:begins+len(keep)], nil
}
