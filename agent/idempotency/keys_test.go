package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func nothing(string) ([]byte, bool) { return nil, false }

// TestKeysOutliveARestart: what the marks hold is known again, and the ring goes on behind it.
func TestKeysOutliveARestart(t *testing.T) {
	k := Load(nothing, time.Hour)
	marks := map[string][]byte{}
	for n := range 3 {
		r, first, err := k.Begin(context.Background(), Of("client", fmt.Sprint(n)), Of("body"))
		if err != nil || !first {
			t.Fatal(first, err)
		}
		m := r.Mark(fmt.Appendf(nil, "answer %d", n))
		marks[m.Key] = m.Pos
		k.Finish(r, []byte("x"))
	}
	k = Load(func(key string) ([]byte, bool) { pos, ok := marks[key]; return pos, ok }, time.Hour)
	r, first, err := k.Begin(context.Background(), Of("client", "1"), Of("body"))
	if err != nil || first || string(r.Answer()) != "answer 1" {
		t.Errorf("after a restart: first %v, %v", first, err)
	}
	if _, _, err := k.Begin(context.Background(), Of("client", "1"), Of("another")); !errors.Is(err, ErrOtherBody) {
		t.Errorf("another body: %v", err)
	}
	r, first, err = k.Begin(context.Background(), Of("client", "new"), Of("body"))
	if err != nil || !first {
		t.Fatal(first, err)
	}
	if m := r.Mark(nil); m.Pos != nil || marks[m.Key] != nil {
		t.Error("the ring begins anew and would overwrite the latest keys")
	}
	// One that asks while the first is under way gets its answer, or takes its place.
	got := make(chan bool)
	go func() {
		_, first, _ := k.Begin(context.Background(), Of("client", "new"), Of("body"))
		got <- first
	}()
	k.Finish(r, nil)
	if first := <-got; !first {
		t.Error("the key of a request that failed is not free")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := k.Begin(ctx, Of("client", "new"), Of("body")); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gives up gets %v", err)
	}
	if Of("ab", "c") == Of("a", "bc") {
		t.Error("parts are not told from each other")
	}
}

func TestKeysAreBounded(t *testing.T) {
	k := Load(nothing, time.Hour)
	now := time.Unix(1e9, 0)
	k.now = func() time.Time { return now }
	id := func(n int) (d Digest) { copy(d[:], fmt.Sprint(n)); return d }
	for n := range memoryKeys + 10 {
		r, first := k.begin(id(n), Digest{})
		if !first {
			t.Fatalf("key %d is not new", n)
		}
		k.Finish(r, []byte("x"))
	}
	if len(k.known) != memoryKeys || len(k.order) != memoryKeys {
		t.Errorf("%d keys are known", len(k.known))
	}
	if _, first := k.begin(id(memoryKeys), Digest{}); first {
		t.Error("a recent key is forgotten")
	}
	now = now.Add(2 * time.Hour)
	if _, first := k.begin(id(memoryKeys), Digest{}); !first || len(k.known) != 1 {
		t.Errorf("keys beyond the window: %d known", len(k.known))
	}
}

func TestDecodeRefusesRubbish(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, make([]byte, 200), append([]byte{9}, make([]byte, 100)...)} {
		if _, _, ok := decode(b); ok {
			t.Errorf("%v was taken", b)
		}
	}
}

// FuzzDecode: of what is kept of a request anything may be on the disk. What is
// taken for one writes itself anew as it was, and is loaded without harm.
func FuzzDecode(f *testing.F) {
	r := &Request{key: Of("key"), body: Of("body"), at: time.Unix(1_700_000_000, 5)}
	f.Add(r.encode([]byte(`{"accepted":1}`)))
	f.Add(r.encode(nil))
	f.Add([]byte{})
	f.Add([]byte{requestVersion + 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		key, r, ok := decode(b)
		k := Load(func(slot string) ([]byte, bool) { return b, slot == slotKey(7) }, time.Hour)
		if !ok {
			if len(k.known) != 0 {
				t.Error("what is no record is a key")
			}
			return
		}
		if got := r.encode(r.Answer()); !bytes.Equal(got, given) {
			t.Errorf("%q is written as %q", given, got)
		}
		if len(r.Answer()) == 0 || r.key != key {
			t.Error("a record without an answer, or under another key")
		}
		clear(b) // the log's own memory
		if got := r.encode(r.Answer()); !bytes.Equal(got, given) {
			t.Error("the record is a part of what was read")
		}
	})
}
