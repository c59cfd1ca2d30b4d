package delivery

import (
	"time"

	"golang.org/x/time/rate"
)

// A pace keeps to a RateLimit. Batches are paid for whole, so that the
// smallest burst is a batch.
type pace struct {
	events, bytes *rate.Limiter
	until         time.Time
}

func newPace(c Config) pace {
	var p pace
	if n := c.RateLimit.Events; n > 0 {
		p.events = rate.NewLimiter(rate.Limit(n), max(1, min(n, c.Batch.MaxEvents)))
	}
	if n := int(c.RateLimit.Bytes); n > 0 {
		p.bytes = rate.NewLimiter(rate.Limit(n), max(1, min(n, int(c.Batch.MaxBytes))))
	}
	return p
}

// due is when a batch of this size may leave. It is asked once for each time that a batch is sent.
func (p *pace) due(now time.Time, events, bytes int) time.Time {
	for _, l := range []struct {
		*rate.Limiter
		n int
	}{{p.events, events}, {p.bytes, bytes}} {
		if l.Limiter == nil {
			continue
		}
		// What is larger than a burst is reserved in pieces.
		for n := l.n; n > 0; n -= l.Burst() {
			at := now.Add(l.ReserveN(now, min(n, l.Burst())).DelayFrom(now))
			if at.After(p.until) {
				p.until = at
			}
		}
	}
	return p.until
}
