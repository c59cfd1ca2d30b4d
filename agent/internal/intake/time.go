package intake

import (
	"bytes"
	"math"
)

// How a timestamp was understood.
type timeNote uint8

const (
	timeExact      timeNote = iota
	timeNoZone              // taken for UTC
	timeMissing             // absent, null or ""
	timeUnreadable          // unparsable or out of range
)

const (
	// lastSecond is the last whole second that 64 bits of nanoseconds can hold, in the year 2262.
	lastSecond = math.MaxInt64/1_000_000_000 - 1
	// lastMilli is the last millisecond of the year 9999. Later times count as out of range.
	lastMilli = 253402300799_999
)

// far is the time of an event that nanoseconds cannot count: see agent.When.
func far(ms uint64) (t int64, note timeNote) {
	if ms > lastMilli {
		return 0, timeUnreadable
	}
	return -int64(ms), timeExact
}

// parseTime gives the time of an event for the text of a timestamp: a date of
// RFC 3339, or a number. What is finer than nanoseconds, or from 2262 on than
// milliseconds, is cut, never rounded. t means something if note is below timeMissing.
func parseTime(text []byte) (t int64, note timeNote) {
	if len(text) == 0 {
		return 0, timeMissing
	}
	if text[0] <= ' ' || text[len(text)-1] <= ' ' {
		text = bytes.TrimSpace(text)
	}
	if len(text) > 4 && text[4] == '-' {
		return parseDate(text)
	}
	return parseEpoch(text)
}

// parseEpoch takes seconds, milli-, micro- or nanoseconds since 1970, told
// apart by their size. It works on the decimal digits, since a float64 has too few.
func parseEpoch(b []byte) (t int64, note timeNote) {
	for len(b) > 1 && b[0] == '0' && '0' <= b[1] && b[1] <= '9' {
		b = b[1:] // JSON has no leading zeros, texts may
	}
	if len(b) == 0 || b[0] == '-' || number(b, 0) != len(b) {
		return 0, timeUnreadable
	}
	mantissa, exponent := b, 0
	if i := bytes.IndexAny(b, "eE"); i >= 0 {
		mantissa, exponent = b[:i], smallInt(b[i+1:])
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	whole = bytes.TrimLeft(whole, "0")
	if len(whole) == 0 {
		trimmed := bytes.TrimLeft(fraction, "0")
		exponent -= len(fraction) - len(trimmed)
		fraction = trimmed
	}
	if len(whole)+len(fraction) == 0 {
		return 0, timeExact // zero
	}
	magnitude := len(whole) + exponent // the number lies below ten to that power, and not below a tenth of it
	places := 9
	switch {
	case magnitude > 17:
		places = 0
	case magnitude > 14:
		places = 3
	case magnitude > 11:
		places = 6
	}
	digits := magnitude + places // of the nanoseconds
	if digits > 21 {
		return 0, timeUnreadable
	}
	if digits > 18 {
		if ms := leading(whole, fraction, digits-6); ms/1000 > lastSecond {
			return far(ms)
		}
	}
	return int64(leading(whole, fraction, digits)), timeExact
}

// leading is the number of the first n digits of whole and fraction, with zeros behind them.
func leading(whole, fraction []byte, n int) (v uint64) {
	for i := range n {
		d := uint64(0)
		if i < len(whole) {
			d = uint64(whole[i] - '0')
		} else if i-len(whole) < len(fraction) {
			d = uint64(fraction[i-len(whole)] - '0')
		}
		v = v*10 + d
	}
	return v
}

// smallInt is the value of an exponent. Huge ones stay huge, and no more.
func smallInt(b []byte) int {
	n, sign := 0, 1
	for _, c := range b {
		switch {
		case c == '-':
			sign = -1
		case c != '+' && n < 10_000:
			n = n*10 + int(c-'0')
		}
	}
	return n * sign
}

// parseDate takes yyyy-mm-ddThh:mm:ss with T, t or a space, any number of
// fraction digits, and Z, z, an offset or no zone, which means UTC and is noted.
func parseDate(b []byte) (t int64, note timeNote) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, timeUnreadable
	}
	year, month, day := two(b[0:])*100+two(b[2:]), two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || uint(hour) > 23 || uint(minute) > 59 || uint(second) > 60 {
		return 0, timeUnreadable
	}
	second = min(second, 59) // a leap second belongs to the minute that it ends
	b = b[19:]
	fraction := 0
	if len(b) > 0 && b[0] == '.' {
		end := digitRun(b, 1)
		if end == 1 {
			return 0, timeUnreadable
		}
		for i := 1; i <= 9; i++ {
			fraction *= 10
			if i < end {
				fraction += int(b[i] - '0')
			}
		}
		b = b[end:]
	}
	offset := 0
	switch {
	case len(b) == 0:
		note = timeNoZone
	case len(b) == 1 && b[0]|0x20 == 'z':
	case len(b) == 6 && (b[0] == '+' || b[0] == '-') && b[3] == ':':
		h, m := two(b[1:]), two(b[4:])
		if uint(h) > 23 || uint(m) > 59 {
			return 0, timeUnreadable
		}
		if offset = h*3600 + m*60; b[0] == '-' {
			offset = -offset
		}
	default:
		return 0, timeUnreadable
	}
	sec := int64(daysSince1970(year, month, day))*86400 + int64(hour*3600+minute*60+second-offset)
	switch {
	case sec < 0:
		return 0, timeUnreadable
	case sec > lastSecond:
		t, exact := far(uint64(sec)*1000 + uint64(fraction)/1_000_000)
		return t, max(exact, note)
	}
	return sec*1_000_000_000 + int64(fraction), note
}

// two is the value of the two digits that b begins with; negative, also when
// it is used in a sum, if they are none.
func two(b []byte) int {
	tens, ones := b[0]-'0', b[1]-'0'
	if tens > 9 || ones > 9 {
		return -1 << 20
	}
	return int(tens)*10 + int(ones)
}

func daysIn(year, month int) int {
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

// daysSince1970 counts days of the Gregorian calendar, in years that begin in
// March, so that the leap day is the last of its year.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}
