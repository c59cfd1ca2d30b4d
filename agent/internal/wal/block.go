package wal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
)

// ErrDamaged says that a block's events cannot be had: its bytes are not
// those that were written. They count as expired.
var ErrDamaged = errors.New("the block is damaged")

// A Block is a run of events with consecutive sequence numbers, as it was
// fsynced. It is reference counted: whoever got it from a Reader releases it,
// and its events are valid until the last Release. It may be shared between
// goroutines, and is read only.
type Block struct {
	header header
	seg    *segment // where its entry begins; nil for a hole
	begin  int64
	end    int64 // of its entry
	since  int64
	lost   atomic.Bool
	refs   atomic.Int32
	log    *Log

	mu    sync.Mutex // guards below, while the payload is fetched
	raw   []*buffer  // the payload, decompressed, whole runs in each; nil until it is needed
	file  *file      // where it is otherwise
	tries int        // to read it, in vain
	at    int64      // offset of the payload in the segment
}

func newBlock(l *Log, h *header) *Block {
	b := &Block{header: *h, log: l}
	b.header.inputs = slices.Clone(h.inputs)
	b.refs.Store(1)
	return b
}

// lostBlock stands for events that cannot be delivered.
func lostBlock(first, last uint64) *Block {
	b := &Block{header: header{first: first, count: uint32(last - first + 1)}}
	b.lost.Store(true)
	b.refs.Store(1)
	return b
}

// First is the sequence number of the first event. It may lie before the
// cursor of the reader, whose user skips what it is finished with.
func (b *Block) First() uint64 { return b.header.first }

// Last is the sequence number of the last event.
func (b *Block) Last() uint64 { return b.header.next() - 1 }

// Count is the number of events.
func (b *Block) Count() int { return int(b.header.count) }

// Size is the number of bytes that the events take in memory.
func (b *Block) Size() int { return int(b.header.raw) }

// Time is when the block was written, UTC nanoseconds.
func (b *Block) Time() int64 { return b.header.time }

// Since is when the oldest event can have come about, UTC nanoseconds, or 0 if
// nobody knows: as for all blocks that are read from the disk.
func (b *Block) Since() int64 { return b.since }

// Targets names the outputs that the events are for. Nil: all that want them.
func (b *Block) Targets() []string { return b.header.targets }

// For reports whether the events are for the output of that name.
func (b *Block) For(output string) bool { return forOutput(b.header.targets, output) }

func forOutput(targets []string, output string) bool {
	return len(targets) == 0 || slices.Contains(targets, output)
}

// Lost reports that First to Last cannot be delivered, because their bytes
// are damaged or gone. They count as expired. A block can turn out to be lost
// only in Events.
func (b *Block) Lost() bool { return b.lost.Load() }

// Has reports whether want is true for the type and severity of at least one
// event, without reading the events. If the block does not know its kinds it
// says yes.
func (b *Block) Has(want func(typ []byte, severity agent.Severity) bool) bool {
	if len(b.header.kinds) == 0 {
		return true
	}
	for i := range b.header.kinds {
		if want(b.header.kinds[i].typ, b.header.kinds[i].severity) {
			return true
		}
	}
	return false
}

// Retain adds a reference.
func (b *Block) Retain() { b.refs.Add(1) }

// Release gives a reference back. After the last one the events are gone.
func (b *Block) Release() {
	switch n := b.refs.Add(-1); {
	case n == 0:
		releaseAll(b.raw)
		b.raw = nil
		if b.file != nil {
			b.file.release()
			b.file = nil
		}
	case n < 0:
		panic("wal: block released twice")
	}
}

// Each calls visit for the events of the block, in order. The event is valid
// until visit returns, its bytes, views into the block, until the last Release.
// The error wraps ErrDamaged, and Lost is true from then on, if the payload is
// not what was written; any other error is the disk's, comes before the first
// event, and trying again may help: it is ErrDamaged too after a few times.
func (b *Block) Each(visit func(*agent.Event)) error {
	if b.Lost() {
		return ErrDamaged
	}
	if err := b.load(); err != nil {
		return err
	}
	if next, err := b.decode(visit); err != nil {
		b.fail(next)
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// Events appends all events of the block to dst. For the rest it is like Each.
func (b *Block) Events(dst []agent.Event) ([]agent.Event, error) {
	dst = slices.Grow(dst, b.Count())
	err := b.Each(func(e *agent.Event) { dst = append(dst, *e) })
	return dst, err
}

// load fetches the payload from the file, if it is not in memory yet.
func (b *Block) load() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.raw != nil {
		return nil
	}
	stored := newBuffer(int(b.header.stored))
	defer stored.release()
	stored.b = stored.b[:b.header.stored]
	if err := b.read(stored.b); err != nil {
		b.tries++
		if !errors.Is(err, errShort) && (b.tries < maxTries || b.log != nil && !b.log.diskWorks()) {
			return err
		}
		b.fail(b.First())
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	raw, err := payloadOf(&b.header, stored)
	if err != nil {
		b.fail(b.First())
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b.raw = []*buffer{raw}
	return nil
}

func (b *Block) read(dst []byte) error {
	if b.log == nil {
		return b.file.readFull(dst, b.at)
	}
	return b.log.disk.do("read", b.seg.path, func() error { return b.file.readFull(dst, b.at) })
}

// payloadOf checks and decompresses what is stored.
func payloadOf(h *header, stored *buffer) (*buffer, error) {
	if checksum(stored.b) != h.crc {
		return nil, errors.New("the payload's checksum is wrong")
	}
	if h.codec == codecNone {
		if len(stored.b) != int(h.raw) {
			return nil, errBadPayload
		}
		stored.retain()
		return stored, nil
	}
	raw := newBuffer(int(h.raw))
	var err error
	if raw.b, err = decompress(raw.b, h.codec, stored.b, int(h.raw)); err != nil {
		return nil, err
	}
	return raw, nil
}

// fail marks the block as lost, and tells the log once that its events are, from number next on.
func (b *Block) fail(next uint64) {
	if !b.lost.Swap(true) && b.log != nil {
		b.log.blockDamaged(b, next)
	}
}

// decode visits the events, and gives the number of the first that it did not.
func (b *Block) decode(visit func(*agent.Event)) (next uint64, err error) {
	w := eventWalk{h: &b.header, seq: b.header.first, visit: visit}
	for _, raw := range b.raw {
		if err := w.runs(raw.b); err != nil {
			return w.seq, err
		}
	}
	if w.seq != b.header.next() {
		return w.seq, errBadEvent
	}
	return w.seq, nil
}

// An eventWalk goes through the events of a block.
type eventWalk struct {
	h     *header
	seq   uint64 // of the next event
	visit func(*agent.Event)
}

// runs visits the events of the runs in raw.
func (w *eventWalk) runs(raw []byte) error {
	var e agent.Event
	for d := (decoder{b: raw}); len(d.b) > 0; {
		count, input := d.uvarint(), d.uvarint()
		base := d.varint()
		src := d.bytes(d.uvarint())
		if d.bad || input >= uint64(len(w.h.inputs)) || count > w.h.next()-w.seq {
			return errBadEvent
		}
		name := w.h.inputs[input]
		e = agent.Event{Input: name}
		for range count {
			e.Seq, e.Wire = w.seq, nil
			var err error
			if src, err = decodeEvent(src, &e, base); err != nil {
				return err
			}
			w.visit(&e)
			w.seq++
		}
		if len(src) > 0 {
			return errBadEvent
		}
	}
	return nil
}
