package splunk

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
	"github.com/adrian207/siemd/codecs/fields"
	"github.com/adrian207/siemd/codecs/hec"
)

func init() {
	agent.RegisterOutput("splunk", Defaults, func(c Config, env agent.Env) (agent.Output, error) { return New(c, env) })
}

// slowDown is how long a Write takes longer when the receiver says that its queue is nearly full.
const slowDown = 500 * time.Millisecond

// Output posts events to HEC. It is an agent.Encoder, Prober and Closer.
type Output struct {
	config Config
	client *httpx.Client
	codec  *hec.Codec
	path   string
	acks   *acks // nil without indexer acknowledgement
	raw    http.Header
}

// New makes an output of a valid config. It opens no connection.
func New(c Config, env agent.Env) (*Output, error) {
	codec, err := c.codec(env.Identity, fields.ShowRepairs(env))
	if err != nil {
		return nil, err
	}
	client, err := c.client(env)
	if err != nil {
		return nil, err
	}
	o := &Output{config: c, client: client, codec: codec, path: c.path(env.Identity)}
	env.Histogram("ack_seconds") // there, and empty, without acknowledgements too
	switch {
	case c.Ack:
		o.acks = newAcks(client, env)
	case c.Mode == "raw":
		// Older releases want a channel for raw data, acknowledged or not.
		o.raw = http.Header{channelHeader: {newGUID()}}
	}
	return o, nil
}

var errEmpty = agent.Permanent(errors.New("the event is an empty object, which Splunk refuses"))

// Encode appends e's envelope, or its body in raw mode.
func (o *Output) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	if len(e.Body) < 16 && len(bytes.Trim(e.Body, "{} \t\r\n")) == 0 {
		return dst, errEmpty
	}
	return o.codec.Encode(dst, e)
}

// Write posts the events' wire forms in one request.
func (o *Output) Write(ctx context.Context, events []agent.Event) error {
	body := agent.JoinWire(nil, events)
	if o.acks != nil {
		return o.acks.write(ctx, o, body, events)
	}
	got, err := o.post(ctx, body, len(events), nil)
	if err == nil {
		err = got.err
	}
	return err
}

// An outcome is what came of a request that was answered.
type outcome struct {
	err      error  // for Write; nil if all events were taken
	took     bool   // all of them, or those before a bad one
	ackID    *int64 // under which they will be acknowledged
	endpoint *httpx.Endpoint
}

// post sends one request. An error means that nothing was taken, as far as is known.
func (o *Output) post(ctx context.Context, body []byte, n int, headerOf func(*httpx.Endpoint) http.Header) (outcome, error) {
	resp, err := o.client.Do(ctx, &httpx.Request{Path: o.path, Header: o.raw, HeaderOf: headerOf, Body: body})
	if err != nil {
		return outcome{}, err
	}
	defer resp.Release()
	a := parse(resp.Body)
	v, bad := judge(resp.Status, a, n, len(body), o.routed())
	if v == oneBad && o.config.Mode == "raw" {
		v = refused // it counts lines as Splunk breaks them, which need not be ours
	}
	out := outcome{endpoint: resp.Endpoint, ackID: a.AckID}
	switch v {
	case taken, takenSlow:
		resp.Good()
		out.took = true
		if v == takenSlow {
			pause(ctx, slowDown)
		}
	case oneBad:
		resp.Good()
		out.took = bad > 0
		out.err = failure(resp, a, v, bad, n)
	default:
		return outcome{}, failure(resp, a, v, bad, n)
	}
	return out, nil
}

// routed reports whether events of one batch may go to different indexes.
func (o *Output) routed() bool {
	return bytes.ContainsAny([]byte(o.config.Index), "{%")
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Close ends the polling of acknowledgements and closes the connections.
func (o *Output) Close(context.Context) error {
	if o.acks != nil {
		o.acks.close()
	}
	o.client.Close()
	return nil
}
