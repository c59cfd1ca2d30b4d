package splunk

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

const channelHeader = "X-Splunk-Request-Channel"

// Splunk's advice is to ask every ten seconds and to give up after five minutes.
var defaultPace = pace{first: time.Second, longest: 10 * time.Second, giveUp: 5 * time.Minute}

type pace struct {
	first, longest time.Duration // between two polls
	giveUp         time.Duration // until events are sent again
}

// acks is indexer acknowledgement: events that Splunk has received are not
// sent yet, but on the way to be.
//
// Write waits for the acknowledgement. When its time is nearly up it says "again
// at once", and the next Write of the same events goes on waiting instead of
// sending: what has been received is remembered by a hash of the request.
type acks struct {
	client     *httpx.Client
	latency    *metrics.PrometheusHistogram
	pace       pace
	seed       maphash.Seed
	background func(poll func(context.Context))
	stop       context.CancelFunc
	pollers    sync.WaitGroup
	log        *slog.Logger

	alone chan struct{} // has one in it while a request may not have company

	mu       sync.Mutex // guards what is below, in channels too
	unmet    int        // endpoints that have not answered yet
	parcels  map[uint64]*parcel
	channels map[*httpx.Endpoint]*channel
	disabled *channel // where it turned out that the token has no useACK
}

// A channel is one sender's line to one endpoint. Ids mean something only within it.
type channel struct {
	endpoint *httpx.Endpoint
	header   http.Header
	pending  map[int64]*parcel
	polling  bool
	met      bool // it has answered
}

// A parcel is a request that Splunk has received.
type parcel struct {
	key    uint64
	posted time.Time
	result error // for Write, once acknowledged: nil, or what was wrong with some of the events

	settled chan struct{} // closed when the rest is known
	ended   time.Time
	err     error
	warned  bool // no acknowledgement will come: Write has yet to say so, once
}

func newAcks(client *httpx.Client, env agent.Env) *acks {
	ctx, stop := context.WithCancel(context.Background())
	a := &acks{
		client: client, latency: env.Histogram("ack_seconds"), pace: defaultPace, seed: maphash.MakeSeed(), stop: stop, log: env.Log,
		parcels: map[uint64]*parcel{}, channels: map[*httpx.Endpoint]*channel{}, alone: make(chan struct{}, 1),
	}
	a.unmet = len(client.Endpoints())
	a.background = func(poll func(context.Context)) { a.pollers.Go(func() { poll(ctx) }) }
	for _, ep := range client.Endpoints() {
		a.channels[ep] = &channel{endpoint: ep, header: http.Header{channelHeader: {newGUID()}}, pending: map[int64]*parcel{}}
	}
	return a
}

// newGUID is a random one: a channel belongs to one process.
func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (a *acks) headerOf(ep *httpx.Endpoint) http.Header { return a.channels[ep].header }

func (a *acks) close() {
	a.stop()
	a.pollers.Wait()
}

// keyOf is what a request is remembered by. Two events may be alike to the last
// byte, so that their places in the log are part of it.
func (a *acks) keyOf(body []byte, events []agent.Event) uint64 {
	var h maphash.Hash
	h.SetSeed(a.seed)
	for i := range events {
		h.Write(binary.LittleEndian.AppendUint64(nil, events[i].Seq)) // a Hash takes everything
	}
	h.Write(body)
	return h.Sum64()
}

// write sends body, unless Splunk has it already, and waits for the acknowledgement.
func (a *acks) write(ctx context.Context, o *Output, body []byte, events []agent.Event) error {
	key := a.keyOf(body, events)
	a.mu.Lock()
	p := a.parcels[key]
	a.mu.Unlock()
	if p == nil {
		if err := a.enabled(ctx); err != nil {
			return err
		}
		leave, err := a.enter(ctx)
		if err != nil {
			return err
		}
		got, err := o.post(ctx, body, len(events), a.headerOf)
		leave(got.endpoint)
		if err != nil {
			return err
		}
		if got.err != nil && (got.ackID == nil || !got.took) {
			return got.err // there is a bad event, and no acknowledgement for those before it
		}
		p = a.expect(key, got)
	}
	return a.collect(ctx, p)
}

