package agent

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration as configs write it: "10s", "1m30s", "7d".
type Duration time.Duration

// D is the standard library's duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", t/(24*time.Hour))
	}
	s := t.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// UnmarshalText takes what time.ParseDuration takes, and whole or decimal days. It refuses negative ones.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 100_000 {
			*d = Duration(n * float64(24*time.Hour))
			return nil
		}
	}
	t, err := time.ParseDuration(s)
	if err != nil || t < 0 {
		return fmt.Errorf("%q is not a duration: want a number with a unit, as in 500ms, 10s, 5m, 1h or 30d", s)
	}
	*d = Duration(t)
	return nil
}

// MarshalText writes the shortest form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Bytes is a size: "512KiB", "5MB", "4GiB". KB, MB, GB and TB are powers of 1000.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b)/u.size, u.name)
		}
	}
	return "0B"
}

// Short is the size with two or three digits, for people: "1.4 GiB".
func (b Bytes) Short() string {
	f := float64(b)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if f < 1000 {
			if unit == "B" || f >= 100 {
				return fmt.Sprintf("%.0f %s", f, unit)
			}
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1024
	}
	return fmt.Sprintf("%.1f TiB", f)
}

// UnmarshalText takes a number with a unit; the number may have decimals.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for _, u := range byteUnits {
		num, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil || !(n >= 0 && n*float64(u.size) <= math.MaxInt64/2) {
			break
		}
		*b = Bytes(n * float64(u.size))
		return nil
	}
	if s == "0" {
		*b = 0
		return nil
	}
	return fmt.Errorf("%q is not a size: want a number with a unit, as in 64KiB, 5MB or 4GiB", s)
}

// MarshalText writes the exact size with the largest unit that divides it.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Portion is a share of something ("5%") or a size ("2GiB").
type Portion struct {
	Percent float64 // 0 to 100, if Size is 0
	Size    Bytes
}

// Of is the portion in bytes of total.
func (p Portion) Of(total int64) int64 {
	if p.Size != 0 {
		return int64(p.Size)
	}
	return int64(p.Percent / 100 * float64(total))
}

func (p Portion) String() string {
	if p.Size != 0 {
		return p.Size.String()
	}
	return strconv.FormatFloat(p.Percent, 'f', -1, 64) + "%"
}

// UnmarshalText takes a percentage or a size.
func (p *Portion) UnmarshalText(text []byte) error {
	if num, ok := strings.CutSuffix(string(text), "%"); ok {
		n, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil || !(n >= 0 && n <= 100) {
			return fmt.Errorf("%q is not a share: want 0%% to 100%%", text)
		}
		*p = Portion{Percent: n}
		return nil
	}
	var b Bytes
	if err := b.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is neither a share nor a size: want something like 5%% or 2GiB", text)
	}
	*p = Portion{Size: b}
	return nil
}

// MarshalText writes what UnmarshalText takes.
func (p Portion) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
