package delivery

import (
	"math/rand/v2"
	"time"
)

// A gate holds an output back after a failure that says nothing about the
// events: once its time has come one batch is tried, and when something is
// taken everything flows again. Failures of requests that were in flight
// together count as one.
type gate struct {
	retry   Retry
	random  func(n int64) int64 // in [0, n)
	closed  bool
	blocked bool      // a person has to act
	until   time.Time // when the next try is due
	fails   int       // closings since something was taken
	epoch   uint64    // changes with every closing; a request carries that of its start
	probing bool      // the one try is in flight
	again   bool      // kicked meanwhile: that one began before what the kick is about
}

func newGate(retry Retry) gate { return gate{retry: retry, random: rand.Int64N} }

// backoff is a random part of a wait that doubles with tries, from 1.
func (g *gate) backoff(tries int) time.Duration {
	limit, initial := g.retry.Max.D(), g.retry.Initial.D()
	// Compared before it is shifted: 30 s doubled thirty times does not fit.
	if shift := max(tries-1, 0); shift < 30 && initial < limit>>shift {
		limit = initial << shift
	}
	return time.Duration(1 + g.random(max(int64(limit), 1)))
}

// close holds everything back until the backoff has passed, and at least for d.
func (g *gate) close(now time.Time, epoch uint64, d time.Duration, blocked bool) {
	if epoch == g.epoch || !g.closed {
		g.fails++
		g.epoch++
		wait := g.backoff(g.fails)
		if g.again {
			wait = 0
		}
		g.again = false
		g.until = now.Add(max(wait, d))
	} else if until := now.Add(d); until.After(g.until) {
		g.until = until
	}
	g.closed, g.blocked = true, blocked
}

// open lets everything pass.
func (g *gate) open() {
	g.closed, g.blocked, g.again, g.fails, g.until = false, false, false, 0, time.Time{}
}

// kick makes the next try due now, and the one after it too if one is in flight:
// it may have begun before the target was well again.
func (g *gate) kick(now time.Time) {
	g.again = g.closed && g.probing
	if g.closed && g.until.After(now) {
		g.until = now
	}
}

// admits reports whether a request may start now; if not, when to ask again
// (zero: when the one in flight is back).
func (g *gate) admits(now time.Time) (bool, time.Time) {
	switch {
	case !g.closed:
		return true, time.Time{}
	case g.probing:
		return false, time.Time{}
	case now.Before(g.until):
		return false, g.until
	}
	return true, time.Time{}
}
