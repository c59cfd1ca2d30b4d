package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

var noiseBytes = sync.OnceValue(func() []byte {
	b := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// partChunks are chunks of all kinds: without events, small, of several
// inputs, large, and such as do not compress.
func partChunks(l *Log, rnd *rand.Rand, next *int) (batch []*Chunk, want []agent.Event) {
	for range 1 + rnd.IntN(6) {
		c := l.NewChunk()
		c.Mark(agent.Mark{Key: "k", Pos: []byte{1}})
		n, pad, inputs, noise := 0, 0, 1, false
		switch rnd.IntN(6) {
		case 0: // marks only
		case 1:
			n = 1 + rnd.IntN(3)
		case 2:
			n, inputs = 1+rnd.IntN(20), 3
		case 3:
			n, pad = 100, 1000
		case 4:
			n, pad, inputs = 100, 1000, 2
		case 5:
			n, pad, noise = 10, 10_000, true
		}
		for i := range n {
			e := event(*next)
			*next++
			e.Input = fmt.Sprint("in", i*inputs/n)
			if noise {
				e.Body = append(e.Body, noiseBytes()[rnd.IntN(4<<20-pad):][:pad]...)
			} else {
				e.Body = append(e.Body, bytes.Repeat([]byte("x"), pad)...)
			}
			e.ID = e.Body[13:22]
			c.Add(e)
			e.Seq = uint64(len(want)) + 1
			want = append(want, *e)
		}
		c.commit = &Commit{log: l}
		batch = append(batch, c)
	}
	return batch, want
}

// TestParts: a block is the same whichever of its chunks were copied,
// compressed by themselves, or let go of their events before.
func TestParts(t *testing.T) {
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			l := &Log{codec: codec, opts: Options{Now: time.Now}}
			next, packed, kept, stored := 0, 0, 0, map[byte]int{}
			for seed := range uint64(120) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				batch, want := partChunks(l, rnd, &next)
				for _, c := range batch {
					if codec == codecS2 && c.packable() && rnd.IntN(2) == 0 {
						if c.pack(rnd.IntN(2) == 0); c.packed != nil {
							packed++
						}
					}
				}
				w := l.build(batch, 7, 1, 3)
				var h header
				if err := decodeHeader(l.entry, &h); err != nil {
					t.Fatal(err)
				}
				if h.entrySize() != int64(len(l.entry)) || h.number != 7 || h.durable != 3 || int(h.count) != len(want) {
					t.Fatalf("seed %d: %+v", seed, h)
				}
				stored[h.codec]++
				payload := newBuffer(int(h.stored))
				payload.b = append(payload.b, l.entry[h.size:]...)
				raw, err := payloadOf(&h, payload)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				b := newBlock(nil, &h)
				b.raw = []*buffer{raw}
				equalBlock(t, b, want)
				b.Release()
				payload.release()
				if w.block.raw != nil {
					kept++
					equalBlock(t, w.block, want)
				}
				w.block.Release()
			}
			if codec == codecS2 && (packed < 20 || kept < 20 || kept == 120) {
				t.Errorf("%d chunks were packed, %d blocks of 120 kept their events", packed, kept)
			}
			if codec != codecNone && (stored[codec] < 20 || stored[codecNone] == 0) {
				t.Errorf("%v blocks by codec: want some that shrink and some that do not", stored)
			}
		})
	}
}

func equalBlock(t *testing.T, b *Block, want []agent.Event) {
	t.Helper()
	got, err := b.Events(nil)
	if err != nil || !slices.EqualFunc(got, want, func(a, b agent.Event) bool { return equalEvents(&a, &b) }) {
		t.Fatalf("%d events, %v, want %d", len(got), err, len(want))
	}
}

// TestBusyProducersCompress: while the committer is a block behind, the callers of
// Append compress large chunks, and what nobody reads lets go of its events.
func TestBusyProducersCompress(t *testing.T) {
	for _, readers := range []int{0, 1} {
		g := newGate()
		l := open(t, Options{Dir: fastDir(t), disk: &disk{fault: g.fault}})
		c := l.Cursor("c", true)
		var r *Reader
		if readers > 0 {
			r = l.Reader(c)
		}
		g.shut.Store(true)
		events := benchEvents(250)
		var cms []*Commit
		// The committer writes a block, or two, and hangs; then the line grows to a third.
		for packed := false; !packed; {
			if len(cms) == 60 {
				t.Fatalf("%d readers: nobody but the committer compresses", readers)
			}
			ch := l.NewChunk()
			for i := range events {
				ch.Add(&events[i])
			}
			l.mu.Lock()
			line := l.line.bytes
			l.mu.Unlock()
			cm, err := l.Append(ctxOf(t), ch)
			if err != nil {
				t.Fatal(err)
			}
			cms = append(cms, cm)
			wake(l.wakeCommitter)
			l.mu.Lock()
			if c := cm.chunk; c != nil && c.packed != nil {
				packed = true
				if line < blockSize || (c.buf != nil) != (readers > 0) {
					t.Errorf("%d readers: packed behind %d bytes, held %v", readers, line, c.buf != nil)
				}
			}
			l.mu.Unlock()
		}
		g.shut.Store(false)
		close(g.open)
		for _, cm := range cms {
			if _, _, err := cm.Wait(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
		}
		// With a reader from memory, and once more from the file.
		for range 1 + readers {
			if r == nil {
				r = l.Reader(c)
			}
			seen := 0
			for r.Seq() < l.Head() {
				b, err := r.Next(ctxOf(t))
				if err == nil {
					err = b.Each(func(e *agent.Event) {
						if want := &events[seen%len(events)]; string(e.Body) != string(want.Body) || e.Seq != uint64(seen+1) {
							t.Fatalf("event %d: %s", e.Seq, e.Body)
						}
						seen++
					})
					b.Release()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if seen != len(cms)*len(events) {
				t.Errorf("%d readers: %d events", readers, seen)
			}
			r.Close()
			r = nil
		}
	}
}

// TestBadEvent: behind a good checksum an event that does not decode is lost
// with those behind it, and those before it are delivered and not counted.
func TestBadEvent(t *testing.T) {
	l := open(t, Options{Dir: fastDir(t), Compression: "none"})
	c := l.NewChunk()
	for i := range 10 {
		e := event(i)
		e.Input = "in"
		if i == 6 {
			c.buf.b = append(c.buf.b, 0xff) // no event begins so
		}
		c.Add(e)
	}
	cm, err := l.Append(ctxOf(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cm.Wait(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r := l.Reader(l.Cursor("c", true))
	defer r.Close()
	b, err := r.Next(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	for range 2 {
		events, err := b.Events(nil)
		if !errors.Is(err, ErrDamaged) || len(events) > 6 || !b.Lost() {
			t.Errorf("%d events, %v", len(events), err)
		}
	}
	if st := l.Stats(); st.LostEvents != 4 || st.CorruptBlocks != 1 {
		t.Errorf("%+v, want 4 events lost", st)
	}
}
