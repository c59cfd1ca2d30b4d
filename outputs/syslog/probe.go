package syslog

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Probe checks the way to every endpoint: name, TCP, TLS, and whether the
// receiver keeps the connection. It sends no event. The error is that of the
// first endpoint that failed; nil if all are well.
func (o *output) Probe(ctx context.Context, report func(agent.Step)) error {
	var first error
	for _, endpoint := range o.endpoints {
		tell := report
		if len(o.endpoints) > 1 {
			tell = func(s agent.Step) {
				s.Detail = endpoint + ": " + s.Detail
				report(s)
			}
		}
		var err error
		if o.udp != nil {
			err = probeUDP(ctx, endpoint, tell)
		} else {
			err = o.dialer.probe(ctx, endpoint, tell)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func probeUDP(ctx context.Context, endpoint string, report func(agent.Step)) error {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		report(agent.Step{Name: "dns", Detail: host, Err: err, Fix: "check the spelling of the name and the resolver of this machine"})
		return err
	}
	report(agent.Step{Name: "dns", Detail: fmt.Sprintf("%s is %v", host, addresses)})
	report(agent.Step{Name: "udp", Detail: "UDP gives no answer: whether anybody listens cannot be checked, and delivery is best effort"})
	return nil
}

func (d *dialer) probe(ctx context.Context, endpoint string, report func(agent.Step)) error {
	path := httpx.Path{Address: endpoint, Dialer: d.network()}
	var s *session
	if d.secure {
		var err error
		if path.TLS, s, err = d.config(endpoint); err != nil {
			report(agent.Step{Name: "tls", Detail: endpoint, Err: err, Fix: "check the files that tls names"})
			return err
		}
	}
	top, err := path.Probe(ctx, report)
	if err != nil {
		return err
	}
	raw := top
	if t, ok := top.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	c, err := newConn(&counted{TCPConn: raw.(*net.TCPConn)}, endpoint)
	if err != nil {
		top.Close()
		return err
	}
	c.Conn = top
	err = welcome(ctx, c, s)
	c.fail(errClosed)
	<-c.watched

	// What came of it belongs to a step of its own: before, all was well.
	step := agent.Step{Name: "auth", Detail: "the receiver keeps the connection", Err: err}
	if s.judged(c) {
		step.Detail = "the receiver takes our client certificate"
	}
	switch {
	case err == nil:
	case httpx.IsTLS(err):
		step.Fix = httpx.TLSFix(err)
	default:
		step.Fix = "the receiver closes the connection at once: look at its log, at its list of allowed senders, and whether it expects TLS"
	}
	report(step)
	return err
}
