package elastic

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
	"github.com/adrian207/siemd/codecs/ecs"
	"github.com/adrian207/siemd/codecs/fields"
)

func init() {
	agent.RegisterOutput("elastic", Defaults, func(c Config, env agent.Env) (agent.Output, error) { return New(c, env) })
}

// Answers are kept small: of an item only what a verdict needs. With the
// status in it each item stays, so that places do not shift.
const bulkPath = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,items.*.failure_store"

// Output posts events to _bulk. It is an agent.Encoder, Prober and Closer.
type Output struct {
	config       Config
	target       string
	client       *httpx.Client
	codec        *ecs.Codec
	log          *slog.Logger
	duplicates   *metrics.Counter
	failureStore *metrics.Counter
	diverted     atomic.Bool // said in the log that the failure store is used
}

// New makes an output of a valid config. It opens no connection.
func New(c Config, env agent.Env) (*Output, error) {
	c, err := c.resolved()
	if err != nil {
		return nil, err
	}
	c.app = env.Identity.App
	codec, err := c.codec(env.Identity, fields.ShowRepairs(env))
	if err != nil {
		return nil, err
	}
	client, err := c.client(env)
	if err != nil {
		return nil, err
	}
	return &Output{
		config: c, target: c.target(env.Identity), client: client, codec: codec, log: env.Log,
		duplicates: env.Counter("duplicates_total"), failureStore: env.Counter("failure_store_total"),
	}, nil
}

// Encode appends e's action and document.
func (o *Output) Encode(dst []byte, e *agent.Event) ([]byte, error) { return o.codec.Encode(dst, e) }

// Write posts the events' wire forms in one request.
func (o *Output) Write(ctx context.Context, events []agent.Event) error {
	body := agent.JoinWire(nil, events)
	resp, err := o.client.Do(ctx, &httpx.Request{Path: bulkPath, Body: body, Limit: 8<<20 + int64(len(events))<<11})
	if err != nil {
		return err
	}
	defer resp.Release()
	if resp.Status < 200 || resp.Status > 299 {
		return whole(resp)
	}
	if c, ok := allTaken(resp.Body, len(events), o.config.Op); ok {
		resp.Good()
		o.count(c)
		return nil
	}
	items, ok := parse(resp.Body)
	switch {
	case !ok:
		return resp.Blame(resp.Odd("not an answer of the bulk interface"))
	case len(items) != len(events):
		return resp.Blame(resp.Odd("the answer is about %d events, the request had %d", len(items), len(events)))
	}
	resp.Good()
	c, err := settle(resp, items, o.config.Op)
	o.count(c)
	return err
}

func (o *Output) count(c counts) {
	o.duplicates.Add(c.duplicates)
	if c.failureStore > 0 {
		o.failureStore.Add(c.failureStore)
		if !o.diverted.Swap(true) {
			o.log.Warn("the target's mapping refuses events, which it keeps in its failure store; they count as sent", "target", o.target, "events", c.failureStore)
		}
	}
}

// Close closes the connections.
func (o *Output) Close(context.Context) error {
	o.client.Close()
	return nil
}
