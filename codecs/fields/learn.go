package fields

// The limits of what is learnt: longer events are rare, and reading them in the usual way costs them little.
const (
	maxSteps  = 64
	maxShape  = 4 << 10   // bytes of a body whose shape is learnt
	maxBody   = 1<<16 - 1 // bytes of a body that is compared with shapes
	maxShapes = 8         // of the types of a slot
)

// learn is the family with the shape of the body that f was read from, which
// none of the known ones was, or nil if there is nothing to learn. It is the nth such event.
func (known *family) learn(f *Fields, n uint64) *family {
	s := f.shape()
	if s == nil {
		return nil
	}
	more := &family{}
	if known != nil {
		more.shapes = known.shapes
	}
	place := int(n % maxShapes)
	for i, old := range more.shapes {
		if old == nil {
			place = i
			break
		}
		if loose, ok := old.differs(s); ok {
			if loose == old.loose {
				return nil // somebody else was faster
			}
			s = old.with(loose)
			place = i
			break
		}
	}
	if s.steps == nil {
		loose := uint64(0)
		if n > eager {
			loose = ^loose // it would take too long to find out what never changes
		}
		s = s.with(loose)
	}
	more.shapes[place] = s
	for i, a := range more.shapes {
		for j, b := range more.shapes {
			if a != nil && b != nil {
				more.common[i][j] = uint8(a.common(b))
			}
		}
	}
	return more
}

// shape is that of the body, which f was read from, or nil if it is not worth knowing. Its steps are still to be made.
func (f *Fields) shape() *shape {
	b := f.body
	if _, known := f.Attack(); !known || len(b) > maxShape {
		return nil
	}
	s := &shape{}
	whole := string(b) // all texts and values are parts of it
	from := 0          // what is not in a text yet
	var within []fixed
	for i := 0; i < len(b); {
		name := f.nameAt(i)
		if name == attackOpens || name == attackCloses {
			within = append(within, fixed{name, uint32(i - from), uint32(i - from + 1)})
			i++
			continue
		}
		if c := b[i]; c <= ' ' || c == ',' || c == ':' || c == '}' {
			i++
			continue
		}
		st := step{kind: anything, name: name}
		if b[i] == '{' {
			if st.name == unmapped {
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
		st.text, st.size, st.fixed = whole[from:i], end-i, within
		st.mark = 0x80 << (st.size % 8 * 8)
		s.all, s.values = append(s.all, st), append(s.values, whole[i:end])
		if from, i, within = end, end, nil; st.kind == text {
			i++
		}
	}
	s.last, s.lastFixed = whole[from:], within
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
	if len(s.all) != len(t.all) || s.last != t.last {
		return 0, false
	}
	loose = s.loose
	for k := range s.all {
		a, b := &s.all[k], &t.all[k]
		if a.text != b.text || a.name != b.name || (a.kind == object) != (b.kind == object) {
			return 0, false
		}
		if s.values[k] != t.values[k] {
			loose |= 1 << k
		}
	}
	return loose, true
}

// with is s with the values of loose as values, and the others as parts of the texts around them.
func (s *shape) with(loose uint64) *shape {
	u := &shape{all: s.all, last: s.last, lastFixed: s.lastFixed, values: s.values, loose: loose, steps: []step{}}
	var before []byte
	var within []fixed
	move := func(all []fixed) {
		for _, c := range all {
			within = append(within, fixed{c.name, uint32(len(before)) + c.start, uint32(len(before)) + c.end})
		}
	}
	for k, st := range s.all {
		move(st.fixed)
		before = append(before, st.text...)
		if loose&(1<<k) != 0 {
			st.text, st.fixed = string(before), within
			u.steps = append(u.steps, st)
			before, within = before[:0], nil
			continue
		}
		v := fixed{st.name, uint32(len(before)), uint32(len(before) + st.size)}
		if before = append(before, s.values[k]...); st.kind == text {
			v.start, v.end = v.start-1, v.end+1
		}
		if st.name != unmapped {
			within = append(within, v)
		}
	}
	move(s.lastFixed)
	u.end, u.fixed = string(append(before, s.last...)), within
	return u
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
