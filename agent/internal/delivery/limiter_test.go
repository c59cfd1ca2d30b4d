package delivery

import (
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(0)
	if l.limit() != autoStart || l.ordered() || l.most() != autoMax {
		t.Errorf("auto begins as %+v", l)
	}
	for range 100 {
		l.took(10*time.Millisecond, 1000)
	}
	if l.limit() != autoMax {
		t.Errorf("with flat latency: %d", l.limit())
	}
	now := time.Unix(1000, 0)
	l.overload(now)
	l.overload(now.Add(time.Millisecond))
	if l.limit() != autoMax/2 {
		t.Errorf("after an overload: %d", l.limit())
	}
	for range 10 {
		now = now.Add(2 * time.Second)
		l.overload(now)
	}
	if l.limit() != 1 {
		t.Errorf("after many: %d", l.limit())
	}
	for range 100 {
		l.took(10*time.Millisecond, 1000)
	}
	for range 20 {
		l.took(100*time.Millisecond, 1000)
	}
	if l.limit() >= autoMax {
		t.Errorf("with latency that grew: %d", l.limit())
	}
	mixed := newLimiter(0)
	for range 100 {
		mixed.took(10*time.Millisecond, 1000)
		mixed.took(100*time.Microsecond, 10) // quick because it is small
	}
	if mixed.limit() != autoMax || mixed.base != 10*time.Millisecond {
		t.Errorf("with small requests between: %d, %v", mixed.limit(), mixed.base)
	}
	grown := newLimiter(0)
	grown.took(time.Millisecond, 100)
	for range 40 {
		grown.took(50*time.Millisecond, 100_000)
	}
	if grown.limit() != autoMax {
		t.Errorf("with large requests after a small one: %d", grown.limit())
	}
	fixed := newLimiter(3)
	fixed.overload(now)
	fixed.took(time.Millisecond, 1000)
	if fixed.limit() != 3 || fixed.ordered() || fixed.most() != 3 {
		t.Errorf("fixed = %+v", fixed)
	}
	if one := newLimiter(1); !one.ordered() {
		t.Error("1 is not ordered")
	}
	solo := newLimiter(0)
	solo.solo = true
	for range 100 {
		solo.took(10*time.Millisecond, 1000)
	}
	if solo.limit() != 1 || solo.ordered() || solo.most() != autoMax {
		t.Errorf("one at a time = %+v", solo)
	}
}

func TestPace(t *testing.T) {
	c := DefaultConfig()
	c.Batch.MaxEvents = 100
	c.RateLimit = RateLimit{Events: 100_000, Bytes: 10_000}
	p := newPace(c)
	now := time.Unix(1000, 0)
	if at := p.due(now, 100, 1000); at.After(now) {
		t.Errorf("the first burst waits until %v", at)
	}
	var last time.Time
	for range 50 {
		last = p.due(now, 100, 1000)
	}
	// 51 batches of 1000 bytes at 10 kB/s, with a burst of 10 kB.
	if d := last.Sub(now); d < 4*time.Second || d > 4200*time.Millisecond {
		t.Errorf("51 batches take %v", d)
	}
	if at := p.due(now, 1, 100_000); at.Sub(last) < 9900*time.Millisecond { // ten times the burst
		t.Errorf("a large event waits %v", at.Sub(last))
	}
	none := newPace(DefaultConfig())
	if !none.due(now, 1e6, 1e9).IsZero() {
		t.Error("no limit waits")
	}
}
