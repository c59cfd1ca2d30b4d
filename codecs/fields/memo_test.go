package fields_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/adrian207/siemd/codecs/fields"
)

func TestAMemoGivesWhatWasKept(t *testing.T) {
	var m fields.Memo
	keys := []string{"", "a", "ab", "ba", "1234567", "12345678", "87654321", strings.Repeat("x", 1024)}
	text := func(n uint64, key string) string { return fmt.Sprintf("%d of %.9s", n, key) }
	for n := range uint64(3) {
		for _, key := range keys {
			if got := m.Find(n, []byte(key)); got != "" {
				t.Errorf("%d, %q: %q before it was kept", n, key, got)
			}
			k, v := []byte(key), []byte(text(n, key))
			m.Keep(n, k, v)
			clear(k)
			clear(v)
			if got := m.Find(n, []byte(key)); got != text(n, key) {
				t.Errorf("%d, %q: %q", n, key, got)
			}
		}
	}
	for n := range uint64(3) {
		for _, key := range keys {
			if got := m.Find(n, []byte(key)); got != "" && got != text(n, key) {
				t.Errorf("%d, %q: %q, which is another's", n, key, got)
			}
		}
	}
}

func TestAMemoKeepsNothingLarge(t *testing.T) {
	var m fields.Memo
	large := bytes.Repeat([]byte("x"), 1025)
	m.Keep(1, large, []byte("a"))
	m.Keep(1, []byte("a"), large)
	if m.Find(1, large) != "" || m.Find(1, []byte("a")) != "" {
		t.Error("kept")
	}
}

// Keys that never come again cost hardly anything, and do not stop it from learning what comes later.
func TestAMemoIsNotWornOut(t *testing.T) {
	var m fields.Memo
	text := []byte("text")
	n := uint64(0)
	miss := func() {
		for range 1024 {
			n++
			m.Keep(n, text, text)
		}
	}
	for range 20 {
		miss()
	}
	if got := testing.AllocsPerRun(5, miss); got > 6 {
		t.Errorf("%v allocations for 1024 unknown texts", got)
	}
	for range 1024 {
		if m.Find(0, text) == "" {
			m.Keep(0, text, text)
		}
	}
	if m.Find(0, text) == "" {
		t.Error("what came a thousand times was not kept")
	}
}

func TestAMemoIsSafeForConcurrentUse(t *testing.T) {
	var m fields.Memo
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint64(20_000) {
				n := i % 600
				text := fmt.Append(nil, n)
				if got := m.Find(n, text[:1]); got == "" {
					m.Keep(n, text[:1], text)
				} else if got != string(text) {
					t.Errorf("%s of %d", got, n)
					return
				}
			}
		})
	}
	wg.Wait()
}
