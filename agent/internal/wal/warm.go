package wal

import "sort"

// warmHead keeps the last durable blocks as they were before compression, for
// readers that have caught up. It is guarded by Log.mu.
type warmHead struct {
	blocks []*Block // in order, without empty ones
	bytes  int      // what their buffers take
}

// add takes over a reference to b.
func (w *warmHead) add(b *Block) {
	w.blocks = append(w.blocks, b)
	w.bytes += b.held()
	n := 0
	for w.bytes > warmLimit && n < len(w.blocks) {
		w.bytes -= w.blocks[n].held()
		w.blocks[n].Release()
		n++
	}
	if n > 0 {
		rest := copy(w.blocks, w.blocks[n:])
		clear(w.blocks[rest:])
		w.blocks = w.blocks[:rest]
	}
}

// find is the block that holds seq, with a reference for the caller, or nil.
func (w *warmHead) find(seq uint64) *Block {
	i := sort.Search(len(w.blocks), func(i int) bool { return w.blocks[i].header.next() > seq })
	if i == len(w.blocks) || w.blocks[i].header.first > seq {
		return nil
	}
	w.blocks[i].Retain()
	return w.blocks[i]
}

func (w *warmHead) drop() {
	for _, b := range w.blocks {
		b.Release()
	}
	*w = warmHead{}
}

// held is the memory that the block's payload takes.
func (b *Block) held() (n int) {
	for _, raw := range b.raw {
		n += cap(raw.mem)
	}
	return n
}
