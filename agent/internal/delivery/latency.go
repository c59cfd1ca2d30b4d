package delivery

import (
	"slices"
	"time"
)

// latencies are those of the last requests that were taken.
type latencies struct {
	ring [256]time.Duration
	n    int
}

func (l *latencies) add(d time.Duration) {
	l.ring[l.n%len(l.ring)] = d
	l.n++
}

// percentiles are the given ones, 0 to 100; zero if there was no request.
func (l *latencies) percentiles(ps ...int) []time.Duration {
	sorted := slices.Clone(l.ring[:min(l.n, len(l.ring))])
	slices.Sort(sorted)
	out := make([]time.Duration, len(ps))
	for i, p := range ps {
		if len(sorted) > 0 {
			out[i] = sorted[min(len(sorted)*p/100, len(sorted)-1)]
		}
	}
	return out
}
