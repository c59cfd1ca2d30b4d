package fields

import "strconv"

const (
	milli  = 1_000_000
	second = 1000 * milli
	daySec = 86400
)

// Times are those of events (agent.When): UTC nanoseconds since 1970, or
// milliseconds as a negative number. They are always cut, never rounded.

// SizeISO is the size of the times that AppendISO and PutISO write.
const SizeISO = len("2025-10-29T12:00:00.000Z")

// AppendISO appends ns as 2025-10-29T12:00:00.000Z.
func AppendISO(dst []byte, ns int64) []byte {
	var text [SizeISO]byte
	PutISO(&text, ns)
	return append(dst, text[:]...)
}

// PutISO is AppendISO into a place of that size.
func PutISO(dst *[SizeISO]byte, ns int64) {
	sec, ms := split(ns)
	year, month, day := civil(sec / daySec)
	hh, mm, ss := clock(sec % daySec)
	*(*[2]byte)(dst[0:]), *(*[2]byte)(dst[2:]) = pair(year/100), pair(year)
	*(*[2]byte)(dst[5:]), *(*[2]byte)(dst[8:]) = pair(month), pair(day)
	*(*[2]byte)(dst[11:]), *(*[2]byte)(dst[14:]), *(*[2]byte)(dst[17:]) = hh, mm, ss
	*(*[2]byte)(dst[20:]), dst[22] = pair(ms/10), digit(ms)
	dst[4], dst[7], dst[10], dst[13], dst[16], dst[19], dst[23] = '-', '-', 'T', ':', ':', '.', 'Z'
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
	sec, ms := split(ns)
	if !hasTenDigits(sec) {
		return strconv.AppendInt(dst, 1000*sec+ms, 10)
	}
	var text [13]byte
	putTenDigits((*[10]byte)(text[:]), sec)
	*(*[2]byte)(text[10:]), text[12] = pair(ms/10), digit(ms)
	return append(dst, text[:]...)
}

// AppendSeconds appends the seconds since 1970 with three decimals and never an exponent.
func AppendSeconds(dst []byte, ns int64) []byte {
	sec, ms := split(ns)
	if !hasTenDigits(sec) {
		dst = strconv.AppendInt(dst, sec, 10)
		return append(dst, '.', digit(ms/100), digit(ms/10), digit(ms))
	}
	var text [14]byte
	putTenDigits((*[10]byte)(text[:]), sec)
	text[10] = '.'
	*(*[2]byte)(text[11:]), text[13] = pair(ms/10), digit(ms)
	return append(dst, text[:]...)
}

// hasTenDigits reports whether a second has as many as those from 2001 to 2286.
func hasTenDigits(sec int64) bool { return uint64(sec-1e9) < 9e9 }

func putTenDigits(dst *[10]byte, sec int64) {
	high, low := uint32(sec/1e6), uint32(sec%1e6)
	*(*[2]byte)(dst[0:]), *(*[2]byte)(dst[2:]) = pairs[high/100%100], pairs[high%100]
	*(*[2]byte)(dst[4:]), *(*[2]byte)(dst[6:]), *(*[2]byte)(dst[8:]) = pairs[low/10_000%100], pairs[low/100%100], pairs[low%100]
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
	hh, mm, ss := clock(sec)
	return append(dst, hh[0], hh[1], ':', mm[0], mm[1], ':', ss[0], ss[1])
}

// clock is the digits of a second of the day.
func clock(sec int64) (hh, mm, ss [2]byte) {
	s := uint32(sec)
	minute := s / 60
	return pairs[minute/60%100], pairs[minute%60], pairs[s%60]
}

// pair is the last two decimal digits of n.
func pair(n int64) [2]byte { return pairs[uint32(n)%100] }

// pairs are the texts of 0 to 99.
var pairs = func() (all [100][2]byte) {
	for n := range all {
		all[n] = [2]byte{'0' + byte(n/10), '0' + byte(n%10)}
	}
	return all
}()

// digit is the last decimal digit of n.
func digit(n int64) byte { return byte('0' + n%10) }

func split(t int64) (sec, ms int64) {
	if t < 0 {
		const last = 253402300799_999 // of the year 9999
		t = min(-(t+1), last-1) + 1   // the smallest number has no positive one
		return t / 1000, t % 1000
	}
	return t / second, t % second / milli
}

// civil is the Gregorian date of a day since 1970. It counts from March, so
// that the leap day is the last of its year. Quotients come from
// multiplications whose low bits hold the remainder, after Neri and Schneider,
// "Euclidean affine functions and their application to calendar algorithms".
func civil(days int64) (year, month, day int64) {
	const toMarch0000, perCentury = 719468, 146097 // a quarter of a day is the unit of the latter
	n := 4*uint32(days+toMarch0000) + 3
	century := n / perCentury
	p := 2939745 * uint64(n%perCentury|3)
	ofYear := uint32(p) / 2939745 / 4
	md := 2141*ofYear + 197913
	year, month, day = int64(100*century+uint32(p>>32)), int64(md>>16), int64(md&0xffff/2141+1)
	if ofYear >= 306 { // January or February
		year++
		month -= 12
	}
	return year, month, day
}
