package fields

import "github.com/adrian207/siemd/codecs/json"

// Mitre is the event's mitre_attack: an object, or an array of them. Its
// tactic and technique may each be a string, an object with id and name, or an
// array of either. Ids and names are passed through and never checked against a list.
type Mitre struct {
	Tactic, TacticName             Value
	Technique, TechniqueName       Value
	SubTechnique, SubTechniqueName Value

	list Value // the array, if mitre_attack is one
}

// A Label is an id with its name. One of the two may be nil, not both.
type Label struct {
	ID, Name Value
}

// Mitre is what the event names of ATT&CK; ok is false if that is nothing.
func (f *Fields) Mitre() (m Mitre, ok bool) {
	for n := tactic; n <= subTechniqueName; n++ {
		ok = ok || f.at[n].end > 0
	}
	if !ok && f.at[attacks].end == 0 {
		return m, false
	}
	m = Mitre{
		Tactic: f.Get(tactic), TacticName: f.Get(tacticName),
		Technique: f.Get(technique), TechniqueName: f.Get(techniqueName),
		SubTechnique: f.Get(subTechnique), SubTechniqueName: f.Get(subTechniqueName),
	}
	if list := f.Get(attacks); json.KindOf(list) == json.Array {
		m.list = list
	}
	return m, !m.isZero()
}

func (m *Mitre) isZero() bool {
	return m.Tactic == nil && m.TacticName == nil && m.Technique == nil && m.TechniqueName == nil &&
		m.SubTechnique == nil && m.SubTechniqueName == nil && m.list == nil
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
	if m.list == nil {
		return
	}
	json.Elements(m.list, func(v []byte) bool {
		of := Fields{body: v}
		of.scan(mitre)
		one, _ := of.Mitre()
		id, name := one.part(p)
		labels(id, name, f)
		return true
	})
}

// IsSimple reports whether there is at most one label of each part, given in
// the simplest way. One has them then.
func (m *Mitre) IsSimple() bool {
	return m.list == nil && isScalar(m.Tactic) && isScalar(m.TacticName) && isScalar(m.Technique) &&
		isScalar(m.TechniqueName) && isScalar(m.SubTechnique) && isScalar(m.SubTechniqueName)
}

// One is the label of a part, if IsSimple.
func (m *Mitre) One(p Part) (l Label) {
	l.ID, l.Name = m.part(p)
	return l
}

// Single is the value whose text AppendText would give, if it takes no list to make it.
func (m *Mitre) Single(p Part) (v Value, ok bool) {
	if !m.IsSimple() || p == Techniques && (m.SubTechnique != nil || m.SubTechniqueName != nil) {
		return nil, false
	}
	l := m.One(p)
	if l.ID == nil {
		return l.Name, true
	}
	return l.ID, true
}

func isScalar(v Value) bool {
	return v == nil || v[0] != '{' && v[0] != '['
}

func (m *Mitre) part(p Part) (id, name Value) {
	switch p {
	case Tactics:
		return m.Tactic, m.TacticName
	case Techniques:
		return m.Technique, m.TechniqueName
	}
	return m.SubTechnique, m.SubTechniqueName
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
