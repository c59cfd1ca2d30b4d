package delivery

import "time"

// A limiter is the number of requests in flight. With auto it looks for the
// number itself: one more while answers stay as quick as they were, half when
// the target says that it is too much.
type limiter struct {
	auto bool
	solo bool // the output does one thing at a time
	n    float64
	base time.Duration // what a large request takes when the target is at ease
	size float64       // of a large request, in bytes
	cut  time.Time     // when it was last halved
}

const (
	autoStart = 2
	autoMax   = 8
)

func newLimiter(c Concurrency) limiter {
	if c == 0 {
		return limiter{auto: true, n: autoStart}
	}
	return limiter{n: float64(c)}
}

func (l *limiter) limit() int {
	if l.solo {
		return 1
	}
	return int(l.n)
}

// most is the largest that limit can become, or could if the output did more at a time.
func (l *limiter) most() int {
	if l.auto {
		return autoMax
	}
	return int(l.n)
}

// ordered reports whether events keep their order.
func (l *limiter) ordered() bool { return !l.auto && l.n == 1 }

// took is told of a success that began while the limit was reached: others say
// nothing about it. A small request is quick because it is small, and says nothing either.
func (l *limiter) took(d time.Duration, size int) {
	if !l.auto {
		return
	}
	if n := float64(size); n < l.size/2 {
		l.size -= (l.size - n) / 16 // unless they are all small from now on
		return
	} else if n > 2*l.size {
		l.base = d
	}
	l.size = max(l.size, float64(size))
	if l.base == 0 || d < l.base {
		l.base = d
	} else {
		l.base += (d - l.base) / 64 // so that a target that became slower for good is not held to its past
	}
	switch {
	case d <= 2*l.base+time.Millisecond:
		l.n = min(l.n+1/l.n, autoMax)
	case d > 4*l.base+time.Millisecond:
		l.n = max(l.n-1/l.n, 1)
	}
}

// overload halves, at most once a second: requests in flight together fail together.
func (l *limiter) overload(now time.Time) {
	if l.auto && now.Sub(l.cut) >= time.Second {
		l.n, l.cut = max(l.n/2, 1), now
	}
}
