package delivery

import (
	"errors"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	type step struct {
		kind  observed
		after time.Duration // since t0
		want  Status
		since time.Duration
	}
	for name, steps := range map[string][]step{
		"taken":            {{seenTaken, time.Second, Healthy, time.Second}, {seenTaken, time.Minute, Healthy, time.Second}},
		"idle":             {{seenTime, time.Hour, Unknown, 0}, {seenTaken, 2 * time.Hour, Healthy, 2 * time.Hour}, {seenTime, 9 * time.Hour, Healthy, 2 * time.Hour}},
		"fails and mends":  {{seenTaken, 0, Healthy, 0}, {seenFailure, 1, Degraded, 1}, {seenFailure, 2, Degraded, 1}, {seenTaken, 3, Healthy, 3}},
		"fails for long":   {{seenFailure, 0, Degraded, 0}, {seenFailure, failedAfter - 1, Degraded, 0}, {seenFailure, failedAfter, Unwell, failedAfter}, {seenTaken, time.Hour, Healthy, time.Hour}},
		"fails in silence": {{seenFailure, 0, Degraded, 0}, {seenTime, failedAfter, Unwell, failedAfter}},
		"blocked":          {{seenTaken, 0, Healthy, 0}, {seenBlocked, 1, Unwell, 1}, {seenFailure, 2, Unwell, 1}, {seenTaken, 3, Healthy, 3}},
		"blocked at once":  {{seenBlocked, 5, Unwell, 5}},
		"refuses":          {{seenTaken, 0, Healthy, 0}, {seenRefused, 1, Degraded, 1}, {seenTaken, 2, Healthy, 2}},
		"takes in part":    {{seenPartly, 1, Degraded, 1}, {seenTime, time.Hour, Degraded, 1}, {seenTaken, 2 * time.Hour, Healthy, 2 * time.Hour}},
		"partly ends fail": {{seenBlocked, 0, Unwell, 0}, {seenPartly, 1, Degraded, 1}},
		"probe":            {{seenAlive, 1, Healthy, 1}, {seenFailure, 2, Degraded, 2}, {seenAlive, 3, Degraded, 2}},
		"probe while idle": {{seenBlocked, 1, Unwell, 1}, {seenIdle, 2, Healthy, 2}, {seenTime, failedAfter + 9, Healthy, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			h := Health{Status: Unknown, Since: t0}
			for i, s := range steps {
				o := observation{kind: s.kind}
				if s.kind == seenFailure || s.kind == seenBlocked || s.kind == seenRefused || s.kind == seenPartly {
					o.cause, o.nextTry = errors.New("reason"), at(s.after+time.Second)
				}
				h = h.next(o, at(s.after))
				if h.Status != s.want || !h.Since.Equal(at(s.since)) {
					t.Fatalf("step %d: %s since %v, want %s since %v", i, h.Status, h.Since.Sub(t0), s.want, s.since)
				}
				if o.cause != nil && (h.LastError != "reason" || !h.LastErrorAt.Equal(at(s.after)) || h.NextTry.IsZero()) {
					t.Errorf("step %d: %+v", i, h)
				}
				if s.kind == seenTaken && (!h.LastSuccess.Equal(at(s.after)) || h.Failures != 0 || !h.NextTry.IsZero()) {
					t.Errorf("step %d: %+v", i, h)
				}
			}
		})
	}
}

func TestHealthCountsFailures(t *testing.T) {
	h, now := Health{Status: Unknown}, time.Unix(1, 0)
	for i := range 3 {
		h = h.next(observation{kind: seenFailure, cause: errors.New("x")}, now)
		if h.Failures != i+1 {
			t.Errorf("failures = %d, want %d", h.Failures, i+1)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var l latencies
	if p := l.percentiles(50); p[0] != 0 {
		t.Errorf("of nothing: %v", p)
	}
	for i := range 1000 { // the last 256 count
		l.add(time.Duration(i))
	}
	if p := l.percentiles(0, 50, 99, 100); p[0] != 744 || p[1] != 872 || p[2] != 997 || p[3] != 999 {
		t.Errorf("percentiles = %v", p)
	}
}
