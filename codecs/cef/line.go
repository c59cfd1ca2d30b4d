package cef

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
)

// An event is written part after part.
type event struct {
	fields.Fields
	*agent.Event
	form *form
	long *long // nil unless the line is known to be too long
}

// The parts behind the syslog header, in order.
const (
	class = iota
	name
	received
	externalID
	device
	about
	message
	framework
	firstCustom
	extra = firstCustom + maxCustoms
	parts = extra + 1
)

// madeOf is what the parts are made of that are not always the same.
var madeOf = func() (all [parts]fields.Set) {
	all[class] = fields.Of(fields.AnomalyType)
	all[name] = fields.Of(fields.Title)
	all[received], all[externalID], all[device] = fields.Itself, fields.Itself, fields.Itself
	all[about] = fields.Of(fields.IsCompliant)
	all[message] = fields.Of(fields.Description, fields.Title, fields.RiskLevel, fields.RiskScore, fields.PreviousScore, fields.ScoreChange,
		fields.IsCompliant, fields.ComplianceScore, fields.PoliciesFailed, fields.PoliciesTotal)
	all[framework] = fields.Attacks
	for _, list := range customs {
		for i, f := range list {
			if all[firstCustom+i] |= fields.Of(f.of); f.attack {
				all[firstCustom+i] |= fields.Attacks
			}
		}
	}
	all[extra] = fields.Itself
	return all
}()

// every is the plan for events with which something is unusual.
var every = fields.Every(parts)

// Encode appends one line without a frame. A line longer than MaxMessage loses
// first from its msg, if that is not enough whole pairs from its end, and at last from its name.
func (c *Codec) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	var v event
	v.Event, v.form = e, &c.form
	c.reader.Read(&v.Fields, e)
	plan := v.Plan(e.Severity)
	if plan == nil {
		plan = v.newPlan()
	}
	start := len(dst)
	dst = c.header.Append(dst, e)
	if c.nilSD {
		dst = append(dst, "- "...)
	}
	body := len(dst)
	dst = v.write(dst, plan.Pieces)
	if c.max > 0 && len(dst)-start > c.max {
		return c.shorten(dst[:body], start, v)
	}
	return dst, nil
}

// newPlan makes the plan for events like this one.
func (v *event) newPlan() *fields.Plan {
	like, form := *v, *v.form
	like.form = &form
	return v.MakePlan(v.Severity, every, madeOf[:], func(dst []byte, p fields.Piece, r *fields.Repairs) []byte {
		form.repairs = r
		return like.write(dst, []fields.Piece{p})
	})
}

// write appends pieces of the line. The extension begins with rt, so every
// later pair has the space in front that separates it.
func (v *event) write(dst []byte, pieces []fields.Piece) []byte {
	c, e := v.form, v.Event
	for i := range pieces {
		p := &pieces[i]
		dst = append(dst, p.Text...)
		switch p.Part {
		case class:
			dst = v.class(append(dst, c.device...))
		case name:
			dst = v.name(dst)
		case received:
			dst = append(dst, "rt="...)
			dst = fields.AppendMillis(dst, e.Time)
		case externalID:
			dst = c.pair(dst, " externalId=", e.ID, maxExternalID)
		case device:
			dst = c.pair(dst, " deviceExternalId=", e.Source, maxDeviceExternalID)
		case about:
			dst = append(dst, c.dvchost...)
			dst = c.pair(dst, " cat=", e.Type, maxCategory)
			if outcome := v.Outcome(); outcome != "" {
				dst = append(append(dst, " outcome="...), outcome...)
			}
		case message:
			dst = v.message(dst)
		case framework:
			dst = v.framework(dst)
		case extra:
			for i := range c.extensions {
				dst = c.extension(dst, &c.extensions[i], e)
				v.long.mark(len(dst))
			}
		default:
			dst = v.custom(dst, p.Part-firstCustom)
		}
		v.long.mark(len(dst))
	}
	return dst
}
