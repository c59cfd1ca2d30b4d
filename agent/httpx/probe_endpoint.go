package httpx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent"
)

// Probe reports the steps of [Path.Probe] for ep. Behind a proxy these are the
// steps to the proxy, then "proxy", whether it leads to ep, and "tls" with ep.
func (ep *Endpoint) Probe(ctx context.Context, report func(agent.Step)) error {
	proxy := ep.client.proxy
	p := Path{Address: address(ep.url), TLS: ep.tls, Dialer: ep.client.dialer()}
	named := func(s agent.Step) {
		if len(ep.client.endpoints) > 1 || proxy != nil {
			s.Detail = ep.label + ": " + s.Detail
		}
		report(s)
	}
	if proxy == nil {
		conn, err := p.Probe(ctx, named)
		if err != nil {
			return err
		}
		conn.Close() // what the receiver thinks of a connection without a request does not matter
		return nil
	}
	p.Address, p.TLS = address(proxy), nil
	conn, err := p.Probe(ctx, named)
	if err != nil {
		return err
	}
	conn.Close()
	return ep.probeBehind(ctx, named)
}

// askRoot asks for the endpoint's root, without credentials.
func (ep *Endpoint) askRoot(ctx context.Context) (*http.Response, error) {
	root := *ep.url
	root.Path, root.RawPath, root.RawQuery = "/", "", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, root.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", ep.client.agent)
	return ep.transport.RoundTrip(req)
}

// ProbeRoot asks for the endpoint's root, without credentials, and reports a
// step "http": whether HTTP is spoken there, and in TLS 1.3 whether the receiver
// takes our certificate, which it says behind the handshake. Then "clock".
func (ep *Endpoint) ProbeRoot(ctx context.Context, report func(agent.Step)) error {
	start := time.Now()
	step := func(detail string, err error, fix string) error {
		if len(ep.client.endpoints) > 1 {
			detail = ep.label + ": " + detail
		}
		report(agent.Step{Name: "http", Detail: fmt.Sprintf("%s (%s)", detail, time.Since(start).Round(100*time.Microsecond)), Err: err, Fix: fix})
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	resp, err := ep.askRoot(ctx)
	if err != nil {
		fix := "check that the receiver, and any proxy in between, speaks HTTP here"
		if IsTLS(err) {
			fix = TLSFix(err)
		}
		return step("no answer", ep.fault("", err), fix)
	}
	defer resp.Body.Close()
	_ = step("HTTP is spoken there", nil, "")
	(&Response{Header: resp.Header}).Clock(time.Now(), report)
	return nil
}

// probeBehind asks for the endpoint's root, without credentials, through the
// proxy as events take it. What the endpoint says to that does not matter.
func (ep *Endpoint) probeBehind(ctx context.Context, report func(agent.Step)) error {
	start := time.Now()
	step := func(name, detail string, err error, fix string) error {
		report(agent.Step{Name: name, Detail: fmt.Sprintf("%s (%s)", detail, time.Since(start).Round(100*time.Microsecond)), Err: err, Fix: fix})
		return err
	}
	resp, err := ep.askRoot(ctx)
	switch {
	case IsTLS(err):
		_ = step("proxy", "leads to "+address(ep.url), nil, "")
		return step("tls", "handshake with "+ep.tls.ServerName+" behind the proxy", err, TLSFix(err))
	case err != nil:
		return step("proxy", "does not lead to "+address(ep.url), err, "check that the proxy may connect there, and its user and password")
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the answer to HEAD has none
	if resp.StatusCode == http.StatusProxyAuthRequired {
		return step("proxy", "refuses us", fmt.Errorf("the proxy wants other credentials (%d)", resp.StatusCode), "put user and password into the proxy's URL")
	}
	_ = step("proxy", "leads to "+address(ep.url), nil, "")
	if resp.TLS != nil {
		_ = step("tls", describe(*resp.TLS, ep.tls)+", behind the proxy", nil, "")
	}
	return nil
}
