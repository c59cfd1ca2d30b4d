package httpx

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/adrian207/siemd/agent"
)

// newEndpoint makes the endpoint's own pool, TLS config and cookies.
func (c *Client) newEndpoint(u *url.URL, t TLS) (*Endpoint, error) {
	ep := &Endpoint{client: c, url: u, label: label(u), jar: newJar()}
	ep.transport = &http.Transport{
		DialContext:            c.dial,
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second, // below what servers and balancers usually allow
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        8 << 10, // for headers: bodies do not go through it, but to a proxy in TLS
		ReadBufferSize:         16 << 10,
		Protocols:              new(http.Protocols),
	}
	ep.transport.Protocols.SetHTTP1(true) // one body after the other: HTTP/2's flow control only costs
	if c.proxy != nil {
		ep.transport.WriteBufferSize = 64 << 10
		ep.transport.Proxy = http.ProxyURL(c.proxy)
		ep.transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusProxyAuthRequired {
				return agent.Blocked(errors.New("the proxy wants other credentials (407)"))
			}
			return nil
		}
	}
	if u.Scheme == "https" {
		cfg, err := t.Build(u.Hostname())
		if err != nil {
			return nil, err
		}
		ep.tls, ep.transport.TLSClientConfig, ep.transport.DialTLSContext = cfg, cfg, ep.dialTLS
	}
	return ep, nil
}

func (c *Client) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: dialTimeout}
	if c.control != nil {
		d.Control = func(network, address string, _ syscall.RawConn) error { return c.control(network, address) }
	}
	return d
}
