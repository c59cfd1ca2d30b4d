package wal

import (
	"encoding/binary"

	"github.com/klauspost/compress/s2"
)

// A part is a piece of a block's payload: whole runs, which readers find in
// one buffer, and which are compressed by themselves. A chunk of many events is a
// part as it is, and its events are not copied once more; small ones are joined.
type part struct {
	raw    *buffer // the runs; nil if they are packed and nobody reads
	packed *buffer // the events of the only run, compressed; nil: not yet
	head   [maxRunHeader]byte
	heads  int // bytes in head, the header of that run
	events int // bytes in packed before they were compressed
}

func (p *part) size() int {
	if p.packed != nil {
		return p.heads + p.events
	}
	return len(p.raw.b)
}

// packSize is the least that is compressed by itself: with less behind them
// to refer to, events take more room (4 % at 64 KiB, 8 % at 32).
const packSize = 64 << 10

// pack compresses the events. Without keep the chunk lets go of them as they were.
func (c *Chunk) pack(keep bool) {
	raw := c.buf.b[maxRunHeader:]
	scratch := newBuffer(s2.MaxEncodedLen(len(raw)))
	defer scratch.release()
	out := s2.Encode(scratch.mem, raw)
	if len(out) >= len(raw) {
		return
	}
	_, n := binary.Uvarint(out) // the size
	c.packed = newBuffer(len(out) - n)
	c.packed.b = append(c.packed.b, out[n:]...)
	if !keep {
		c.buf.release()
		c.buf = nil
	}
}

// packable reports whether the chunk may be compressed by itself, in whatever block it comes to be.
func (c *Chunk) packable() bool { return len(c.runs) == 1 && c.size >= packSize }

// whole reports whether the chunk is a part as it is.
func (c *Chunk) whole(codec byte, alone bool) bool {
	switch {
	case c.packed != nil:
		return true
	case len(c.runs) != 1:
		return false
	}
	// A buffer that is mostly empty would fill the memory of readers that have caught up.
	return alone && 2*len(c.buf.b) >= cap(c.buf.mem) || codec != codecZstd && c.size >= packSize
}

// appendParts appends the parts of the batch's payload. Each holds a reference to its buffers.
func (l *Log) appendParts(parts []part, batch []*Chunk, h *header) []part {
	for i := 0; i < len(batch); {
		c := batch[i]
		if c.whole(l.codec, len(batch) == 1) {
			parts = append(parts, c.part(h.inputIndex(c.runs[0].input)))
			i++
			continue
		}
		n, size := i, 0
		for ; n < len(batch) && !batch[n].whole(l.codec, false); n++ {
			size += batch[n].size + len(batch[n].runs)*maxRunHeader
		}
		if size > 0 {
			parts = append(parts, part{raw: join(batch[i:n], size, h)})
		}
		i = n
	}
	return parts
}

// part is the chunk as a part.
func (c *Chunk) part(input int) part {
	r := &c.runs[0]
	var p part
	p.heads = len(appendRunHeader(p.head[:0], input, r, c.size))
	p.events = c.size
	if c.packed != nil {
		p.packed = c.packed
		p.packed.retain()
	}
	if c.buf != nil {
		// The header goes into the room in front of the events.
		at := maxRunHeader - p.heads
		copy(c.buf.mem[at:], p.head[:p.heads])
		p.raw = c.buf
		p.raw.b = p.raw.mem[at : maxRunHeader+c.size]
		p.raw.retain()
	}
	return p
}

// join copies the runs of chunks into one buffer, for which they need at most size bytes.
func join(batch []*Chunk, size int, h *header) *buffer {
	raw := newBuffer(size)
	for _, c := range batch {
		for j := range c.runs {
			r := &c.runs[j]
			end := len(c.buf.b)
			if j+1 < len(c.runs) {
				end = c.runs[j+1].start
			}
			raw.b = appendRunHeader(raw.b, h.inputIndex(r.input), r, end-r.start)
			raw.b = append(raw.b, c.buf.b[r.start:end]...)
		}
	}
	return raw
}

// A run in the payload: count, index of the input's name, base time, size of
// the events, and the events.
func appendRunHeader(dst []byte, input int, r *run, size int) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.count))
	dst = binary.AppendUvarint(dst, uint64(input))
	dst = binary.AppendVarint(dst, r.base)
	return binary.AppendUvarint(dst, uint64(size))
}

// rawOf is the payload as readers see it, and lets go of what else the parts
// hold. Nil: it is not complete.
func rawOf(parts []part) []*buffer {
	raw := make([]*buffer, 0, len(parts))
	for i := range parts {
		p := &parts[i]
		if p.packed != nil {
			p.packed.release()
		}
		if p.raw != nil {
			raw = append(raw, p.raw)
		}
	}
	if len(raw) < len(parts) {
		releaseAll(raw)
		return nil
	}
	return raw
}

func releaseAll(list []*buffer) {
	for _, b := range list {
		b.release()
	}
}
