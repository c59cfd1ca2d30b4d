package vectors

import (
	"bytes"
	"sync"
	"testing"

	"github.com/adrian207/siemd/agent"
)

// Contract checks what every codec promises: it appends, gives the same for
// the same event on any goroutine, leaves the event alone, and does not allocate.
func Contract(t *testing.T, c agent.Encoder) {
	t.Helper()
	events := []*agent.Event{Event(t, []byte(sample))}
	for _, v := range Load(t, "core-*") {
		events = append(events, Event(t, v.Raw(t)))
	}
	for _, e := range events {
		body := bytes.Clone(e.Body)
		want, err := c.Encode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				buf := []byte("before")
				for range 50 {
					got, err := c.Encode(buf[:len("before")], e)
					if err != nil || string(got) != "before"+string(want) {
						t.Errorf("%v: %q, want %q", err, got, want)
						return
					}
					buf = got
				}
			})
		}
		wg.Wait()
		if !bytes.Equal(body, e.Body) {
			t.Errorf("the body became %q", e.Body)
		}
		buf := make([]byte, 0, 4*len(want)+1024)
		if n := testing.AllocsPerRun(50, func() { _, _ = c.Encode(buf, e) }); n != 0 {
			t.Errorf("%v allocations for %s", n, e.ID)
		}
	}
}
