package fields

import "strconv"

const (
	milli  = 1_000_000
	second = 1000 * milli
	daySec = 86400
)

// Times are UTC nanoseconds since 1970, always cut, never rounded. The log
// holds none before 1970; a negative one counts as 1970.

// AppendISO appends ns as 2025-10-29T12:00:00.000Z.
func AppendISO(dst []byte, ns int64) []byte {
	sec, ms := split(ns)
	year, month, day := civil(sec / daySec)
	sec %= daySec
	return append(dst,
		digit(year/1000), digit(year/100), digit(year/10), digit(year), '-',
		digit(month/10), digit(month), '-', digit(day/10), digit(day), 'T',
		digit(sec/36000), digit(sec/3600%10), ':', digit(sec/600%6), digit(sec/60), ':', digit(sec/10%6), digit(sec), '.',
		digit(ms/100), digit(ms/10), digit(ms), 'Z')
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// AppendBSD appends ns as RFC 3164 has it, in UTC: Oct  9 12:00:00.
func AppendBSD(dst []byte, ns int64) []byte {
	sec, _ := split(ns)
	_, month, day := civil(sec / daySec)
	dst = appendMonthDay(dst, month, day, ' ')
	return appendClock(append(dst, ' '), sec%daySec)
}

// AppendJava appends ns in the pattern "MMM dd yyyy HH:mm:ss.SSS z": Oct 09 2025 12:00:00.000 UTC.
func AppendJava(dst []byte, ns int64) []byte {
	sec, ms := split(ns)
	year, month, day := civil(sec / daySec)
	dst = appendMonthDay(dst, month, day, '0')
	dst = append(dst, ' ', digit(year/1000), digit(year/100), digit(year/10), digit(year), ' ')
	dst = appendClock(dst, sec%daySec)
	return append(dst, '.', digit(ms/100), digit(ms/10), digit(ms), ' ', 'U', 'T', 'C')
}

// AppendMillis appends the whole milliseconds since 1970.
func AppendMillis(dst []byte, ns int64) []byte {
	return strconv.AppendInt(dst, max(ns, 0)/milli, 10)
}

// AppendSeconds appends the seconds since 1970 with three decimals and never an exponent.
func AppendSeconds(dst []byte, ns int64) []byte {
	sec, ms := split(ns)
	dst = strconv.AppendInt(dst, sec, 10)
	return append(dst, '.', digit(ms/100), digit(ms/10), digit(ms))
}

// Date is the UTC date and hour of ns.
func Date(ns int64) (year, month, day, hour int64) {
	sec, _ := split(ns)
	year, month, day = civil(sec / daySec)
	return year, month, day, sec % daySec / 3600
}

func appendMonthDay(dst []byte, month, day int64, pad byte) []byte {
	dst = append(dst, months[3*(month-1):3*month]...)
	tens := digit(day / 10)
	if day < 10 {
		tens = pad
	}
	return append(dst, ' ', tens, digit(day))
}

func appendClock(dst []byte, sec int64) []byte {
	return append(dst, digit(sec/36000), digit(sec/3600%10), ':', digit(sec/600%6), digit(sec/60), ':', digit(sec/10%6), digit(sec))
}

// digit is the last decimal digit of n.
func digit(n int64) byte { return byte('0' + n%10) }

func split(ns int64) (sec, ms int64) {
	ns = max(ns, 0)
	return ns / second, ns % second / milli
}

// civil is the Gregorian date of a day since 1970. It counts from March, so
// that the leap day is the last of its year, in eras of 400 years.
func civil(days int64) (year, month, day int64) {
	const perEra, toMarch0000 = 146097, 719468
	days += toMarch0000
	era := days / perEra
	doe := days % perEra
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}
