package plugintest

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Stats are what a mock has seen.
type Stats struct {
	Requests  int64 // HTTP requests with data, datagrams, or connections
	Events    int64 // events taken, repeats included
	Distinct  int64 // different event ids among them
	Repeats   int64 // events whose id had been taken before
	NoID      int64 // events without an id
	Conflicts int64 // creates of a document that exists (Elasticsearch); not taken again
	Refused   int64 // events refused, by the protocol's rules or a fault
	Malformed int64 // messages or requests that break the protocol
	Bytes     int64 // of bodies, unzipped
	Faults    int64 // how often a fault struck
}

// A Received is one event as it arrived.
type Received struct {
	ID      string // event id, if it was found
	Payload []byte // the event in the target's format; valid until the callback returns
}

const shards = 32

// ledger counts events by id.
type ledger struct {
	requests, events, repeats, noID, conflicts, refused, malformed, bytes, distinct atomic.Int64

	seed    maphash.Seed
	byHash  bool // remember hashes, not texts
	shards  [shards]shard
	onEvent func(Received)
	watched bool // somebody wants payloads

	mu     sync.Mutex // guards the rest
	last   [][]byte
	keep   int
	reason string
}

type shard struct {
	mu     sync.Mutex // guards the maps
	hashes map[uint64]uint32
	texts  map[string]uint32
	_      [40]byte // a cache line of its own
}

func newLedger(o Options) *ledger {
	l := &ledger{seed: maphash.MakeSeed(), byHash: o.Light, onEvent: o.OnEvent, keep: o.Keep}
	l.watched = o.OnEvent != nil || o.Keep > 0
	for i := range l.shards {
		l.shards[i].hashes, l.shards[i].texts = map[uint64]uint32{}, map[string]uint32{}
	}
	return l
}

// take counts one event and returns how often its id has been taken, this time included.
func (l *ledger) take(id, payload []byte) uint32 {
	l.events.Add(1)
	if l.watched {
		l.show(id, payload)
	}
	if len(id) == 0 {
		l.noID.Add(1)
		return 1
	}
	n := l.bump(id, nil)
	if n > 1 {
		l.repeats.Add(1)
	} else {
		l.distinct.Add(1)
	}
	return n
}

// takeNew counts the event unless its id is known.
func (l *ledger) takeNew(id, payload []byte) bool {
	if l.bump(id, func(n uint32) bool { return n == 0 }) == 0 {
		l.conflicts.Add(1)
		return false
	}
	l.events.Add(1)
	l.distinct.Add(1)
	if l.watched {
		l.show(id, payload)
	}
	return true
}

// bump raises the count of id if may allows it, and returns the new count, or 0 if not.
func (l *ledger) bump(id []byte, may func(uint32) bool) uint32 {
	h := maphash.Bytes(l.seed, id)
	s := &l.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	var n uint32
	if l.byHash {
		n = s.hashes[h]
	} else {
		n = s.texts[string(id)]
	}
	if may != nil && !may(n) {
		return 0
	}
	if l.byHash {
		s.hashes[h] = n + 1
	} else {
		s.texts[string(id)] = n + 1
	}
	return n + 1
}

func (l *ledger) count(id string) int {
	h := maphash.Bytes(l.seed, []byte(id))
	s := &l.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.byHash {
		return int(s.hashes[h])
	}
	return int(s.texts[id])
}

func (l *ledger) ids() map[string]int {
	all := map[string]int{}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for id, n := range s.texts {
			all[id] = int(n)
		}
		s.mu.Unlock()
	}
	return all
}

func (l *ledger) show(id, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keep > 0 {
		if len(l.last) == l.keep {
			copy(l.last, l.last[1:])
			l.last = l.last[:l.keep-1]
		}
		l.last = append(l.last, bytes.Clone(payload))
	}
	if l.onEvent != nil {
		l.onEvent(Received{ID: string(id), Payload: payload})
	}
}

// bad counts a breach of the protocol and keeps the latest for people.
func (l *ledger) bad(reason string) {
	l.malformed.Add(1)
	l.mu.Lock()
	l.reason = reason
	l.mu.Unlock()
}

func (l *ledger) reset() {
	for _, n := range []*atomic.Int64{&l.requests, &l.events, &l.repeats, &l.noID, &l.conflicts, &l.refused, &l.malformed, &l.bytes, &l.distinct} {
		n.Store(0)
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		clear(s.hashes)
		clear(s.texts)
		s.mu.Unlock()
	}
	l.mu.Lock()
	l.last, l.reason = nil, ""
	l.mu.Unlock()
}

func (l *ledger) stats() Stats {
	return Stats{
		Requests: l.requests.Load(), Events: l.events.Load(), Distinct: l.distinct.Load(), Repeats: l.repeats.Load(),
		NoID: l.noID.Load(), Conflicts: l.conflicts.Load(), Refused: l.refused.Load(), Malformed: l.malformed.Load(), Bytes: l.bytes.Load(),
	}
}
