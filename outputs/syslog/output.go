// Package syslog sends events to syslog receivers over UDP, TCP and TLS: as
// RFC 5424 or RFC 3164 messages (kind syslog), or with CEF or LEEF in them
// (kinds cef and leef).
//
// Syslog has no acknowledgement. Over TCP and TLS an event counts as sent when
// the peer's TCP has acknowledged its bytes, which Linux tells; what the peer's
// program had not read when a connection broke is sent again from a window of
// the last megabyte, which outlives a stop of the agent in a file. So events
// repeat rather than vanish, unless a receiver loses more than the window, or
// dies with unread data at the same time as the agent. Elsewhere than on Linux an event counts as sent
// when the kernel has taken it, and the window is the only protection.
package syslog

import (
	"context"
	"net"

	"github.com/adrian207/siemd/agent"
)

// An output is agent.Output, Encoder, Prober and Closer.
type output struct {
	codec     agent.Encoder
	framing   framing
	endpoints []string
	dialer    *dialer
	stream    *stream    // nil for UDP
	udp       *datagrams // nil for TCP and TLS
}

// A framing is how one message is told from the next.
type framing uint8

const (
	bare    framing = iota // datagrams
	octet                  // "LENGTH MESSAGE"
	newline                // "MESSAGE\n"
)

// newOutput makes the transport for messages of codec.
func newOutput(c Config, codec agent.Encoder, env agent.Env) (*output, error) {
	o := &output{codec: codec}
	for _, e := range c.Endpoint {
		address, err := c.address(e)
		if err != nil {
			return nil, err
		}
		o.endpoints = append(o.endpoints, address)
	}
	if c.Transport == "udp" {
		o.udp = &datagrams{endpoints: o.endpoints, control: env.Control, lookup: net.DefaultResolver.LookupHost}
		return o, nil
	}
	o.framing = octet
	if c.Framing == "newline" {
		o.framing = newline
	}
	o.dialer = &dialer{endpoints: o.endpoints, secure: c.Transport == "tls", tls: c.TLS, control: env.Control, patience: patience}
	if o.dialer.secure {
		// Unreadable files are an error of the config, to be told now.
		if _, _, err := o.dialer.config(o.endpoints[0]); err != nil {
			return nil, err
		}
		if !c.TLS.Verify {
			env.Log.Warn("tls.verify is false: anybody can pose as the receiver")
		}
	}
	kept := newTailFile(env.DataDir, env.Name, o.framing, o.endpoints)
	o.stream = newStream(o.dialer, int(c.ResendWindow), kept, env.Log, env.Counter("resent_events_total"))
	return o, nil
}

// Encode appends what goes over the wire for e, the frame included.
func (o *output) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	switch o.framing {
	case octet:
		return appendCounted(dst, o.codec, e)
	case newline:
		return appendLine(dst, o.codec, e)
	}
	return o.codec.Encode(dst, e)
}

// Write delivers the events. If a connection breaks in the middle, those whose
// bytes were acknowledged count as delivered and the others come back in a PartialError.
func (o *output) Write(ctx context.Context, events []agent.Event) error {
	r := results{n: len(events)}
	wire := func(i int) []byte {
		if events[i].Wire != nil {
			return events[i].Wire
		}
		b, err := o.Encode(nil, &events[i])
		if err != nil {
			r.failed = append(r.failed, agent.EventError{Index: i, Err: agent.Permanent(err)})
		}
		return b
	}
	if o.udp != nil {
		return r.end(o.udp.send(ctx, len(events), wire, &r))
	}
	var frames cut
	for i := range events {
		if frame := wire(i); len(frame) > 0 {
			frames.add(i, frame)
		}
	}
	if len(frames.pieces) == 0 {
		return r.end(len(events), nil)
	}
	next, err := o.stream.write(ctx, frames)
	if err == nil {
		next = len(events)
	}
	return r.end(next, err)
}

// Close says goodbye to the receiver, within ctx.
func (o *output) Close(ctx context.Context) error {
	if o.udp != nil {
		return o.udp.close()
	}
	return o.stream.close(ctx)
}

// results collects what became of the events of one Write.
type results struct {
	n      int
	failed []agent.EventError // those with an error of their own, rising
}

// end says that of the events without an error of their own those below next
// were delivered and the others not, because of err.
func (r *results) end(next int, err error) error {
	if err == nil && len(r.failed) == 0 {
		return nil
	}
	if err != nil && next == 0 && len(r.failed) == 0 {
		return err // the whole batch, and err's word with it
	}
	var all []agent.EventError
	own := r.failed
	for i := range r.n {
		switch {
		case len(own) > 0 && own[0].Index == i:
			all = append(all, own[0])
			own = own[1:]
		case i >= next && err != nil:
			all = append(all, agent.EventError{Index: i, Err: err})
		}
	}
	if all == nil {
		return nil
	}
	return &agent.PartialError{Failed: all}
}
