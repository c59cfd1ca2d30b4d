package fields

// The limits of what is learnt: longer events are rare, and reading them in the usual way costs them little.
const (
	maxSteps = 64
	maxShape = 16 << 10
)

// shape is that of the body, which f was read from, or nil if it is not worth knowing.
func (f *Fields) shape() *shape {
	b := f.body
	if len(b) > maxShape {
		return nil
	}
	s := &shape{}
	whole := string(b) // all texts and values are parts of it
	from := 0          // what is not in a text yet
	for i := 0; i < len(b); {
		if c := b[i]; c <= ' ' || c == ',' || c == ':' || c == '}' {
			i++
			continue
		}
		st := step{kind: anything, name: f.nameAt(i)}
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
		if end == i || b[i] == '"' && end-i < 2 || len(s.steps) == maxSteps {
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
		st.text, st.size = whole[from:i], end-i
		st.mark = 0x80 << (st.size % 8 * 8)
		s.steps, s.values = append(s.steps, st), append(s.values, whole[i:end])
		if attacks == st.name || tactic <= st.name && st.name <= subTechniqueName {
			if s.lastAttack = st.name; s.firstAttack == unmapped {
				s.firstAttack = st.name
			}
		}
		if from, i = end, end; st.kind == text {
			i++
		}
	}
	s.end = whole[from:]
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

// loosen is called with an event of the shape s in which a value is another than it always was.
func (s *shape) loosen(f *Fields) {
	now, usual := f.shape(), s.usual.Load()
	if now == nil || len(now.steps) != len(s.steps) {
		return
	}
	loose := usual.loose
	for k, v := range s.values {
		if v != now.values[k] {
			loose |= 1 << k
		}
	}
	if loose != usual.loose {
		s.usual.Store(s.fuse(loose))
	}
}

// fuse makes the shape in which only the values of loose are values, and the others parts of the texts around them.
func (s *shape) fuse(loose uint64) *shape {
	u := &shape{form: s.form, firstAttack: s.firstAttack, lastAttack: s.lastAttack, loose: loose}
	var before []byte
	var within []fixed
	for k, st := range s.steps {
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
	u.end, u.fixed = string(append(before, s.end...)), within
	return u
}
