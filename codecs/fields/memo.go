package fields

import (
	"encoding/binary"
	"sync/atomic"
)

// A Memo keeps texts that were made from parts of events and are likely to be
// made from the same parts again. What it keeps is at most 256 texts of 1 KiB, with
// keys as long, whatever events come, and once it has those that are common it allocates nothing.
//
// The zero Memo is ready. It is safe for concurrent use.
type Memo struct {
	slots  [256]atomic.Pointer[note]
	misses atomic.Uint64
}

// A note is never changed.
type note struct {
	number    uint64
	key, text string
}

// maxNote is the most that a key or a text may have to be kept, in bytes.
const maxNote = 1 << 10

// Find is the text that was kept for number and key, or "".
func (m *Memo) Find(number uint64, key []byte) string {
	n := m.slot(number, key).Load()
	if n == nil || n.number != number || n.key != string(key) {
		return ""
	}
	return n.text
}

// Keep is to be called with what Find did not find. It copies key and text, and forgets what stood in their place.
func (m *Memo) Keep(number uint64, key, text []byte) {
	if seldom(m.misses.Add(1)) && len(key) <= maxNote && len(text) <= maxNote {
		m.slot(number, key).Store(&note{number, string(key), string(text)})
	}
}

// slot is where a text stands, by the beginning and the end of its key.
func (m *Memo) slot(number uint64, key []byte) *atomic.Pointer[note] {
	h := number ^ uint64(len(key))<<32
	if n := len(key); n >= 8 {
		h ^= binary.LittleEndian.Uint64(key) ^ binary.LittleEndian.Uint64(key[n-8:])*3
	} else {
		for _, c := range key {
			h = h<<8 ^ uint64(c)
		}
	}
	return &m.slots[h*0x9e3779b97f4a7c15>>56]
}
