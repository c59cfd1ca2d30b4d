package agent

import (
	"math/rand/v2"
	"testing"
)

// TestJoinWire: whatever lies where, the result is the concatenation, and what
// lies together is not copied.
func TestJoinWire(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		backing := make([]byte, 64)
		for i := range backing {
			backing[i] = byte('a' + r.IntN(26))
		}
		var events []Event
		want, at := "", 0
		for range r.IntN(6) {
			var wire []byte
			switch n := r.IntN(8); r.IntN(5) {
			case 0: // elsewhere
				wire = []byte("elsewhere")[:n]
			case 1: // cut short
				wire = backing[at : at+n : at+n]
				at += n
			case 2: // a gap before it
				at = min(at+1, len(backing)-8)
				wire = backing[at : at+n]
				at += n
			default:
				wire = backing[at : at+n]
				at += n
			}
			events = append(events, Event{Wire: wire})
			want += string(wire)
		}
		got := JoinWire([]byte("used before"), events)
		if string(got) != want {
			t.Fatalf("%q, want %q", got, want)
		}
		if cap(got) != len(got) && len(events) > 0 && len(got) > 0 && len(events[0].Wire) > 0 && &got[0] == &events[0].Wire[0] {
			t.Fatal("an append to the result would write into the batch")
		}
	}
	together := []byte("onetwothree")
	got := JoinWire(nil, []Event{{Wire: together[:3]}, {Wire: nil}, {Wire: together[3:6]}, {Wire: together[6:]}})
	if string(got) != "onetwothree" || &got[0] != &together[0] {
		t.Errorf("%q was copied", got)
	}
}
