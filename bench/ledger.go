package main

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"
)

// idPrefix begins the id of every event; nine digits follow, its number.
const idPrefix = "SEQ-1"

var idMark = []byte(idPrefix)

// ledger accounts for every event that arrives at one receiver.
type ledger struct {
	want  int
	seen  []atomic.Uint64 // a bit for each event
	sent  []int64         // when each was written, in Unix ns; nil unless latency is measured
	delay []int64         // from then to its first arrival

	arrivals, distinct, wire, requests atomic.Int64
	first, last                        atomic.Int64 // Unix ns of the first and the latest new event
}

func newLedger(want int, latency bool) *ledger {
	l := &ledger{want: want, seen: make([]atomic.Uint64, want/64+1)}
	if latency {
		l.sent, l.delay = make([]int64, want), make([]int64, want)
	}
	return l
}

// take counts the events in a piece of what arrived. An id that comes twice
// in a row is one event that names its id in two places; before is the number
// of the event that the piece before ended with, -1 at first, and take
// returns the next one's.
func (l *ledger) take(b []byte, before int) int {
	now := time.Now().UnixNano()
	var arrivals, fresh int64
	for {
		i := bytes.Index(b, idMark)
		if i < 0 {
			break
		}
		b = b[i+len(idMark):]
		n, ok := number(b)
		if !ok || n == before || n >= l.want {
			continue
		}
		before = n
		arrivals++
		bit := uint64(1) << (n & 63)
		if l.seen[n>>6].Or(bit)&bit != 0 {
			continue
		}
		fresh++
		if l.sent != nil {
			l.delay[n] = now - atomic.LoadInt64(&l.sent[n])
		}
	}
	l.requests.Add(1)
	l.arrivals.Add(arrivals)
	l.distinct.Add(fresh)
	if fresh > 0 {
		l.first.CompareAndSwap(0, now)
		l.last.Store(now)
	}
	return before
}

// whole is the length of the part of b that holds no beginning of an id whose
// end is still to come.
func whole(b []byte) int {
	const length = len(idPrefix) + 9
	end := max(0, len(b)-length+1)
	if p := bytes.LastIndex(b, idMark); p >= 0 && p+length <= len(b) {
		end = max(end, p+length)
	}
	return end
}

// number is the nine digits that b begins with.
func number(b []byte) (n int, ok bool) {
	if len(b) < 9 {
		return 0, false
	}
	for _, c := range b[:9] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// latency returns two percentiles, in milliseconds.
func (l *ledger) latency() (p50, p99 float64) {
	var all []int64
	for n, d := range l.delay {
		if l.seen[n>>6].Load()&(1<<(n&63)) != 0 {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1e6, float64(all[len(all)*99/100]) / 1e6
}
