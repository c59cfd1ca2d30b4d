// Package idempotency remembers requests by their Idempotency-Key, so that one
// that is sent again is answered and not done again. A request's mark goes to
// the log in the same fsync as what it brings: the key is known whenever that is.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Keys that are kept over a restart are marks of the log, in a ring: marks are
// written as a whole, so their number must have a bound.
const (
	ringSize   = 1024
	memoryKeys = 64 << 10 // keys remembered in all
)

// MaxKey is how many bytes an Idempotency-Key may have.
const MaxKey = 255

// MaxStored is how many bytes of an answer should be kept in a mark.
const MaxStored = 4 << 10

// ErrOtherBody says that a key was used before, for something else.
var ErrOtherBody = errors.New("the Idempotency-Key was used before, for another body")

// Keys remembers requests by their Idempotency-Key. It may be used from several goroutines.
type Keys struct {
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex // guards the rest
	known map[Digest]*Request
	order []Digest // oldest first
	slot  int      // of the ring, next
}

// A Digest stands for a key, or for a body.
type Digest [sha256.Size]byte

// Of is the digest of parts, each told from the next.
func Of(parts ...string) Digest {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return Digest(h.Sum(nil))
}

// A Request is one that is under way or answered.
type Request struct {
	key  Digest
	at   time.Time
	body Digest
	done chan struct{} // closed when answer is set or the request has failed

	answer []byte // nil: failed, or not yet
	slot   int
}

// Load finds the keys of the run before. resume is the position of the last
// durable mark for a key, window how long keys are remembered.
func Load(resume func(key string) ([]byte, bool), window time.Duration) *Keys {
	k := &Keys{window: window, now: time.Now, known: map[Digest]*Request{}}
	var newest time.Time
	for slot := range ringSize {
		text, ok := resume(slotKey(slot))
		if !ok {
			continue
		}
		key, r, ok := decode(text)
		if !ok || k.now().Sub(r.at) > window {
			continue
		}
		r.slot = slot
		if old := k.known[key]; old != nil && old.at.After(r.at) {
			continue
		}
		k.known[key] = r
		k.order = append(k.order, key)
		if r.at.After(newest) {
			newest, k.slot = r.at, (slot+1)%ringSize
		}
	}
	slices.SortFunc(k.order, func(a, b Digest) int { return k.known[a].at.Compare(k.known[b].at) })
	return k
}

func slotKey(slot int) string { return "idempotency/" + strconv.Itoa(slot) }

// begin is the request of that key: a new one, which the caller has to finish,
// or the one that came first.
func (k *Keys) begin(key, body Digest) (r *Request, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if r := k.known[key]; r != nil && now.Sub(r.at) <= k.window {
		return r, false
	}
	for len(k.order) >= memoryKeys || len(k.order) > 0 && k.staleLocked(k.order[0], now) {
		delete(k.known, k.order[0])
		k.order = k.order[1:]
	}
	r = &Request{key: key, at: now, body: body, done: make(chan struct{}), slot: k.slot}
	k.slot = (k.slot + 1) % ringSize
	k.known[key] = r
	k.order = append(k.order, key)
	return r, true
}

func (k *Keys) staleLocked(key Digest, now time.Time) bool {
	r := k.known[key]
	return r == nil || now.Sub(r.at) > k.window
}

// Begin is the request of that key. The first one has to be done and then given
// to Finish. Another waits until the first is answered, whose answer it then
// has, or becomes the first if that one failed. The error is ErrOtherBody or ctx's.
func (k *Keys) Begin(ctx context.Context, key, body Digest) (r *Request, first bool, err error) {
	for {
		r, first := k.begin(key, body)
		if first {
			return r, true, nil
		}
		if r.body != body {
			return nil, false, ErrOtherBody
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		if r.answer != nil {
			return r, false, nil
		}
		// The first one failed, and nothing of it was taken: this one may try.
	}
}

// Finish says what the answer was; with nil the key is free again.
func (k *Keys) Finish(r *Request, answer []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.answer = answer
	if answer == nil && k.known[r.key] == r {
		delete(k.known, r.key)
	}
	close(r.done)
}

// Answer is what the first request was answered, once that is known.
func (r *Request) Answer() []byte { return r.answer }

// Origin is a batch's origin from which the same request gives its events the same ids.
func (r *Request) Origin() string { return string(r.key[:]) }

// Mark remembers the request with that answer over a restart; with nil it forgets it.
func (r *Request) Mark(answer []byte) *agent.Mark {
	m := &agent.Mark{Key: slotKey(r.slot)}
	if answer != nil {
		m.Pos = r.encode(answer)
	}
	return m
}

const requestVersion = 1

// encode is what is kept of a request: version, time, key, body, answer.
func (r *Request) encode(answer []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{requestVersion}, uint64(r.at.UnixNano()))
	b = append(append(b, r.key[:]...), r.body[:]...)
	return append(b, answer...)
}

func decode(b []byte) (key Digest, r *Request, ok bool) {
	const head = 1 + 8 + 2*sha256.Size
	if len(b) <= head || b[0] != requestVersion {
		return key, nil, false
	}
	r = &Request{at: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:]))), done: make(chan struct{}), answer: bytes.Clone(b[head:])}
	copy(key[:], b[9:])
	r.key = key
	copy(r.body[:], b[9+sha256.Size:])
	close(r.done)
	return key, r, true
}
