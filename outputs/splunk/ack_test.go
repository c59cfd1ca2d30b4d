package splunk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// An indexer receives, and acknowledges what the test tells it to.
type indexer struct {
	t        *testing.T
	url      string
	metrics  *metrics.Set
	mu       sync.Mutex
	channels map[string]bool
	posts    int
	bodies   map[string]int // how often each body came
	acked    map[int64]bool // waits to be reported, once
	polled   map[int64]int
	useACK   bool
	all      bool // acknowledges on the first poll
	answer   string

	pollStatus, pollsRefused int

	changed chan struct{}
}

func newIndexer(t *testing.T) *indexer {
	x := &indexer{t: t, channels: map[string]bool{}, bodies: map[string]int{}, acked: map[int64]bool{}, polled: map[int64]int{}, useACK: true, changed: make(chan struct{}, 1000)}
	x.url = serve(t, x.serve)
	return x
}

func (x *indexer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() { x.changed <- struct{}{} }()
	if c, err := r.Cookie("node"); err == nil && c.Value != "7" {
		x.t.Errorf("cookie %v", c)
	} else if err != nil && x.posts > 0 {
		x.t.Error("the node's cookie did not come back")
	}
	http.SetCookie(w, &http.Cookie{Name: "node", Value: "7"})
	x.channels[r.Header.Get(channelHeader)] = true
	if r.URL.Path != ackPath {
		x.posts++
		x.bodies[string(body)]++
		switch {
		case x.answer != "":
			w.WriteHeader(400)
			io.WriteString(w, x.answer)
		case x.useACK:
			fmt.Fprintf(w, `{"text":"Success","code":0,"ackId":%d}`, x.posts-1)
		default:
			io.WriteString(w, `{"text":"Success","code":0}`)
		}
		return
	}
	if got := r.URL.Query().Get("channel"); !x.channels[got] {
		x.t.Errorf("polled on channel %q", got)
	}
	if x.pollStatus != 0 {
		x.pollsRefused++
		w.WriteHeader(x.pollStatus)
		return
	}
	if !x.useACK {
		w.WriteHeader(400)
		io.WriteString(w, `{"text":"ACK is disabled","code":14}`)
		return
	}
	var ask struct{ Acks []int64 }
	if err := json.Unmarshal(body, &ask); err != nil {
		x.t.Error(err)
	}
	answer := map[string]bool{}
	for _, id := range ask.Acks {
		x.polled[id]++
		answer[fmt.Sprint(id)] = x.acked[id] || x.all && id < unusedID
		delete(x.acked, id)
	}
	json.NewEncoder(w).Encode(map[string]any{"acks": answer})
}

func (x *indexer) set(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// until waits for a condition on what the indexer has seen.
func (x *indexer) until(cond func() bool) {
	x.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		x.mu.Lock()
		ok := cond()
		x.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-x.changed:
		case <-timeout:
			x.t.Fatal("it never happened")
		}
	}
}

func (x *indexer) output(p pace) *Output {
	c := Defaults
	c.Endpoint, c.Token, c.Ack = []string{x.url}, agent.NewSecret(token), true
	env := testEnv()
	x.metrics = env.Metrics
	o, err := New(c, env)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { o.Close(context.Background()) })
	o.acks.pace = p
	return o
}

var quick = pace{first: time.Millisecond, longest: 5 * time.Millisecond, giveUp: time.Minute}

func TestAckIsWaitedFor(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	events := batch(t, o, 3)
	done := make(chan error, 2)
	go func() { done <- o.Write(t.Context(), events[:2]) }()
	x.until(func() bool { return x.posts == 1 && x.polled[0] > 2 })
	go func() { done <- o.Write(t.Context(), events[2:]) }()
	x.until(func() bool { return x.posts == 2 && x.polled[1] > 2 })
	select {
	case err := <-done:
		t.Fatalf("Write returned %v before the acknowledgement", err)
	default:
	}
	x.set(func() { x.acked[0], x.acked[1] = true, true })
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(x.channels) != 1 {
		t.Errorf("%d channels for one endpoint", len(x.channels))
	}
	var text strings.Builder
	x.metrics.WritePrometheus(&text)
	if !strings.Contains(text.String(), `siemd_output_ack_seconds_count{output="t"} 2`) {
		t.Errorf("metrics: %s", text.String())
	}
}

