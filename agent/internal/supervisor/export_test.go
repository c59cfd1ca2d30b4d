package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A mark waits for room in a full log for as long as it was told, whatever its caller's context says.
func TestRememberOnAFullLog(t *testing.T) {
	r := newRig(t, `wal: {max_size: 64MiB, compression: none, min_free: 0%}
outputs: {gone: {type: splunk, endpoint: "http://127.0.0.1:1", token: t}}
`)
	big := fmt.Appendf(nil, `{"event_type":"alert","description":%q}`, strings.Repeat("long ", 40<<10))
	for {
		_, _, err := r.Store(context.Background(), Export{Event: big, Patience: 100 * time.Millisecond})
		if errors.Is(err, agent.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		done <- r.Remember(context.Background(), &agent.Mark{Key: "k", Pos: []byte("1")}, 100*time.Millisecond)
	}()
	select {
	case err := <-done:
		if !errors.Is(err, agent.ErrFull) {
			t.Errorf("err = %v, want ErrFull", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("still waiting for room")
		r.stop()
		<-done
	}
}

// An input that is called as exports are counted has marks of its own.
func TestExportsHaveMarksOfTheirOwn(t *testing.T) {
	r := newRig(t, `inputs: {`+exportInput+`: {type: http, listen: "127.0.0.1:0"}}
outputs: {}
`)
	if err := r.Remember(context.Background(), &agent.Mark{Key: "k", Pos: []byte("1")}, time.Second); err != nil {
		t.Fatal(err)
	}
	if pos, ok := r.Resume("k"); !ok || string(pos) != "1" {
		t.Errorf("Resume = %q, %v", pos, ok)
	}
	if pos, ok := r.inputs[exportInput].sink.Resume("k"); ok {
		t.Errorf("the input has the mark %q", pos)
	}
}
