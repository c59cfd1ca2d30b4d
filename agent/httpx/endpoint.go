package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
)

const (
	firstRest = time.Second
	maxRest   = time.Minute
)

// An Endpoint is one of the URLs that a Client sends to. It has its own
// connections, TLS config and cookies.
type Endpoint struct {
	client    *Client
	url       *url.URL
	label     string
	tls       *tls.Config // nil for http
	transport *http.Transport
	jar       *jar

	// Guarded by client.mu.
	flights  int       // requests under way
	failures int       // since the last success, at most one for each rest
	resting  bool      // gets no requests while others are healthy
	rest     time.Time // when to look whether it is back
	probing  bool
}

// String is the endpoint's URL without its query.
func (ep *Endpoint) String() string { return ep.label }

// Host is the endpoint's host, without port.
func (ep *Endpoint) Host() string { return ep.url.Hostname() }

// Resting reports whether the endpoint gets no requests while others are
// healthy. It comes back by a request to Options.Health, whose cookies are kept.
func (ep *Endpoint) Resting() bool {
	ep.client.mu.Lock()
	defer ep.client.mu.Unlock()
	return ep.resting
}

// pick chooses the healthy endpoint with the fewest requests under way, in
// turn among equals. If none is healthy it is the one that has rested longest:
// the caller's own backoff guards those. Endpoints in tried come last.
func (c *Client) pick(tried []*Endpoint) *Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	now := time.Now()
	var best *Endpoint
	better := func(a, b *Endpoint) bool {
		switch at, bt := slices.Contains(tried, a), slices.Contains(tried, b); {
		case at != bt:
			return bt
		case a.resting != b.resting:
			return b.resting
		case !a.resting:
			return a.flights < b.flights
		}
		return a.rest.Before(b.rest)
	}
	for i := range c.endpoints {
		ep := c.endpoints[(c.next+i)%len(c.endpoints)]
		if best == nil || better(ep, best) {
			best = ep
		}
	}
	if !best.resting {
		for _, ep := range c.endpoints {
			if ep.resting && !ep.probing && now.After(ep.rest) {
				ep.probing = true
				c.background(ep.probe)
			}
		}
	}
	return best
}

// flight counts requests under way.
func (ep *Endpoint) flight(n int) {
	ep.client.mu.Lock()
	defer ep.client.mu.Unlock()
	ep.flights += n
}

// blame rests the endpoint, at least for wait. The result is err, or, if
// another endpoint is healthy, err with the word to send the same at once.
func (ep *Endpoint) blame(err error, wait time.Duration) error {
	c := ep.client
	if len(c.endpoints) == 1 {
		return err
	}
	c.mu.Lock()
	first := ep.failures == 0
	ep.restLocked(time.Now(), wait)
	other := slices.ContainsFunc(c.endpoints, func(e *Endpoint) bool { return !e.resting })
	c.mu.Unlock()
	if first {
		c.log.Warn("endpoint is rested", "endpoint", ep.label, "err", err)
	}
	if !other {
		return err
	}
	if f := new(fault); errors.As(err, &f) {
		// Nobody is to see a deadline in it: this one says nothing about how much the others take.
		err = &fault{text: f.text}
	}
	return agent.After(0, err)
}

// restLocked doubles the rest, once for all requests that fail together.
func (ep *Endpoint) restLocked(now time.Time, wait time.Duration) {
	if ep.resting && now.Before(ep.rest) {
		return
	}
	pause := min(firstRest<<min(ep.failures, 10), maxRest)
	ep.failures++
	ep.resting, ep.rest = true, now.Add(max(pause, wait))
}

func (ep *Endpoint) good() {
	c := ep.client
	if len(c.endpoints) == 1 {
		return
	}
	c.mu.Lock()
	back := ep.failures > 0
	ep.failures, ep.resting = 0, false
	c.mu.Unlock()
	if back {
		c.log.Info("endpoint is back", "endpoint", ep.label)
	}
}

// probe looks whether a rested endpoint is back, so that no events have to
// wait for the answer. It runs beside the requests, with a context of the client.
func (ep *Endpoint) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := ep.alive(ctx)

	c := ep.client
	c.mu.Lock()
	defer c.mu.Unlock()
	ep.probing = false
	if err != nil {
		ep.restLocked(time.Now(), 0)
	} else {
		// Failures stay until it has taken events: what answers the
		// probe and refuses every request rests longer each time.
		ep.resting = false
	}
}

func (ep *Endpoint) alive(ctx context.Context) error {
	path := ep.client.opt.Health
	if path == "" {
		conn, err := ep.dial(ctx)
		if err == nil {
			conn.Close()
		}
		return err
	}
	resp, err := ep.do(ctx, &Request{Method: http.MethodGet, Path: path}, nil, false)
	if err != nil {
		return err
	}
	defer resp.Release()
	if resp.Status >= 400 {
		return resp.Answer()
	}
	return nil
}

// dial makes a bare connection to where requests would go first.
func (ep *Endpoint) dial(ctx context.Context) (net.Conn, error) {
	if p := ep.client.proxy; p != nil {
		return ep.client.dialer().DialContext(ctx, "tcp", address(p))
	}
	if ep.tls != nil {
		d := tls.Dialer{NetDialer: ep.client.dialer(), Config: ep.tls}
		return d.DialContext(ctx, "tcp", address(ep.url))
	}
	return ep.client.dialer().DialContext(ctx, "tcp", address(ep.url))
}

// fault makes an error of a request that got no answer. Its text may quote
// what the peer sent, so it is masked; what is wrapped can be asked for by
// errors.Is, but not printed.
func (ep *Endpoint) fault(what string, err error) error {
	text := what + ep.client.Mask().Answer([]byte(err.Error()), false)
	out := error(&fault{text: fmt.Sprintf("%s: %s", ep.label, text), err: err})
	if IsTLS(err) || agent.IsBlocked(err) {
		return agent.Blocked(out)
	}
	return out
}

type fault struct {
	text string
	err  error
}

func (f *fault) Error() string        { return f.text }
func (f *fault) Is(target error) bool { return f.err != nil && errors.Is(f.err, target) }

// As gives away what is known of a certificate, or said about ours, and nothing else.
func (f *fault) As(target any) bool {
	switch target := target.(type) {
	case **tls.CertificateVerificationError, *x509.UnknownAuthorityError, *x509.HostnameError, *x509.CertificateInvalidError, *tls.RecordHeaderError:
		return f.err != nil && errors.As(f.err, target)
	case **net.OpError:
		var op *net.OpError
		if errors.As(f.err, &op) && op.Op == "remote error" {
			*target = op // a TLS alert: a number, in words
			return true
		}
	}
	return false
}

// Timeout reports whether the time ran out, as in net.Error.
func (f *fault) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(f.err, &t) && t.Timeout()
}
