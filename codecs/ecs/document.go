package ecs

import (
	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/route"
)

// How a document begins, around its time.
const (
	head      = `{"@timestamp":"`
	blanks    = "                        " // fields.SizeISO
	afterTime = `","ecs":{"version":"` + Version + `"},"message":`
)

// A document is written part after part. The closing brace of event, host,
// rule, threat and related comes with what follows.
type document struct {
	fields.Fields
	event   *agent.Event
	line    line
	between []byte // what stands between the id in the action and the value of message
	source  []byte // the event's, as it stands in the document
	codec   *Codec
	repairs *fields.Repairs
}

// The parts, in order.
const (
	begin = iota
	message
	eventOpens
	eventID
	eventAbout
	eventResult
	hostOpens
	hostID
	hostRisk
	rule
	threat
	relatedOpens
	relatedHost
	relatedCloses
	original
	parts
)

// madeOf is what the parts are made of that are not always the same.
var madeOf = [parts]fields.Set{
	message:     fields.Of(fields.Title),
	eventID:     fields.Itself,
	eventResult: fields.Of(fields.AnomalyScore, fields.RiskScore, fields.IsCompliant),
	hostID:      fields.Itself,
	hostRisk:    fields.Of(fields.RiskLevel, fields.RiskScore),
	rule:        fields.Of(fields.Detector),
	threat:      fields.Attacks,
	relatedHost: fields.Itself,
	original:    fields.Itself,
}

// every is the plan for events with which something is unusual.
var every = fields.Every(parts)

// appendDocument appends what is behind the id in the action of e, and the document.
func (c *Codec) appendDocument(dst []byte, e *agent.Event, l line, between []byte) []byte {
	var d document
	d.event, d.line, d.between, d.codec, d.repairs = e, l, between, c, c.repairs
	c.reader.Read(&d.Fields, e)
	plan := every
	if l.id != nil && l.own && len(e.Source) > 0 {
		if plan = d.Plan(e.Severity); plan == nil {
			plan = d.newPlan()
		}
	}
	time := len(dst) + len(between) - len(blanks+afterTime)
	dst = d.write(dst, plan.Pieces)
	fields.PutISO((*[fields.SizeISO]byte)(dst[time:]), e.Time)
	return dst
}

// newPlan makes the plan for events like this one.
func (d *document) newPlan() *fields.Plan {
	like := *d
	return d.MakePlan(d.event.Severity, every, madeOf[:], func(dst []byte, p fields.Piece, r *fields.Repairs) []byte {
		like.repairs = r
		return like.write(dst, []fields.Piece{p})
	})
}

// write appends pieces of the document.
func (d *document) write(dst []byte, pieces []fields.Piece) []byte {
	e := d.event
	for i := range pieces {
		p := &pieces[i]
		dst = append(dst, p.Text...)
		switch p.Part {
		case begin:
			dst = append(dst, d.between...)
		case message:
			dst = d.appendMessage(dst)
		case eventOpens:
			dst = append(dst, `,"event":{`...)
			if len(e.ID) > 0 {
				dst = append(dst, `"id":"`...)
			}
		case eventID:
			if d.line.id != nil {
				dst = fields.AppendShort(dst, d.line.id)
			} else {
				dst = fields.AppendInside(dst, e.ID)
			}
		case eventAbout:
			if len(e.ID) > 0 {
				dst = append(dst, `",`...)
			}
			dst = d.codec.appendAbout(dst, e)
		case eventResult:
			dst = d.appendResult(dst)
		case hostOpens:
			if len(e.Source) > 0 {
				dst = append(dst, `},"host":{"id":"`...)
			}
		case hostID:
			start := len(dst)
			dst = fields.AppendInside(dst, e.Source)
			d.source = dst[start:]
		case hostRisk:
			dst = d.appendRisk(dst)
		case rule:
			if detector := d.Get(fields.Detector); detector != nil {
				dst = detector.AppendJSON(append(dst, `},"rule":{"name":`...))
			}
		case threat:
			dst = d.codec.appendThreat(dst, &d.Fields)
		case relatedOpens:
			if len(e.Source) > 0 {
				dst = append(dst, `},"related":{"hosts":["`...)
			}
		case relatedHost:
			dst = fields.AppendShort(dst, d.source)
		case relatedCloses:
			dst = d.appendName(dst)
		case original:
			dst = append(dst, e.Body...)
			dst = append(dst, "}\n"...)
		}
	}
	return dst
}

// appendMessage appends the title, or what takes its place.
func (d *document) appendMessage(dst []byte) []byte {
	if title := d.Get(fields.Title); title != nil {
		return title.AppendJSON(dst)
	}
	return fields.AppendString(dst, d.Headline(d.event))
}

// appendName closes the member before, and appends what is left up to the original.
func (d *document) appendName(dst []byte) []byte {
	if len(d.event.Source) > 0 {
		dst = append(dst, `"]`...)
	}
	dst = append(dst, '}')
	if !d.line.own {
		dst = append(dst, `,"tags":["`+route.Flag+`"]`...)
	}
	return append(dst, d.codec.app...)
}
