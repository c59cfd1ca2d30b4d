package wal

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// TestFarCursorIsSaved: after a crash a fast output repeats what it delivered
// since its cursor was saved. That is not put off for a second.
func TestFarCursorIsSaved(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, Compression: "none", tick: time.Hour})
	put(t, l, 0, farMoved+1)
	c := l.Cursor("fast", true)
	c.Advance(farMoved+1, Counts{Sent: farMoved})
	deadline := time.Now().Add(time.Minute)
	for {
		st, _, err := readState(dir)
		if err == nil && st != nil && st.Cursors["fast"].Seq == farMoved+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cursor is not on disk: %+v, %v", st, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestPurgeIsSaved: a cursor that was purged does not come back after a crash.
func TestPurgeIsSaved(t *testing.T) {
	dir := fastDir(t)
	l := open(t, Options{Dir: dir, tick: time.Hour})
	l.Cursor("gone", true).Close()
	if err := l.Purge("gone"); err != nil {
		t.Fatal(err)
	}
	if st, _, err := readState(dir); err != nil || len(st.Cursors) != 0 {
		t.Errorf("on disk: %+v, %v", st, err)
	}
}

// TestStateRoundTrip: marks come back whatever their keys are made of.
func TestStateRoundTrip(t *testing.T) {
	for _, marks := range []map[string][]byte{
		nil,
		{"tail/fe00:1:2": {0, 1, 0xff}},
		{"": {}, "plain": []byte("x"), `quote " and \`: []byte("y"), "line\nfeed": []byte("z"), "ünï": {7}, "\x7f": {8}},
	} {
		st := &state{Version: stateVersion, Generation: 3, NextSeq: 5, Cursors: map[string]cursorState{"a": {Seq: 4}}, Marks: marks}
		data, err := encodeState(st)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeState(data)
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if !reflect.DeepEqual(got, st) {
			t.Errorf("got %+v, want %+v", got, st)
		}
	}
}

// BenchmarkState writes what ten thousand files leave in the state.
func BenchmarkState(b *testing.B) {
	st := &state{Version: stateVersion, Marks: map[string][]byte{}}
	for i := range 10_000 {
		st.Marks[fmt.Sprintf("tail/apps/fe00:%x:18ecb37a7d0b775b", i)] = make([]byte, 60)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodeState(st); err != nil {
			b.Fatal(err)
		}
	}
}
