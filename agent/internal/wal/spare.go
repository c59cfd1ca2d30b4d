package wal

import (
	"reflect"
	"unsafe"

	twal "github.com/tidwall/wal"
)

// Tidwall's log keeps what it has written to the last segment in memory, in a
// buffer that begins empty with each segment and grows by being copied: several
// times the bytes of the log pass through the allocator, and the collector
// runs all the time. We never read through it, so the buffer of a segment
// that is finished may serve the next one. The library has no way to say so; where its
// fields are is found out once, by name and type, and if they are not as expected
// everything goes on as it was, only slower. A test would notice.
var tailBuffers = findTailBuffers()

type tailBufferFields struct {
	ok       bool
	segments uintptr // of []*segment in twal.Log
	buffer   uintptr // of []byte in a segment
}

func findTailBuffers() (f tailBufferFields) {
	list, ok := reflect.TypeFor[twal.Log]().FieldByName("segments")
	if !ok || list.Type.Kind() != reflect.Slice || list.Type.Elem().Kind() != reflect.Pointer || list.Type.Elem().Elem().Kind() != reflect.Struct {
		return f
	}
	buffer, ok := list.Type.Elem().Elem().FieldByName("ebuf")
	if !ok || buffer.Type != reflect.TypeFor[[]byte]() {
		return f
	}
	return tailBufferFields{true, list.Offset, buffer.Offset}
}

// of is the buffer of the nth segment from the end, or nil.
func (f tailBufferFields) of(tw *twal.Log, n int) *[]byte {
	if !f.ok {
		return nil
	}
	segs := *(*[]unsafe.Pointer)(unsafe.Add(unsafe.Pointer(tw), f.segments))
	if n >= len(segs) {
		return nil
	}
	return (*[]byte)(unsafe.Add(segs[len(segs)-1-n], f.buffer))
}

// handOver gives the buffer of the segment before the last to the last one,
// which is still empty, and makes tw forget what else it keeps of that
// segment. A buffer that one huge block has made large is let go.
func (f tailBufferFields) handOver(tw *twal.Log) {
	var spare []byte
	if old := f.of(tw, 1); old != nil {
		spare = *old
	}
	tw.ClearCache()
	if tail := f.of(tw, 0); tail != nil && len(*tail) == 0 && cap(spare) <= 4<<20 {
		*tail = spare[:0]
	}
}
