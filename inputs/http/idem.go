package http

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Keys that are kept over a restart are marks of the log, in a ring: marks are
// written as a whole, so their number must have a bound.
const (
	ringSize    = 1024
	memoryKeys  = 64 << 10 // keys remembered in all
	maxKey      = 255      // bytes of an Idempotency-Key
	storedLimit = 4 << 10  // bytes of an answer that is kept over a restart
)

// keys remembers requests by their Idempotency-Key.
type keys struct {
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex // guards the rest
	known map[digest]*request
	order []digest // oldest first
	slot  int      // of the ring, next
}

type digest [sha256.Size]byte

// A request is one that is under way or answered.
type request struct {
	at   time.Time
	body digest
	done chan struct{} // closed when answer is set or the request has failed

	answer []byte // nil: failed, or not yet
	slot   int
}

// loadKeys finds the keys of the run before.
func loadKeys(sink agent.Sink, window time.Duration) *keys {
	k := &keys{window: window, now: time.Now, known: map[digest]*request{}}
	var newest time.Time
	for slot := range ringSize {
		text, ok := sink.Resume(slotKey(slot))
		if !ok {
			continue
		}
		key, r, ok := decodeRequest(text)
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
	slices.SortFunc(k.order, func(a, b digest) int { return k.known[a].at.Compare(k.known[b].at) })
	return k
}

func slotKey(slot int) string { return "idempotency/" + strconv.Itoa(slot) }

// begin is the request of that key: a new one, which the caller has to finish,
// or the one that came first.
func (k *keys) begin(key, body digest) (r *request, first bool) {
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
	r = &request{at: now, body: body, done: make(chan struct{}), slot: k.slot}
	k.slot = (k.slot + 1) % ringSize
	k.known[key] = r
	k.order = append(k.order, key)
	return r, true
}

func (k *keys) staleLocked(key digest, now time.Time) bool {
	r := k.known[key]
	return r == nil || now.Sub(r.at) > k.window
}

// finish says what the answer was; without one the key is free again.
func (k *keys) finish(key digest, r *request, answer []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.answer = answer
	if answer == nil && k.known[key] == r {
		delete(k.known, key)
	}
	close(r.done)
}

// once deals with a request that carries an Idempotency-Key: the first one of
// a key is taken, the others get its answer.
func (in *Input) once(rw *answer, req *http.Request, key string, w *work, b agent.Batch, long []agent.Refusal) {
	if len(key) > maxKey {
		rw.json(http.StatusBadRequest, problem("the Idempotency-Key is longer than 255 bytes"))
		return
	}
	// Clients with different tokens do not know of each other's keys.
	id := digest(sha256.Sum256([]byte(req.Header.Get("Authorization") + "\x00" + key)))
	body := digest(sha256.Sum256(w.body))
	for {
		r, first := in.keys.begin(id, body)
		if first {
			in.first(rw, req, id, r, b, long)
			return
		}
		if r.body != body {
			rw.json(http.StatusUnprocessableEntity, problem("the Idempotency-Key was used before, for another body"))
			return
		}
		select {
		case <-r.done:
		case <-req.Context().Done():
			return
		}
		if r.answer != nil {
			rw.Header()["Idempotency-Replayed"] = []string{"true"}
			rw.json(http.StatusOK, r.answer)
			return
		}
		// The first one failed, and nothing of it was taken: this one may try.
	}
}

// first takes a request and remembers it. A mark goes to the disk in the same
// fsync as the events, so that the key is known whenever they are; a second one
// with the answer follows before the client is told.
func (in *Input) first(rw *answer, req *http.Request, id digest, r *request, b agent.Batch, long []agent.Refusal) {
	var kept []byte
	defer func() { in.keys.finish(id, r, kept) }()
	// The ids of events without one are derived from the key.
	b.Origin = string(id[:])
	count := 0
	for _, line := range b.Lines {
		if !blank(line) {
			count++
		}
	}
	promise := strconv.AppendInt([]byte(`{"accepted":`), int64(count), 10)
	promise = append(promise, `,"rejected":[],"first_seq":0,"last_seq":0}`...)
	b.Mark = &agent.Mark{Key: slotKey(r.slot), Pos: r.encode(id, promise)}
	receipt, err := in.emit(req.Context(), b)
	if err != nil {
		in.tell(rw, receipt, long, err)
		return
	}
	status, body := verdict(receipt, long)
	mark := agent.Mark{Key: slotKey(r.slot)} // nothing was taken: forget the key
	if status == http.StatusOK {
		kept = body
		mark.Pos = r.encode(id, body)
		if len(body) > storedLimit {
			mark.Pos = r.encode(id, promise)
		}
	}
	// The events are safe; if this mark is not, a restart costs the exact answer.
	if _, err := in.emit(req.Context(), agent.Batch{Mark: &mark}); err != nil {
		in.env.Log.Debug("the answer to a request is not kept", "err", err)
	}
	rw.json(status, body)
}

const requestVersion = 1

// encode is what is kept of a request: version, time, key, body, answer.
func (r *request) encode(key digest, answer []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{requestVersion}, uint64(r.at.UnixNano()))
	b = append(append(b, key[:]...), r.body[:]...)
	return append(b, answer...)
}

func decodeRequest(b []byte) (key digest, r *request, ok bool) {
	const head = 1 + 8 + 2*sha256.Size
	if len(b) <= head || b[0] != requestVersion {
		return key, nil, false
	}
	r = &request{at: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:]))), done: make(chan struct{}), answer: bytes.Clone(b[head:])}
	copy(key[:], b[9:])
	copy(r.body[:], b[9+sha256.Size:])
	close(r.done)
	return key, r, true
}
