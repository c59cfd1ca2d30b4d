package wal

import (
	"encoding/binary"
	"slices"
)

// maxRunHeader is the most that the header of a run takes.
const maxRunHeader = 4 * binary.MaxVarintLen64

// written is a block that is in the file and waits for its fsync.
type written struct {
	block   *Block // as readers that have caught up will see it
	commits []*Commit
	seg     *segment
	end     int64 // where the entry ends in the segment
}

// build makes one block of a batch, as a log entry in l.entry and as readers
// see it, and recycles the chunks.
func (l *Log) build(batch []*Chunk, number, first, durable uint64) *written {
	w := &written{commits: make([]*Commit, len(batch))}
	h := header{number: number, first: first, durable: durable, time: l.opts.Now().UnixNano(), targets: batch[0].targets}
	since := int64(0)
	l.table.reset()
	for i, c := range batch {
		if c.since != 0 && (since == 0 || c.since < since) {
			since = c.since
		}
		l.table.merge(&c.kinds)
		h.marks = append(h.marks, c.marks...)
		cm := c.commit
		if c.count > 0 {
			cm.first, cm.last = h.next(), h.next()+uint64(c.count)-1
			h.count += uint32(c.count)
		}
		w.commits[i] = cm
	}
	l.parts = l.appendParts(l.parts[:0], batch, &h)
	for i := range l.parts {
		h.raw += uint32(l.parts[i].size())
	}
	h.tooKinds = l.table.over
	h.kinds = l.table.list

	// The header's size does not depend on the payload, what it says does.
	l.entry = appendHeader(l.entry[:0], &h)
	l.entry, h.codec = compress(l.entry, l.codec, l.parts, int(h.raw))
	payload := l.entry[h.size:]
	h.stored, h.crc = uint32(len(payload)), checksum(payload)
	seal(l.entry[:h.size], &h)

	h.kinds = cloneKinds(h.kinds) // the table is reused
	if h.tooKinds {
		h.kinds = nil
	}
	w.block = newBlock(l, &h)
	w.block.raw, w.block.since = rawOf(l.parts), since
	for _, c := range batch {
		c.recycle()
	}
	clear(l.parts)
	return w
}

func (h *header) inputIndex(name string) int {
	if i := slices.Index(h.inputs, name); i >= 0 {
		return i
	}
	h.inputs = append(h.inputs, name)
	return len(h.inputs) - 1
}

func cloneKinds(list []kind) []kind {
	out := slices.Clone(list)
	for i := range out {
		out[i].typ = slices.Clone(out[i].typ)
	}
	return out
}