// The time of a Write is up, but not that of the acknowledgement: the next
// Write of the same events goes on waiting, and nothing is sent twice.
func TestAckOutlivesWrite(t *testing.T) {
	t.Parallel()
	x := newIndexer(t)
	o := x.output(quick)
	events := batch(t, o, 2)
	// The first sends as well, the others only wait.
	for _, d := range []time.Duration{5 * time.Second, 50 * time.Millisecond, 50 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		err := o.Write(ctx, events)
		cancel()
		if d, ok := agent.RetryAfter(err); !ok || d != 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Write = %v, want After(0)", err)
		}
	}
	x.set(func() { x.acked[0] = true })
	if err := o.Write(t.Context(), events); err != nil || x.posts != 1 {
		t.Fatalf("Write = %v after %d posts", err, x.posts)
	}
	if len(o.acks.parcels) != 0 {
		t.Errorf("%d parcels are kept", len(o.acks.parcels))
	}
	// The same bytes later are another batch.
	x.set(func() { x.all = true })
	if err := o.Write(t.Context(), events); err != nil || x.posts != 2 {
		t.Fatalf("Write = %v after %d posts", err, x.posts)
	}
}

// An acknowledgement that never comes means: again.
func TestAckGivenUp(t *testing.T) {
	x := newIndexer(t)
	o := x.output(pace{first: time.Millisecond, longest: 5 * time.Millisecond, giveUp: 50 * time.Millisecond})
	events := batch(t, o, 2)
	if err := o.Write(t.Context(), events); word(err) != "retry" {
		t.Fatalf("Write = %v, want an error without a word", err)
	}
	x.set(func() { x.all = true })
	// A slow machine may not ask for it in those 50 ms, which is the same once more.
	for posts := 2; ; posts++ {
		err := o.Write(t.Context(), events)
		if x.posts != posts || err != nil && (word(err) != "retry" || posts == 20) {
			t.Fatalf("Write = %v after %d posts, want %d", err, x.posts, posts)
		}
		if err == nil {
			break
		}
	}
}

// A token without useACK: what was received is not sent again and again, the
// mistake is reported, and other events wait until it is mended.
func TestAckMissing(t *testing.T) {
	x := newIndexer(t)
	x.useACK = false
	o := x.output(quick)
	first, second := batch(t, o, 3)[:2], batch(t, o, 3)[2:]
	if err := o.Write(t.Context(), first); !agent.IsBlocked(err) || !strings.Contains(err.Error(), "useACK") {
		t.Fatalf("Write = %v, want Blocked", err)
	}
	if err := o.Write(t.Context(), first); err != nil || x.posts != 1 {
		t.Fatalf("Write = %v after %d posts", err, x.posts)
	}
	for range 3 {
		if err := o.Write(t.Context(), second); !agent.IsBlocked(err) || x.posts != 1 {
			t.Fatalf("Write = %v after %d posts", err, x.posts)
		}
	}
	x.set(func() { x.useACK, x.all = true, true })
	if err := o.Write(t.Context(), second); err != nil || x.posts != 2 {
		t.Fatalf("Write = %v after %d posts", err, x.posts)
	}
}

// useACK is taken from the token while events wait.
func TestAckDisabledMeanwhile(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	events := batch(t, o, 1)
	done := make(chan error, 1)
	go func() { done <- o.Write(t.Context(), events) }()
	x.until(func() bool { return x.polled[0] > 0 })
	x.set(func() { x.useACK = false })
	if err := <-done; !agent.IsBlocked(err) {
		t.Fatalf("Write = %v, want Blocked", err)
	}
	if err := o.Write(t.Context(), events); err != nil || x.posts != 1 {
		t.Fatalf("Write = %v after %d posts", err, x.posts)
	}
}