// enter admits one request at a time until every endpoint that gets any has
// answered once. Before its first answer nobody knows the cookie by which a
// balancer keeps to one node: several requests would go to several nodes, each of
// which counts its ids from 0, and only one of which would be asked.
func (a *acks) enter(ctx context.Context) (leave func(*httpx.Endpoint), err error) {
	if a.acquainted() {
		return func(*httpx.Endpoint) {}, nil
	}
	select {
	case a.alone <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("nothing was sent, because an endpoint that was asked first has not answered: %w", ctx.Err())
	}
	return func(ep *httpx.Endpoint) {
		a.mu.Lock()
		if ch := a.channels[ep]; ch != nil && !ch.met {
			ch.met = true
			a.unmet--
		}
		a.mu.Unlock()
		<-a.alone
	}, nil
}

// acquainted reports whether the endpoints that requests go to have answered.
// One that rests beside a healthy one has no say: it may never answer.
func (a *acks) acquainted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unmet == 0 {
		return true
	}
	met := false
	for ep, ch := range a.channels {
		switch {
		case ep.Resting():
		case !ch.met:
			return false
		default:
			met = true
		}
	}
	return met
}

var (
	errWaiting = errors.New("received by Splunk, not yet acknowledged")

	errNoUseACK error = &agent.AnswerError{Endpoint: "Splunk", Answer: "ack is true, but nothing is acknowledged: the token has no useACK", Fix: fixUseACK}
)

// collect waits until p is settled and gives its result, once.
func (a *acks) collect(ctx context.Context, p *parcel) error {
	// A Write that ends with its deadline counts as one that failed, and
	// nothing has: it comes back a moment before.
	var nearly <-chan time.Time
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		t := time.NewTimer(left - min(left/8, time.Second))
		defer t.Stop()
		nearly = t.C
	}
	select {
	case <-p.settled:
	case <-nearly:
		return agent.After(0, errWaiting)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return agent.After(0, errWaiting)
		}
		return ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.warned {
		p.warned = false
		return agent.Blocked(errNoUseACK)
	}
	delete(a.parcels, p.key)
	return p.err
}

// expect remembers what was received, and sees to it that somebody asks for the acknowledgement.
func (a *acks) expect(key uint64, got outcome) *parcel {
	now := time.Now()
	p := &parcel{key: key, posted: now, result: got.err, settled: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, old := range a.parcels {
		// Nobody came back for it: its events expired, or go in other batches.
		if !old.ended.IsZero() && now.Sub(old.ended) > 2*a.pace.giveUp {
			delete(a.parcels, k)
		}
	}
	a.parcels[key] = p
	ch := a.channels[got.endpoint]
	if got.ackID == nil {
		a.disabled = ch
		a.settleLocked(p, p.result, true)
		return p
	}
	if old := ch.pending[*got.ackID]; old != nil {
		// The receiver began to count anew: it has forgotten the older one.
		a.settleLocked(old, errGivenUp, false)
	}
	ch.pending[*got.ackID] = p
	if !ch.polling {
		ch.polling = true
		a.background(func(ctx context.Context) { a.poll(ctx, ch) })
	}
	return p
}

var errGivenUp = errors.New("received by Splunk and never acknowledged; the events are sent again")

func (a *acks) settleLocked(p *parcel, err error, warn bool) {
	p.err, p.ended, p.warned = err, time.Now(), warn
	close(p.settled)
}

// enabled asks, after Splunk acknowledged nothing, whether it does now. The
// events stay unsent as long as not: each request would be taken and come again.
func (a *acks) enabled(ctx context.Context) error {
	a.mu.Lock()
	ch := a.disabled
	a.mu.Unlock()
	if ch == nil {
		return nil
	}
	if _, err := a.ask(ctx, ch, []int64{unusedID}); err != nil {
		return err
	}
	a.mu.Lock()
	a.disabled = nil
	a.mu.Unlock()
	return nil
}

// unusedID is asked for when nothing is pending: a true for an id in use would be lost.
const unusedID = 1<<31 - 1
