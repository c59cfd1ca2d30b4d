package intake

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/codecs/format"
	"github.com/adrian207/siemd/codecs/json"
)

// DefaultMaxSize is the largest event in bytes that a Preparer takes if nothing
// else is said. It only keeps memory within bounds: inputs have limits of their
// own, and refuse long lines before they are read whole.
const DefaultMaxSize = 64 << 20

// A Preparer makes events of raw lines for one input. It is used by one
// goroutine at a time. But for Fields nothing is changed once it is in use.
type Preparer struct {
	Input    string
	Common   Common
	MaxSize  int            // of an event in bytes; 0: DefaultMaxSize
	Fields   []agent.Field  // of the batch; they come before Common.Fields
	Identity agent.Identity // product and version of formatted records; zero: the default

	scanner scanner
	doc     doc
	src     []byte        // what doc's spans are parts of
	bufs    [2][]byte     // texts that had to change, in turns
	scratch []byte        // id, type and source that stand escaped in the body
	static  []agent.Field // those of the batch and of the config
	present []bool        // by static field
}

// Check says why line is no event; nil if it is one.
func (p *Preparer) Check(line []byte) *agent.Refusal {
	limit := p.MaxSize
	if limit == 0 {
		limit = DefaultMaxSize
	}
	if len(line) > limit {
		return &agent.Refusal{Text: line[:limit], Reason: agent.ReasonTooLong, Detail: fmt.Sprintf("%d bytes, more than %d", len(line), limit)}
	}
	if f := p.scanner.scan(line, &p.doc); f.reason != "" {
		return &agent.Refusal{Text: line, Reason: f.reason, Detail: fmt.Sprintf("%s at byte %d", f.what, f.at+1)}
	}
	return nil
}

// Prepare makes e of line. From origin, offset and the line itself the id of an
// event that has none is derived; without origin it is random. now is the time
// of receipt in UTC nanoseconds. The event's bytes are parts of line or of p
// and valid until the next call. A refusal's Text is a part of line.
func (p *Preparer) Prepare(e *agent.Event, line []byte, origin string, offset, now int64) (Notes, *agent.Refusal) {
	var notes Notes
	if refusal := p.Check(line); refusal != nil {
		return notes, refusal
	}
	p.src = line
	line = p.body() // without the white space around it
	if p.doc.badText || p.doc.duplicates || p.doc.escapedKeys || p.doc.breaks {
		p.repair(&notes)
	}
	p.scratch = p.scratch[:0]
	if p.doc.rawKeys {
		p.format(&notes)
	}
	if len(p.Common.Fields)+len(p.Fields) > 0 {
		p.addFields(&notes)
	}
	e.ID = p.text(slotID)
	if len(e.ID) == 0 {
		p.addID(line, origin, offset)
		notes.MadeID = true
		e.ID = p.text(slotID)
	}
	e.Seq, e.Wire = 0, nil
	e.Body = p.body()
	e.Input = p.Input
	e.Received = now
	e.Type = p.eventType()
	e.Source = p.text(slotSource)
	e.Severity = p.severity()
	if e.Time, notes.Time = parseTime(p.timestamp()); notes.Time >= timeMissing {
		e.Time = now
	}
	return notes, nil
}

// body is the event as it stands.
func (p *Preparer) body() []byte { return p.src[p.doc.start:p.doc.end:p.doc.end] }

// buf is an empty buffer that the event as it stands is not in.
func (p *Preparer) buf() []byte { return p.bufs[0][:0] }

// become makes text, built in buf, the event as it stands. It holds valid JSON,
// because every step keeps that.
func (p *Preparer) become(text []byte) {
	p.bufs[0], p.bufs[1] = p.bufs[1], text
	p.src = text
	p.scanner.scan(text, &p.doc)
	if p.doc.escapedKeys {
		p.findEscaped()
	}
}

// recycle forgets buffers that one huge event has left.
func (p *Preparer) recycle() {
	for i, b := range p.bufs {
		if cap(b) > 1<<20 {
			p.bufs[i] = nil
		}
	}
	if cap(p.scratch) > 1<<20 {
		p.scratch = nil
	}
	if cap(p.scanner.keys) > 1<<16 {
		p.scanner.keys = nil
	}
	p.src = nil
}

func (p *Preparer) repair(notes *Notes) {
	if p.doc.badText {
		notes.Text = true
		p.become(mend(p.buf(), p.body())) // may bring to light that two keys are the same
	}
	if p.doc.breaks {
		notes.Compacted = true
		p.become(json.Compact(p.buf(), p.body()))
	}
	if p.doc.duplicates || p.doc.escapedKeys {
		out, removed := dedupe(p.buf(), p.body())
		notes.Duplicate = removed
		p.become(out)
	}
}

