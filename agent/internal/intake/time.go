package intake

import (
	"bytes"
	"time"
)

// How a timestamp was understood.
type timeNote uint8

const (
	timeExact      timeNote = iota
	timeNoZone              // taken for UTC
	timeMissing             // absent, null or ""
	timeUnreadable          // unparsable or out of range: the time of receipt counts
)

// The range of times that events may have: the years 1970 to 9999.
const maxSeconds = 253402300799

// parseTime gives UTC nanoseconds for the text of a timestamp, a number or a
// date. Digits beyond nanoseconds are cut; nothing is rounded.
func parseTime(text []byte) (ns int64, note timeNote) {
	if len(text) == 0 {
		return 0, timeMissing
	}
	if ns, note, ok := parseDate(text); ok {
		return ns, note
	}
	if ns, ok := parseEpoch(text); ok {
		return ns, timeExact
	}
	return 0, timeUnreadable
}

// parseEpoch takes seconds, milli-, micro- or nanoseconds, told apart by their size.
func parseEpoch(text []byte) (int64, bool) {
	whole, frac, _ := bytes.Cut(text, []byte{'.'})
	if len(whole) == 0 || len(whole) > 19 || bytes.IndexByte(text, '.') >= 0 && len(frac) == 0 {
		return 0, false
	}
	n, ok := digits(whole)
	if !ok {
		return 0, false
	}
	for _, c := range frac {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	unit, places := int64(1), 0
	switch {
	case n < 1e11:
		unit, places = 1e9, 9
	case n < 1e14:
		unit, places = 1e6, 6
	case n < 1e17:
		unit, places = 1e3, 3
	}
	if n/(1e9/unit) > maxRepresentable {
		return 0, false
	}
	ns := n * unit
	for i, scale := 0, unit/10; i < min(len(frac), places); i, scale = i+1, scale/10 {
		ns += int64(frac[i]-'0') * scale
	}
	return ns, true
}

// maxRepresentable is the last second that 64 bits of nanoseconds can hold: in the year 2262.
const maxRepresentable = 9223372035

// parseDate takes RFC 3339 with T, t or a space, any number of fraction digits, with or without a zone.
func parseDate(b []byte) (ns int64, note timeNote, ok bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' ||
		b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return 0, 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 60 {
		return 0, 0, false
	}
	second = min(second, 59) // a leap second belongs to the minute that it ends
	b = b[19:]
	var frac int64
	if len(b) > 0 && b[0] == '.' {
		b = b[1:]
		n := 0
		scale := int64(1e8)
		for n < len(b) && '0' <= b[n] && b[n] <= '9' {
			frac += int64(b[n]-'0') * scale
			scale /= 10
			n++
		}
		if n == 0 {
			return 0, 0, false
		}
		b = b[n:]
	}
	offset, note, ok := parseZone(b)
	if !ok {
		return 0, 0, false
	}
	sec := daysSince1970(year, month, day)*86400 + hour*3600 + minute*60 + second - offset
	if sec < 0 || sec > maxSeconds || sec > maxRepresentable {
		return 0, timeUnreadable, true
	}
	return sec*1e9 + frac, note, true
}

// parseZone takes Z, z, +hh:mm or nothing, which means UTC and is noted.
func parseZone(b []byte) (seconds int64, note timeNote, ok bool) {
	switch {
	case len(b) == 0:
		return 0, timeNoZone, true
	case len(b) == 1 && (b[0] == 'Z' || b[0] == 'z'):
		return 0, timeExact, true
	case len(b) == 6 && (b[0] == '+' || b[0] == '-') && b[3] == ':':
		h, ok1 := digits(b[1:3])
		m, ok2 := digits(b[4:6])
		if !ok1 || !ok2 || h > 23 || m > 59 {
			return 0, 0, false
		}
		seconds = h*3600 + m*60
		if b[0] == '-' {
			seconds = -seconds
		}
		return seconds, timeExact, true
	}
	return 0, 0, false
}

func digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar, from March so that the leap day is last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}

// stamp is t in the unit of events.
func stamp(t time.Time) int64 { return t.UnixNano() }
