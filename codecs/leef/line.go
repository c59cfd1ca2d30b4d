package leef

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
	devTime
	about
	resource
	externalID
	firstOwn
	extra = firstOwn + maxOwn
	msg   = extra + 1
	parts = msg + 1
)

// madeOf is what the parts are made of that are not always the same.
var madeOf = func() (all [parts]fields.Set) {
	all[class] = fields.Of(fields.AnomalyType)
	all[devTime], all[resource], all[externalID] = fields.Itself, fields.Itself, fields.Itself
	for _, list := range own {
		for i, a := range list {
			all[firstOwn+i] |= a.of
		}
	}
	all[extra], all[msg] = fields.Itself, fields.Of(fields.Description)
	return all
}()

// every is the plan for events with which something is unusual.
var every = fields.Every(parts)

// An attribute is one that events of a kind have of their own.
type attribute struct {
	key  string
	of   fields.Set
	name fields.Name // of the member
	part fields.Part // of ATT&CK, if of is Attacks
}

func member(key string, n fields.Name) attribute {
	return attribute{key: key, of: fields.Of(n), name: n}
}

// maxOwn is the most that a kind of event has.
const maxOwn = 7

// own are the attributes by the kind of event, in order.
var own = [...][]attribute{
	fields.Other: {member("title=", fields.Title)},
	fields.Anomaly: {
		member("anomalyScore=", fields.AnomalyScore),
		member("anomalyConfidence=", fields.Confidence),
		member("detectionMethod=", fields.Method),
		member("detector=", fields.Detector),
		{key: "mitreTactic=", of: fields.Attacks, part: fields.Tactics},
		{key: "mitreTechnique=", of: fields.Attacks, part: fields.Techniques},
		member("title=", fields.Title),
	},
	fields.Risk: {
		member("riskLevel=", fields.RiskLevel),
		member("riskScore=", fields.RiskScore),
		member("previousRiskScore=", fields.PreviousScore),
		member("riskScoreChange=", fields.ScoreChange),
		member("riskFactors=", fields.RiskFactors),
	},
	fields.Compliance: {
		member("isCompliant=", fields.IsCompliant),
		member("complianceScore=", fields.ComplianceScore),
		member("policiesTotal=", fields.PoliciesTotal),
		member("policiesPassed=", fields.PoliciesPassed),
		member("policiesFailed=", fields.PoliciesFailed),
		member("criticalPolicies=", fields.CriticalPolicies),
	},
}

// Encode appends one line without a frame. A line longer than MaxMessage loses
// first the end of its msg, and if that is not enough whole attributes from its
// end, of which only the title is cut too.
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
	behind := len(dst)
	dst = v.write(dst, plan.Pieces)
	if c.max > 0 && len(dst)-start > c.max {
		return c.shorten(dst[:behind], start, v)
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

// write appends pieces of the line. Every attribute but the first, devTime, has the delimiter in front.
func (v *event) write(dst []byte, pieces []fields.Piece) []byte {
	c, e := v.form, v.Event
	for i := range pieces {
		p := &pieces[i]
		dst = append(dst, p.Text...)
		switch p.Part {
		case class:
			dst = v.class(append(dst, c.device...))
			dst = append(dst, c.closing...)
		case devTime:
			dst = c.time(dst, e.Time)
		case about:
			dst = c.key(dst, "sev=")
			dst = append(dst, fields.CEFSeverity(e.Severity)...)
			dst = c.text(dst, "cat=", e.Type)
		case resource:
			dst = c.text(dst, "resource=", e.Source)
		case externalID:
			dst = c.text(dst, "externalId=", e.ID)
			if v.long != nil {
				v.long.needed = len(dst)
			}
		case extra:
			for i := range c.extra {
				dst = c.extension(dst, &c.extra[i], e)
				v.long.mark(len(dst))
			}
		case msg:
			n := len(dst)
			if dst = c.value(dst, "msg=", v.Get(fields.Description)); len(dst) > n && v.long != nil {
				v.long.msg = n + len(c.delimiter) + len("msg=")
			}
		case parts:
		default:
			dst = v.attribute(dst, p.Part-firstOwn)
		}
		v.long.mark(len(dst))
	}
	return dst
}

// attribute appends attribute i of those of the event's kind, if there is one.
func (v *event) attribute(dst []byte, i int) []byte {
	list := own[v.Kind]
	if i >= len(list) {
		return dst
	}
	a := &list[i]
	if a.of == fields.Attacks {
		mitre, _ := v.Mitre()
		return v.form.mitre(dst, a.key, mitre, a.part)
	}
	n := len(dst)
	dst = v.form.value(dst, a.key, v.Get(a.name))
	if a.name == fields.Title && len(dst) > n && v.long != nil {
		v.long.title, v.long.titleEnd = n+len(v.form.delimiter)+len(a.key), len(dst)
	}
	return dst
}

// class appends the event's class, never its own id: QRadar counts on few different ones.
func (v *event) class(dst []byte) []byte {
	n := len(dst)
	if v.Kind == fields.Anomaly && v.Get(fields.AnomalyType) != nil {
		if text, ok := v.Get(fields.AnomalyType).Plain(); ok {
			dst = v.form.headerField(dst, text)
		} else {
			dst = v.Get(fields.AnomalyType).AppendText(dst)
			m := len(dst)
			dst = v.form.headerField(dst, dst[n:m])
			dst = append(dst[:n], dst[m:]...)
		}
	}
	if len(dst) == n {
		dst = v.form.headerField(dst, fields.TypeOf(v.Event))
	}
	if len(dst) == n { // a type of nothing but spaces
		dst = append(dst, "event"...)
	}
	return dst
}

// headerField appends a header field: one line, trimmed, at most 255 characters, no pipe.
func (c *form) headerField(dst, text []byte) []byte {
	n := len(dst)
	dst = fields.AppendLine(dst, text, c.repairs)
	kept := fields.Trim(dst[n:])
	if short := fields.CutChars(kept, maxEventID); len(short) < len(kept) {
		c.repairs.Add(fields.Truncated)
		kept = fields.Trim(short)
	}
	dst = dst[:n+copy(dst[n:], kept)]
	for i, b := range dst[n:] {
		if b == '|' {
			c.repairs.Add(fields.HeaderChar)
			dst[n+i] = '_'
		}
	}
	return dst
}