// paths are the members behind the slots.
var paths = [slots][]string{
	slotID: {"event_id"}, slotTime: {"timestamp"}, slotType: {"event_type"}, slotSource: {"source"},
	slotSeverity: {"severity"}, slotAnomalySeverity: {"anomaly", "severity"}, slotRiskLevel: {"risk", "level"},
}

// findEscaped finds the members that are written with escapes in their keys.
func (p *Preparer) findEscaped() {
	p.doc.rawKeys = true // perhaps
	body := p.body()
	for i, path := range paths {
		if len(path) == 0 {
			continue
		}
		p.doc.value[i] = span{}
		if v, ok := json.Get(body, path...); ok {
			start := p.doc.start + int32(cap(body)-cap(v)) // v is a part of body
			p.doc.value[i] = span{start, start + int32(len(v))}
		}
	}
}

// text is the text of a member: a part of the body if it stands there as it
// is, else built in scratch. It is empty if the member counts as absent.
func (p *Preparer) text(s slot) []byte {
	raw := p.doc.value[s].of(p.src)
	if len(raw) == 0 {
		return nil
	}
	if raw[0] == '"' && (!p.doc.escapes || bytes.IndexByte(raw, '\\') < 0) {
		return raw[1 : len(raw)-1]
	}
	if k := json.KindOf(raw); k == json.Number || k == json.Bool {
		return raw
	}
	start := len(p.scratch)
	p.scratch = json.Text(p.scratch, raw)
	return p.scratch[start:len(p.scratch):len(p.scratch)]
}

func (p *Preparer) eventType() []byte {
	if t := p.text(slotType); len(t) > 0 {
		return t
	}
	start := len(p.scratch)
	p.scratch = append(p.scratch, p.Common.EventType...)
	return p.scratch[start:len(p.scratch):len(p.scratch)]
}

// timestamp is the text of the timestamp, which only a string or a number has.
func (p *Preparer) timestamp() []byte {
	switch raw := p.doc.value[slotTime].of(p.src); json.KindOf(raw) {
	case json.String, json.Null, json.None:
		return p.text(slotTime)
	default:
		return raw
	}
}

func (p *Preparer) severity() agent.Severity {
	for _, s := range [...]slot{slotSeverity, slotAnomalySeverity, slotRiskLevel} {
		if text := p.text(s); len(text) > 0 {
			sev, ok := agent.ParseSeverity(text)
			if !ok {
				sev, ok = agent.ParseSeverity(bytes.TrimSpace(text))
			}
			if !ok {
				sev = agent.Informational
			}
			return sev
		}
	}
	if p.Common.Severity != agent.Unset {
		return p.Common.Severity
	}
	return agent.Informational
}

// format gives a raw record its nested shape.
func (p *Preparer) format(notes *Notes) {
	id := &p.Identity
	if id.Product == "" && id.Version == "" {
		id = &agent.DefaultIdentity
	}
	f := format.Formatter{Product: id.Product, Version: id.Version}
	if out, changed := f.Format(p.buf(), string(p.eventType()), p.body()); changed {
		notes.Formatted = true
		p.become(out)
	}
}

// fields are the static ones. A name that the batch has counts once.
func (p *Preparer) fields() []agent.Field {
	if len(p.Fields) == 0 {
		return p.Common.Fields
	}
	p.static = append(p.static[:0], p.Fields...)
	for _, f := range p.Common.Fields {
		if !slices.ContainsFunc(p.Fields, func(b agent.Field) bool { return b.Name == f.Name }) {
			p.static = append(p.static, f)
		}
	}
	return p.static
}

// addFields adds the static fields that the event lacks at its end.
func (p *Preparer) addFields(notes *Notes) {
	fields := p.fields()
	p.present = slices.Grow(p.present[:0], len(fields))[:len(fields)]
	clear(p.present)
	missing := len(fields)
	body := p.body()
	empty := true
	json.Walk(body, func(key, _ []byte) bool {
		empty = false
		for i := range fields {
			if !p.present[i] && json.KeyIs(key, fields[i].Name) {
				p.present[i] = true
				missing--
			}
		}
		return missing > 0
	})
	if missing == 0 {
		return
	}
	out := append(p.buf(), body[:len(body)-1]...)
	for i := range fields {
		if p.present[i] {
			continue
		}
		if !empty {
			out = append(out, ',')
		}
		empty = false
		out = append(out, fields[i].Member...)
	}
	notes.Fields = true
	p.become(append(out, '}'))
}
