package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

func TestParseTime(t *testing.T) {
	const noon = 1761739200_000000000
	f := func(text string, ns int64, note timeNote) {
		t.Helper()
		got, gotNote := parseTime([]byte(text))
		if gotNote != note || note < timeMissing && got != ns {
			t.Errorf("parseTime(%q) = %d, %v, want %d, %v", text, got, timeNotes[gotNote], ns, timeNotes[note])
		}
	}
	f("2025-10-29T12:00:00Z", noon, timeExact)
	f("2025-10-29t12:00:00z", noon, timeExact)
	f("2025-10-29 12:00:00Z", noon, timeExact)
	f(" 2025-10-29T12:00:00Z ", noon, timeExact)
	f("2025-10-29T14:00:00+02:00", noon, timeExact)
	f("2025-10-29T07:30:00-04:30", noon, timeExact)
	f("2025-10-29T12:00:00-00:00", noon, timeExact)
	f("2025-10-29T12:00:00.1Z", noon+100_000_000, timeExact)
	f("2025-10-29T12:00:00.123456789Z", noon+123456789, timeExact)
	f("2025-10-29T12:00:00.9999999999999999Z", noon+999999999, timeExact)
	f("2025-10-29T12:00:00.000000000"+strings.Repeat("9", 500)+"Z", noon, timeExact)
	f("2025-10-29T12:00:00", noon, timeNoZone)
	f("2025-10-29 12:00:00.5", noon+500_000_000, timeNoZone)
	f("2016-12-31T23:59:60Z", 1483228799_000000000, timeExact)
	f("2016-12-31T23:59:60.5Z", 1483228799_500000000, timeExact)
	f("1970-01-01T00:00:00Z", 0, timeExact)
	f("1970-01-01T00:30:00+01:00", 0, timeUnreadable) // 1969 in UTC
	f("1969-12-31T23:59:59Z", 0, timeUnreadable)
	f("2000-02-29T00:00:00Z", 951782400_000000000, timeExact)
	f("2024-02-29T00:00:00Z", 1709164800_000000000, timeExact)
	f("2100-02-29T00:00:00Z", 0, timeUnreadable)
	f("2025-02-30T00:00:00Z", 0, timeUnreadable)
	f("2025-04-31T00:00:00Z", 0, timeUnreadable)
	f("2025-13-01T00:00:00Z", 0, timeUnreadable)
	f("2025-00-01T00:00:00Z", 0, timeUnreadable)
	f("2025-01-00T00:00:00Z", 0, timeUnreadable)
	f("2025-10-29T24:00:00Z", 0, timeUnreadable)
	f("2025-10-29T12:60:00Z", 0, timeUnreadable)
	f("2025-10-29T12:00:61Z", 0, timeUnreadable)
	f("2025-10-29T12:00:00+24:00", 0, timeUnreadable)
	f("2025-10-29T12:00:00+0200", 0, timeUnreadable)
	f("2025-10-29T12:00:00.Z", 0, timeUnreadable)
	f("2025-10-29T12:00Z", 0, timeUnreadable)
	f("2025-10-29", 0, timeUnreadable)
	f("20a5-10-29T12:00:00Z", 0, timeUnreadable)
	f("2025-10-29T12:00:00ZZ", 0, timeUnreadable)
	f("2262-04-11T00:00:00Z", 9223286400_000000000, timeExact)
	f("2262-04-11T23:47:15.999999999Z", 9223372035_999999999, timeExact)
	f("2262-04-11T23:47:16.1239Z", -9223372036_123, timeExact)
	f("2262-04-12", 0, timeUnreadable)
	f("2300-01-01 00:00:00", -10413792000_000, timeNoZone)
	f("9999-12-31T23:59:60.9999Z", -253402300799_999, timeExact)
	f("9999-12-31T23:59:59-00:01", 0, timeUnreadable)
	f("10000-01-01T00:00:00Z", 0, timeUnreadable)

	f("0", 0, timeExact)
	f("000", 0, timeExact)
	f("0.5", 500_000_000, timeExact)
	f("0.0000000019", 1, timeExact)
	f("1761739200", noon, timeExact)
	f("01761739200", noon, timeExact)
	f("001761739200.5", noon+500_000_000, timeExact)
	f("00.5", 500_000_000, timeExact)
	f("1761739200.5", noon+500_000_000, timeExact)
	f("1761739200.1234567899", noon+123456789, timeExact)
	f("1761739200123", noon+123_000_000, timeExact)
	f("1761739200123.5", noon+123_500_000, timeExact)
	f("1761739200123456", noon+123_456_000, timeExact)
	f("1761739200123456.7899", noon+123_456_789, timeExact)
	f("1761739200123456789", noon+123456789, timeExact)
	f("1761739200123456789.9", noon+123456789, timeExact)
	f("1.7617392e9", noon, timeExact)
	f("17617392E+2", noon, timeExact)
	f("17617392000e-1", noon, timeExact)
	f("0.17617392e10", noon, timeExact)
	f("9223372035.999999999", 9223372035_999999999, timeExact)
	f("9223372036", -9223372036_000, timeExact)
	f("9999999999", -9999999999_000, timeExact)         // the year 2286
	f("99999999999.9999", -99999999999_999, timeExact)  // still seconds
	f("99999999999999.9", -99999999999_999, timeExact)  // still milliseconds
	f("99999999999999999", -99999999999_999, timeExact) // still microseconds
	f("9223372035999999999", 9223372035_999999999, timeExact)
	f("9223372036000000000", -9223372036_000, timeExact)
	f("253402300799999999999", -253402300799_999, timeExact)
	f("253402300800000000000", 0, timeUnreadable)
	f("1e21", 0, timeUnreadable)
	f("100000000000", 100_000_000_000*1_000_000, timeExact)
	f("100000000000000", 100_000_000_000*1_000_000, timeExact)
	f("100000000000000000", 100_000_000_000*1_000_000, timeExact)
	f("9223372036854775808", -9223372036_854, timeExact)
	f("99999999999999999999", -99999999999_999, timeExact)
	f("1e400", 0, timeUnreadable)
	f("1e-400", 0, timeExact)
	f("1e99999999999999999999", 0, timeUnreadable)
	f("-1", 0, timeUnreadable)
	f("-0", 0, timeUnreadable)
	f("+1", 0, timeUnreadable)
	f("1.", 0, timeUnreadable)
	f(".5", 0, timeUnreadable)
	f("1,5", 0, timeUnreadable)
	f("0x10", 0, timeUnreadable)
	f("NaN", 0, timeUnreadable)
	f("true", 0, timeUnreadable)
	f(`{"seconds":1}`, 0, timeUnreadable)
	f("", 0, timeMissing)
	f(" ", 0, timeUnreadable)
}

