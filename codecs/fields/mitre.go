package fields

import "github.com/adrian207/siemd/codecs/json"

// Mitre is the event's mitre_attack: an object, or an array of them. Its
// tactic and technique may each be a string, an object with id and name, or an
// array of either. Ids and names are passed through and never checked against a list.
type Mitre Fields

// A Label is an id with its name. One of the two may be nil, not both.
type Label struct {
	ID, Name Value
}

// Mitre is what the event names of ATT&CK; ok is false if that is nothing.
func (f *Fields) Mitre() (m *Mitre, ok bool) {
	ok = (*Mitre)(f).list() != nil
	for n := tactic; n <= subTechniqueName && !ok; n++ {
		ok = f.Get(n) != nil
	}
	return (*Mitre)(f), ok
}

// Attack is mitre_attack as it stands in the body: what Mitre says follows from
// it alone. It is nil if Mitre says nothing. ok is false if that takes a closer look.
func (f *Fields) Attack() (raw []byte, ok bool) {
	if f.shape != nil && f.shape.attack != nil {
		return f.shape.attack, true
	}
	opens, closes := f.at[attackOpens], f.at[attackCloses]
	list := (*Mitre)(f).list()
	switch {
	case opens.end == 0:
		return list, true
	case closes.end == 0 || list != nil || f.twice:
		return nil, false
	}
	return f.body[opens.start:closes.end], true
}

// list is mitre_attack, if it is an array.
func (m *Mitre) list() []byte {
	if v := (*Fields)(m).raw(attacks); len(v) > 0 && v[0] == '[' {
		return v
	}
	return nil
}

// A Part of ATT&CK.
type Part uint8

// The parts.
const (
	Tactics Part = iota
	Techniques
	SubTechniques
)

// Each calls f for each tactic, technique or sub-technique, in order. A
// sub-technique given as a technique ("T1110.001") is one of the techniques.
func (m *Mitre) Each(p Part, f func(Label)) {
	id, name := m.part(p)
	labels(id, name, f)
	if m.list() == nil {
		return
	}
	json.Elements(m.list(), func(v []byte) bool {
		of := Fields{body: v}
		of.scan(mitre)
		id, name := (*Mitre)(&of).part(p)
		labels(id, name, f)
		return true
	})
}

func isComposite(v Value) bool { return v != nil && (v[0] == '{' || v[0] == '[') }

// Single is the value whose text AppendText would give, if it takes no list to make it.
func (m *Mitre) Single(p Part) (v Value, ok bool) {
	id, name := m.part(p)
	if isComposite(id) || isComposite(name) || m.list() != nil {
		return nil, false
	}
	if p == Techniques {
		if sub, subName := m.part(SubTechniques); sub != nil || subName != nil {
			return nil, false
		}
	}
	if id != nil {
		return id, true
	}
	return name, true
}

func (m *Mitre) part(p Part) (id, name Value) {
	n := tactic + 2*Name(p)
	return (*Fields)(m).Get(n), (*Fields)(m).Get(n + 1)
}

// labels reads the forms of a tactic or technique. Beside an array of ids,
// names is an array too, or belongs to the first.
func labels(v, names Value, f func(Label)) {
	if json.KindOf(v) != json.Array {
		label(v, names, f)
		return
	}
	next := elements{rest: names}
	if json.KindOf(names) != json.Array {
		next = elements{first: names}
	}
	json.Elements(v, func(item []byte) bool {
		label(item, next.take(), f)
		return true
	})
}

// elements hands out the elements of an array one by one.
type elements struct {
	first Value
	rest  []byte // from the bracket or comma before the next element on
}

func (e *elements) take() (v Value) {
	if e.rest == nil {
		v, e.first = e.first, nil
		return v
	}
	start := skipSpace(e.rest, 1)
	if start >= len(e.rest) || e.rest[start] == ']' {
		e.rest = nil
		return nil
	}
	end := valueEnd(e.rest, start)
	v = e.rest[start:end]
	if end = skipSpace(e.rest, end); end < len(e.rest) && e.rest[end] == ',' {
		e.rest = e.rest[end:]
	} else {
		e.rest = nil
	}
	return present(v)
}

func label(v, name Value, f func(Label)) {
	l := Label{ID: present(v), Name: name}
	if json.KindOf(v) == json.Object {
		l.ID = nil
		json.Walk(v, func(key, v []byte) bool {
			switch string(key) {
			case "id", "uid":
				l.ID = scalar(v)
			case "name":
				l.Name = scalar(v)
			}
			return true
		})
	}
	if l.ID, l.Name = scalar(l.ID), scalar(l.Name); l.ID != nil || l.Name != nil {
		f(l)
	}
}

// scalar is v unless it is absent or a composite.
func scalar(v Value) Value {
	switch json.KindOf(v) {
	case json.None, json.Null, json.Array, json.Object:
		return nil
	}
	return present(v)
}

// AppendText appends the ids of the tactics or techniques, joined with "; ";
// one without an id is named. A sub-technique that has a member of its own
// follows the techniques.
func (m *Mitre) AppendText(dst []byte, p Part) []byte {
	start := len(dst)
	m.Each(p, func(l Label) { dst = join(dst, start, l) })
	if p == Techniques {
		m.Each(SubTechniques, func(l Label) { dst = join(dst, start, l) })
	}
	return dst
}

func join(dst []byte, start int, l Label) []byte {
	if len(dst) > start {
		dst = append(dst, "; "...)
	}
	if l.ID != nil {
		return json.Text(dst, l.ID)
	}
	return json.Text(dst, l.Name)
}
