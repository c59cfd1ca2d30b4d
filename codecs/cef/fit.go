package cef

import "github.com/adrian207/siemd/codecs/fields"

// A long line is one that has to be shortened. Groups are pairs that stand and
// fall together, a custom field with its label; msg and name are where the texts are that may be cut.
type long struct {
	start         int // where the line begins
	name, nameEnd int
	msg, msgEnd   int
	needed        int // where what cannot be left out ends
	groups        [40]int
	n             int
}

// mark notes that a group of pairs ends at end, if it is not empty.
func (l *long) mark(end int) {
	if l == nil || l.needed == 0 || l.n == len(l.groups) || end == l.needed || l.n > 0 && end == l.groups[l.n-1] {
		return
	}
	l.groups[l.n] = end
	l.n++
}

// shorten writes a line again that was too long, behind its header, and shortens it.
func (c *form) shorten(dst []byte, start int, v event) ([]byte, error) {
	silent, l := *c, long{start: start}
	silent.repairs = nil // they have been counted
	v.form, v.long = &silent, &l
	return c.fit(v.write(dst, every.Pieces), &l)
}

// fit shortens a line that is too long.
func (c *form) fit(dst []byte, l *long) ([]byte, error) {
	c.repairs.Add(fields.Truncated)
	over := func() int { return len(dst) - l.start - c.max }
	// The text is what people read: whole pairs go before it falls below this.
	const worth = 64
	enough := func() bool { return over() <= 0 || l.msgEnd-l.msg >= over()+worth }
	for len(dst) > l.needed && !enough() {
		end := l.needed
		if l.n > 0 {
			l.n--
			end = l.groups[l.n]
		}
		if end < len(dst) {
			dst = dst[:end]
			c.repairs.Add(fields.PairDropped)
		}
	}
	n := over()
	if n <= 0 {
		return dst, nil
	}
	// cut shortens the value from begin to end by n bytes, or more where a character ends.
	cut := func(begin, end, n int) bool {
		short := cutEscaped(dst[begin:end], end-begin-n)
		if end-begin-len(short) < n || len(short) == 0 {
			return false
		}
		dst = append(dst[:begin+len(short)], dst[end:]...)
		return true
	}
	if cut(l.msg, l.msgEnd, n) {
		return dst, nil
	}
	// The name alone is too long: the beginning of the text stays, and the name gives way.
	if text := l.msgEnd - l.msg; text > worth {
		cut(l.msg, l.msgEnd, text-worth)
	}
	if n := over(); n > 0 && !cut(l.name, l.nameEnd, n) {
		return dst[:l.start], ErrTooLong
	}
	return dst, nil
}
