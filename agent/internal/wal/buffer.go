package wal

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Buffers come in sizes from 4 KiB to 4 MiB, four to a power of two, so that
// what a reader of 256 KiB hands over, a little more, does not take twice that. Larger ones are left to
// the garbage collector: they are rare, and a pool would keep them for ever.
const (
	minBufferBits = 12
	maxBufferBits = 22
)

var bufferPools [4*(maxBufferBits-minBufferBits) + 1]sync.Pool

// bufferClass is the first class of buffers that have room for n bytes.
func bufferClass(n int) int {
	n = max(n, 1<<minBufferBits) - 1
	octave := bits.Len(uint(n)) - 1 // 1<<octave <= n
	quarter := n >> (octave - 2) & 3
	return 4*(octave-minBufferBits) + quarter + 1
}

func bufferSize(class int) int { return (4 + class%4) << (class/4 + minBufferBits - 2) }

// A buffer is a reference counted slice. The last release gives it back to
// its pool, so nobody may look at it afterwards.
type buffer struct {
	b     []byte // what is of use in mem
	mem   []byte
	class int // index of its pool, -1: none
	refs  atomic.Int32
}

// newBuffer is an empty buffer with room for n bytes and one reference.
func newBuffer(n int) *buffer {
	class := bufferClass(n)
	if class >= len(bufferPools) {
		buf := &buffer{mem: make([]byte, n), class: -1}
		buf.b = buf.mem[:0]
		buf.refs.Store(1)
		return buf
	}
	buf, _ := bufferPools[class].Get().(*buffer)
	if buf == nil {
		buf = &buffer{mem: make([]byte, bufferSize(class)), class: class}
	}
	buf.b = buf.mem[:0]
	buf.refs.Store(1)
	return buf
}

func (buf *buffer) retain() { buf.refs.Add(1) }

func (buf *buffer) release() {
	switch n := buf.refs.Add(-1); {
	case n == 0 && buf.class >= 0:
		bufferPools[buf.class].Put(buf)
	case n < 0:
		panic("wal: buffer released twice")
	}
}
