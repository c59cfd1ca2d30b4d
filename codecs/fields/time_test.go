package fields

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/adrian207/siemd/agent"
)

func TestTimesAgreeWithTheStandardLibrary(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, ns int64) {
		at := agent.When(ns).Truncate(time.Millisecond)
		for _, f := range []struct {
			name string
			got  []byte
			want string
		}{
			{"ISO", AppendISO(nil, ns), at.Format("2006-01-02T15:04:05.000Z")},
			{"BSD", AppendBSD(nil, ns), at.Format("Jan _2 15:04:05")},
			{"Java", AppendJava(nil, ns), at.Format("Jan 02 2006 15:04:05.000 UTC")},
			{"millis", AppendMillis(nil, ns), fmt.Sprint(at.UnixMilli())},
			{"seconds", AppendSeconds(nil, ns), fmt.Sprintf("%d.%03d", at.Unix(), at.UnixMilli()%1000)},
		} {
			if string(f.got) != f.want {
				t.Errorf("%s of %d: %s, want %s", f.name, ns, f.got, f.want)
			}
		}
		y, m, d, h := Date(ns)
		if int(y) != at.Year() || int(m) != int(at.Month()) || int(d) != at.Day() || int(h) != at.Hour() {
			t.Errorf("date of %d: %d-%d-%d %d", ns, y, m, d, h)
		}
	}
	for day := int64(0); day < 8030*365; day++ {
		at := time.Unix(day*daySec, 0).UTC()
		if y, m, d := civil(day); int(y) != at.Year() || int(m) != int(at.Month()) || int(d) != at.Day() {
			t.Fatalf("day %d is %d-%d-%d, not %v", day, y, m, d, at)
		}
		switch {
		case day%100 != 59:
		case day < 292*365:
			check(t, day*daySec*second)
			check(t, (day+1)*daySec*second-1)
		case day%1000 == 59 && at.Year() <= 9999:
			check(t, -day*daySec*1000)
			check(t, -(day+1)*daySec*1000+1)
		}
	}
	for _, ns := range []int64{1e18 - 1, 1e18, math.MaxInt64} { // where seconds get a tenth digit, and the end
		check(t, ns)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.Int64Min(0).Draw(t, "ns")) })
	rapid.Check(t, func(t *rapid.T) { check(t, -rapid.Int64Range(1, 253402300799_999).Draw(t, "ms")) })
}

// Nothing that stands in the log makes a text that is no time.
func TestTimesEndWithTheYear9999(t *testing.T) {
	for _, at := range []int64{-253402300799_999, -253402300799_999 - 1, math.MinInt64} {
		got := fmt.Sprintf("%s %s %s", AppendISO(nil, at), AppendSeconds(nil, at), AppendMillis(nil, at))
		if got != "9999-12-31T23:59:59.999Z 253402300799.999 253402300799999" {
			t.Errorf("%d: %s", at, got)
		}
	}
}
