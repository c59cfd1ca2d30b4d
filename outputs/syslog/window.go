package syslog

import (
	"sync"
	"time"
)

// pieceSize is how much is written at once. It is the grain of partial
// success, so a link must move this much within a Write's deadline.
const pieceSize = 64 << 10

// A piece is some whole frames, written at once.
type piece struct {
	data []byte
	ends []int32 // where each frame ends in data
	next int     // index of the first event of the batch that comes after this piece

	acked time.Time     // when the peer's TCP had it, on the present connection
	held  time.Duration // how long it lay acknowledged on connections that then closed in good order
}

var pieces = sync.Pool{New: func() any { return &piece{data: make([]byte, 0, pieceSize)} }}

func newPiece() *piece { return pieces.Get().(*piece) }

// free gives the piece back. Nobody may use it any more.
func (p *piece) free() {
	if cap(p.data) > 4*pieceSize {
		return // one huge frame shall not stay for ever
	}
	*p = piece{data: p.data[:0], ends: p.ends[:0]}
	pieces.Put(p)
}

// cut puts frames into pieces. The frames are copied: a piece may outlive the Write.
type cut struct {
	pieces []*piece
}

// add appends the frame of the event with this index.
func (c *cut) add(index int, frame []byte) {
	n := len(c.pieces)
	if n == 0 || len(c.pieces[n-1].data)+len(frame) > pieceSize {
		c.pieces = append(c.pieces, newPiece())
		n++
	}
	p := c.pieces[n-1]
	p.data = append(p.data, frame...)
	p.ends = append(p.ends, int32(len(p.data)))
	p.next = index + 1
}

// A window is the tail of what was delivered: acknowledged by the peer's TCP,
// but perhaps never read by its program. It is sent again after a broken connection.
type window struct {
	limit  int
	size   int // bytes in pieces
	pieces []*piece
}

// settled is how long a piece must have lain acknowledged on connections that
// closed in good order to count as read: a receiver, or a balancer before it,
// that closes idle connections shall not get the same megabyte every time.
const settled = time.Minute

// add takes over a piece that was just acknowledged, and lets go of what is now beyond the limit.
func (w *window) add(p *piece, now time.Time) {
	if w.limit <= 0 {
		p.free()
		return
	}
	p.acked = now
	w.pieces = append(w.pieces, p)
	w.size += len(p.data)
	drop := 0
	for w.size-len(w.pieces[drop].data) >= w.limit {
		w.size -= len(w.pieces[drop].data)
		w.pieces[drop].free()
		drop++
	}
	w.pieces = append(w.pieces[:0], w.pieces[drop:]...)
}

// disconnected notes the end of the connection that carried all of the window.
func (w *window) disconnected(orderly bool, now time.Time) {
	kept := w.pieces[:0]
	for _, p := range w.pieces {
		if orderly && !p.acked.IsZero() {
			p.held += now.Sub(p.acked)
		}
		p.acked = time.Time{}
		if p.held < settled {
			kept = append(kept, p)
			continue
		}
		w.size -= len(p.data)
		p.free()
	}
	clear(w.pieces[len(kept):])
	w.pieces = kept
}

// tail is what to send again: the smallest number of whole frames that is not
// below the limit, oldest first, and how many frames that is.
func (w *window) tail() (data [][]byte, frames int) {
	skip := max(w.size-w.limit, 0) // at most so many bytes of the first piece may be left out
	for i, p := range w.pieces {
		from, first := 0, 0
		if i == 0 {
			for first < len(p.ends)-1 && int(p.ends[first]) <= skip {
				from = int(p.ends[first])
				first++
			}
		}
		data = append(data, p.data[from:])
		frames += len(p.ends) - first
	}
	return data, frames
}

// reconnected notes that all of the window was acknowledged again.
func (w *window) reconnected(now time.Time) {
	for _, p := range w.pieces {
		if p.acked.IsZero() {
			p.acked = now
		}
	}
}
