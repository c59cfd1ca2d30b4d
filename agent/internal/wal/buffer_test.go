package wal

import "testing"

// TestBufferSizes: the class of a size is the smallest that has room for it.
func TestBufferSizes(t *testing.T) {
	for class := range bufferPools {
		size := bufferSize(class)
		if got := bufferClass(size); got != class {
			t.Errorf("%d bytes are of class %d, want %d", size, got, class)
		}
		if got := bufferClass(size + 1); got != class+1 {
			t.Errorf("%d bytes are of class %d, want %d", size+1, got, class+1)
		}
	}
	if got := bufferClass(0); got != 0 {
		t.Errorf("nothing is of class %d", got)
	}
	b := newBuffer(256<<10 + 100)
	defer b.release()
	if len(b.mem) != 320<<10 {
		t.Errorf("256 KiB and a little more take %d bytes", len(b.mem))
	}
}
