package fields

import "bytes"

// The limits of what is learnt: longer events are rare, and reading them in the usual way costs them little.
const (
	maxSteps  = 64
	maxShape  = 4 << 10   // bytes of a body whose shape is learnt
	maxBody   = 1<<16 - 1 // bytes of a body that is compared with shapes
	maxShapes = 8         // of the types of a slot
)

// learn is the family with the shape of the body that f was read from, which
// none of the known ones was, or nil if there is nothing to learn. It is the nth such event.
func (known *family) learn(f *Fields, eventType []byte, n uint64) *family {
	s := f.outline(eventType)
	if s == nil {
		return nil
	}
	more := &family{}
	if known != nil {
		more.shapes = known.shapes
	}
	place, loose := int(n%maxShapes), uint64(0)
	if n > eager {
		loose = ^loose // it would take too long to find out what never changes
	}
	for i, old := range more.shapes {
		if old == nil {
			place = i
			break
		}
		if changed, ok := old.differs(s); ok {
			if changed == old.loose {
				return nil // somebody else was faster
			}
			s, place, loose = old, i, changed
			break
		}
	}
	more.shapes[place] = s.with(loose)
	for i, a := range more.shapes {
		for j, b := range more.shapes {
			if a != nil && b != nil {
				more.common[i][j] = uint8(a.common(b))
			}
		}
	}
	return more
}

// outline is the shape of the body, which f was read from, or nil if it is not
// worth knowing. Its steps are still to be made.
func (f *Fields) outline(eventType []byte) *shape {
	b := f.body
	if _, known := f.Attack(); !known || len(b) > maxShape {
		return nil
	}
	whole := string(b)
	s := &shape{eventType: string(eventType), kind: f.Kind, from: *f, whole: whole}
	s.from.body = []byte(whole)
	from := 0 // what is not in a text yet
	for i := 0; i < len(b); {
		if c := b[i]; c <= ' ' || c == ',' || c == ':' || c == '}' {
			i++
			continue
		}
		st := step{kind: anything, name: f.nameAt(i)}
		if b[i] == '{' {
			if st.name == unmapped || st.name == attackOpens {
				i++
				continue
			}
			st.kind = object
		}
		end := valueEnd(b, i)
		if colon := skipSpace(b, end); b[i] == '"' && colon < len(b) && b[colon] == ':' {
			i = colon // it was a key
			continue
		}
		if end == i || b[i] == '"' && end-i < 2 || len(s.all) == maxSteps {
			return nil // no JSON, or too much of it
		}
		switch {
		case b[i] == '"':
			st.kind = text
			i++
			end--
		case (b[i] == '-' || '0' <= b[i] && b[i] <= '9') && end-i < 8:
			st.kind = number
		}
		st.text, st.start, st.size = whole[from:i], i, end-i
		st.mark = 0x80 << (st.size % 8 * 8)
		s.all = append(s.all, st)
		if from, i = end, end; st.kind == text {
			i++
		}
	}
	s.last = whole[from:]
	return s
}

// nameAt is the name of the value that begins at i.
func (f *Fields) nameAt(i int) Name {
	for n := unmapped + 1; n < names; n++ {
		if at := f.at[n]; at.end > 0 && int(at.start) == i {
			return n
		}
	}
	return unmapped
}

// differs reports whether t, which is new, is of the same texts as s, and which values have changed with it.
func (s *shape) differs(t *shape) (loose uint64, same bool) {
	if len(s.all) != len(t.all) || s.last != t.last || s.eventType != t.eventType {
		return 0, false
	}
	loose = s.loose
	for k := range s.all {
		a, b := &s.all[k], &t.all[k]
		if a.text != b.text || a.name != b.name || (a.kind == object) != (b.kind == object) {
			return 0, false
		}
		if !bytes.Equal(s.value(a), t.value(b)) {
			loose |= 1 << k
		}
	}
	return loose, true
}

// value is the value of a step of s, without quotes, in the event that it was learnt from.
func (s *shape) value(st *step) []byte { return s.from.body[st.start : st.start+st.size] }

// with is s with the values of loose as values, and the others as parts of the texts around them.
func (s *shape) with(loose uint64) *shape {
	u := &shape{eventType: s.eventType, kind: s.kind, from: s.from, whole: s.whole, all: s.all, last: s.last, loose: loose, changing: Itself}
	from := 0 // what is not in a text yet
	for k, st := range s.all {
		switch {
		case loose&(1<<k) != 0:
			st.text, from = s.whole[from:st.start], st.start+st.size
			u.steps = append(u.steps, st)
			if st.name != unmapped {
				u.places = append(u.places, u.place(st.name))
				u.changing |= Of(st.name)
			}
		case st.name != unmapped:
			u.always[st.name] = s.from.raw(st.name)
		}
	}
	u.end = s.whole[from:]
	if s.from.at[attackOpens].end > 0 {
		if opens, closes := u.place(attackOpens), u.place(attackCloses); opens.step < closes.step {
			u.braces = []place{opens, closes}
			u.changing |= Of(attackOpens, attackCloses)
		} else {
			u.attack, _ = s.from.Attack()
		}
	}
	return u
}

// place is where what is called n stands.
func (s *shape) place(n Name) place {
	at, step, from := int(s.from.at[n].start), 0, 0
	for step < len(s.steps) && s.steps[step].start+s.steps[step].size <= at {
		from = s.steps[step].start + s.steps[step].size
		step++
	}
	return place{n, step, at - from}
}

// common is how many steps at their beginning s and t share.
func (s *shape) common(t *shape) (n int) {
	for n < min(len(s.steps), len(t.steps)) {
		a, b := &s.steps[n], &t.steps[n]
		if a.text != b.text || a.kind != b.kind {
			break
		}
		n++
	}
	return n
}