func TestDaysSince1970(t *testing.T) {
	for day := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() <= 9999; day = day.AddDate(0, 0, 1) {
		if got, want := daysSince1970(day.Year(), int(day.Month()), day.Day()), int(day.Unix()/86400); got != want {
			t.Fatalf("%v: %d, want %d", day, got, want)
		}
	}
}

// FuzzTime compares with the standard library, where that can say anything.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2025-10-29T12:00:00Z", "2025-10-29T12:00:00.123456789+02:00", "2300-01-01T00:00:00.9999Z", "9999-12-31T23:59:59-00:01", "1761739200.5", "1e9", "-1", "0000-00-00T00:00:00Z", "1969-12-31T23:59:59-00:01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, note := parseTime([]byte(s))
		if year := agent.When(got).Year(); note < timeMissing && (year < 1970 || year > 9999) {
			t.Errorf("%q: %d", s, got)
		}
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || strings.ContainsRune(s, ',') {
			return
		}
		if _, offset := want.Zone(); offset >= 86400 || offset <= -86400 || s[13] != ':' || s[len(s)-2] == '6' && s[len(s)-3] == ':' {
			return // the standard library is more liberal
		}
		if want.Unix() < 0 || want.UTC().Year() > 9999 {
			if note != timeUnreadable {
				t.Errorf("%q is out of range, got %d", s, got)
			}
			return
		}
		if want.Unix() > lastSecond {
			want = want.Truncate(time.Millisecond)
		}
		if note != timeExact || !agent.When(got).Equal(want) {
			t.Errorf("%q: %d, %v, want %v", s, got, timeNotes[note], want)
		}
	})
}

func BenchmarkTime(b *testing.B) {
	text := []byte("2025-10-29T12:00:00.123Z")
	b.ReportAllocs()
	for b.Loop() {
		parseTime(text)
	}
}