// The events before a bad one are sent when they are acknowledged.
func TestAckOfPrefix(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	x.answer = `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1,"ackId":0}`
	events := batch(t, o, 3)
	done := make(chan error, 1)
	go func() { done <- o.Write(t.Context(), events) }()
	x.until(func() bool { return x.polled[0] > 2 })
	x.set(func() { x.acked[0] = true })
	if got := words(<-done, 3); got != "ok, permanent, after 0s" {
		t.Errorf("got %s", got)
	}
	// Nothing before it: nothing to wait for.
	x.set(func() { x.answer = `{"text":"x","code":13,"invalid-event-number":0,"ackId":1}` })
	if got := words(o.Write(t.Context(), events), 3); got != "permanent, after 0s, after 0s" {
		t.Errorf("got %s", got)
	}
	x.set(func() { x.answer = `{"text":"x","code":13,"invalid-event-number":2}` })
	if got := words(o.Write(t.Context(), events), 3); got != "ok, ok, permanent" {
		t.Errorf("got %s", got)
	}
}

func TestAckPollVector(t *testing.T) {
	data, err := os.ReadFile("testdata/resp-hec-ackpoll.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Input  struct{ Body string }
		Expect struct{ Acked []int64 }
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	got, ok := acknowledged([]byte(v.Input.Body))
	slices.Sort(got)
	if !ok || !slices.Equal(got, v.Expect.Acked) {
		t.Errorf("acknowledged %v, want %v", got, v.Expect.Acked)
	}
	for _, body := range []string{"<html>", "{}", `{"acks":null}`, `[]`} {
		if _, ok := acknowledged([]byte(body)); ok {
			t.Errorf("%s was taken for an answer", body)
		}
	}
}

// Stopping does not wait for acknowledgements.
func TestAckStop(t *testing.T) {
	x := newIndexer(t)
	o := x.output(pace{first: time.Hour, longest: time.Hour, giveUp: 2 * time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Write(ctx, batch(t, o, 1)) }()
	x.until(func() bool { return x.posts == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v", err)
	}
	o.acks.close()
}

// Two endpoints count their ids each for itself, on channels of their own.
func TestAckOfTwoEndpoints(t *testing.T) {
	x, y := newIndexer(t), newIndexer(t)
	c := Defaults
	c.Endpoint, c.Token, c.Ack = []string{x.url, y.url}, agent.NewSecret(token), true
	o, err := New(c, testEnv())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close(context.Background()) })
	o.acks.pace = quick
	events := batch(t, o, 2)
	done := make(chan string, 2)
	for i := range events {
		go func() { done <- fmt.Sprint(i, o.Write(t.Context(), events[i:i+1])) }()
	}
	x.until(func() bool { return x.polled[0] > 1 })
	y.until(func() bool { return y.polled[0] > 1 })
	x.set(func() { x.acked[0] = true })
	first := <-done
	select {
	case second := <-done:
		t.Errorf("%s and %s came from one acknowledgement", first, second)
	case <-time.After(20 * time.Millisecond):
	}
	y.set(func() { y.acked[0] = true })
	for _, got := range []string{first, <-done} {
		if !strings.HasSuffix(got, "<nil>") {
			t.Error(got)
		}
	}
	for channel := range x.channels {
		if len(x.channels) != 1 || y.channels[channel] {
			t.Errorf("channels %v and %v", x.channels, y.channels)
		}
	}
}

// While acknowledgements cannot be asked for, the events wait.
func TestAckPollFails(t *testing.T) {
	x := newIndexer(t)
	o := x.output(quick)
	done := make(chan error, 1)
	go func() { done <- o.Write(t.Context(), batch(t, o, 1)) }()
	x.set(func() { x.pollStatus = 503 })
	x.until(func() bool { return x.pollsRefused > 2 })
	select {
	case err := <-done:
		t.Fatalf("Write returned %v", err)
	default:
	}
	x.set(func() { x.pollStatus, x.all = 0, true })
	if err := <-done; err != nil || x.posts != 1 {
		t.Errorf("Write = %v after %d posts", err, x.posts)
	}
}

func TestGUID(t *testing.T) {
	a, b := newGUID(), newGUID()
	if a == b || len(a) != 36 || a[14] != '4' || strings.Count(a, "-") != 4 {
		t.Errorf("%s, %s", a, b)
	}
}
