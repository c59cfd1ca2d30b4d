package rfc5424

import "github.com/adrian207/siemd/codecs/fields"

// attack appends a parameter with ids of ATT&CK.
func (c *form) attack(dst []byte, name string, m *fields.Mitre, p fields.Part) []byte {
	if v, ok := m.Single(p); ok {
		return c.value(dst, name, v)
	}
	n := len(dst)
	return c.moved(m.AppendText(dst, p), n, name)
}

// value is param for a raw value.
func (c *form) value(dst []byte, name string, v fields.Value) []byte {
	if v == nil {
		return dst
	}
	if text, ok := v.Plain(); ok {
		return c.param(dst, name, text)
	}
	n := len(dst)
	return c.moved(v.AppendText(dst), n, name)
}

// param appends a parameter, unless its value is empty.
func (c *form) param(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	if fields.IsClean(value, '"', '\\', ']') {
		return append(append(dst, value...), '"')
	}
	control := false
	from := 0
	for i, b := range value {
		switch {
		case b == '"' || b == '\\' || b == ']':
			dst = append(append(dst, value[from:i]...), '\\')
			from = i
		case b < ' ' || b == 0x7f:
			dst = append(dst, value[from:i]...)
			if b != '\n' || i == 0 || value[i-1] != '\r' {
				dst = append(dst, ' ')
			}
			control = true
			from = i + 1
		}
	}
	if control {
		c.repairs.Add(fields.ControlChar)
	}
	return append(append(dst, value[from:]...), '"')
}

// moved makes a parameter of the value that was appended at n.
func (c *form) moved(dst []byte, n int, name string) []byte {
	m := len(dst)
	dst = c.param(dst, name, dst[n:m])
	return append(dst[:n], dst[m:]...)
}
