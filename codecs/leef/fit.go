package leef

import "github.com/adrian207/siemd/codecs/fields"

// A long line is one that has to be shortened.
type long struct {
	start  int // where the line begins
	needed int // where what tells which event it is ends
	msg    int // where the value of msg begins, which is the last; 0: none

	title, titleEnd int // where the value of title begins and ends; 0: none

	ends [16]int
	n    int
}

// mark notes that an attribute ends at end, unless it is empty.
func (l *long) mark(end int) {
	if l != nil && l.needed > 0 && l.n < len(l.ends) && (l.n == 0 || end != l.ends[l.n-1]) {
		l.ends[l.n] = end
		l.n++
	}
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
	limit := l.start + c.max
	cut := func(value int) bool {
		if value == 0 || value >= limit {
			return false
		}
		kept := fields.Trim(fields.CutBytes(dst[value:], limit-value))
		if len(kept) == 0 {
			return false
		}
		dst = dst[:value+len(kept)]
		return true
	}
	if cut(l.msg) {
		return dst, nil
	}
	for l.n > 0 && len(dst) > limit {
		if len(dst) == l.titleEnd && cut(l.title) {
			return dst, nil
		}
		l.n--
		if l.ends[l.n] < len(dst) {
			dst = dst[:l.ends[l.n]]
			c.repairs.Add(fields.PairDropped)
		}
	}
	if len(dst) > limit {
		return dst[:l.start], ErrTooLong
	}
	return dst, nil
}
