package splunk

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Whoever called Write takes what ends with its deadline for a failure, makes
// smaller batches, and so sends again what has been received.
func TestWaitForAckEndsBeforeTheDeadline(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	events := batch(t, o, 2)
	// A machine that stands still just then makes one late, but not all.
	for try, inTime := 0, 0; inTime < 2; try++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := o.Write(ctx, events)
		if ctx.Err() == nil {
			inTime++
		}
		if d, ok := agent.RetryAfter(err); !ok || d != 0 || try == 10 {
			t.Fatalf("Write = %v with its deadline %v, want After(0) before it", err, ctx.Err())
		}
		cancel()
	}
	x.set(func() { x.all = true })
	if err := o.Write(t.Context(), events); err != nil || x.posts != 1 {
		t.Errorf("Write = %v after %d posts", err, x.posts)
	}
}

// An app repeats an event to the last byte while the first one waits.
func TestAckOfTwins(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	events := batch(t, o, 2)
	twin := events[0]
	twin.Seq = events[1].Seq
	done := make(chan error, 2)
	for i, e := range []agent.Event{events[0], twin} {
		go func() { done <- o.Write(t.Context(), []agent.Event{e}) }()
		x.until(func() bool { return x.polled[int64(i)] > 0 || len(done) > 0 })
	}
	x.set(func() { x.all = true })
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if x.posts != 2 {
		t.Errorf("%d of 2 events that are alike were sent", x.posts)
	}
}

// An endpoint that never answers does not keep the requests to another one in line for ever.
func TestAckBesideADeadEndpoint(t *testing.T) {
	x := newIndexer(t)
	c := Defaults
	dead := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	c.Endpoint, c.Token, c.Ack = []string{dead, x.url}, agent.NewSecret(token), true
	o, err := New(c, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	o.acks.pace = quick
	x.set(func() { x.all = true })
	events := batch(t, o, 4)
	for _, e := range events[:2] {
		if err := o.Write(t.Context(), []agent.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if o.acks.unmet != 1 || !o.acks.acquainted() {
		t.Errorf("%d of 2 endpoints have not answered, and requests go one at a time", o.acks.unmet)
	}
}
