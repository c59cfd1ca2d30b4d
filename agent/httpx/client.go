package httpx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adrian207/siemd/agent"
)

const (
	dialTimeout    = 10 * time.Second
	errorBodyLimit = 64 << 10
	answerBase     = 8 << 20 // what a 2xx answer may have, if the request does not say
)

// Options are what an output tells about its protocol.
type Options struct {
	Header  http.Header    // sent with every request; not changed afterwards
	Secrets []agent.Secret // whatever of Header is secret, and user:password joined; see NewMask
	Strip   []string       // API paths that users copy into the endpoint: removed from its end
	Health  string         // path that answers GET below 400 if a rested endpoint is back; "" for a mere connection
}

// A Client sends requests to the endpoints of a Config. It may be used from
// several goroutines. It follows no redirects and uses no proxies named in the environment.
type Client struct {
	endpoints []*Endpoint
	opt       Options
	gzip      bool
	proxy     *url.URL
	control   func(network, address string) error
	agent     string // User-Agent
	mask      atomic.Pointer[Mask]
	secrets   []agent.Secret // known from the beginning
	log       *slog.Logger

	mu   sync.Mutex // guards the endpoints' state and next
	next int

	probes     sync.WaitGroup
	background func(probe func(context.Context)) // starts one of them
	stop       context.CancelFunc                // ends them
}

// New makes a client. It opens no connection; it reads the files that cfg names.
func New(cfg Config, env agent.Env, opt Options) (*Client, error) {
	c := &Client{opt: opt, gzip: cfg.Compression == "gzip", control: env.Control, log: env.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	version := env.Version
	if version == "" {
		version = "dev"
	}
	c.agent = "siemd/" + version
	secrets := opt.Secrets
	if !cfg.Proxy.IsZero() {
		u, err := parseProxy(cfg.Proxy.Reveal())
		if err != nil {
			return nil, err
		}
		c.proxy = u
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets[:len(secrets):len(secrets)], agent.NewSecret(password), agent.NewSecret(u.User.Username()+":"+password))
		}
	}
	for _, text := range cfg.Endpoint {
		u, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		for _, s := range opt.Strip {
			if p, ok := strings.CutSuffix(strings.TrimRight(u.Path, "/"), s); ok {
				u.Path, u.RawPath = p, ""
				break
			}
		}
		// Functions in query strings are keys in practice.
		for _, values := range u.Query() {
			for _, v := range values {
				if len(v) >= 8 {
					secrets = append(secrets[:len(secrets):len(secrets)], agent.NewSecret(v))
				}
			}
		}
		ep, err := c.newEndpoint(u, cfg.TLS)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, ep)
	}
	if len(c.endpoints) == 0 {
		return nil, &agent.KeyError{Key: "endpoint", Message: "no endpoint is given"}
	}
	c.secrets = secrets
	c.mask.Store(NewMask(secrets...))
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.background = func(probe func(context.Context)) { c.probes.Go(func() { probe(ctx) }) }
	return c, nil
}

// Endpoints lists the endpoints in the order of the config.
func (c *Client) Endpoints() []*Endpoint { return c.endpoints }

// Mask is what is applied to answers; outputs apply it to texts of their own making.
func (c *Client) Mask() *Mask { return c.mask.Load() }

// AlsoMask adds secrets that are known only now, such as a token that was
// fetched, in place of those that the last call added.
func (c *Client) AlsoMask(secrets ...agent.Secret) {
	c.mask.Store(NewMask(append(slices.Clip(c.secrets), secrets...)...))
}

// Close ends what runs in the background and closes idle connections. It is
// called after the last Do has returned.
func (c *Client) Close() {
	c.stop()
	c.probes.Wait()
	for _, ep := range c.endpoints {
		ep.transport.CloseIdleConnections()
	}
}

// A Request is one call of a target's API.
type Request struct {
	Method   string                      // default POST
	Path     string                      // appended to the endpoint's own; may have a query
	Header   http.Header                 // beside those of Options
	HeaderOf func(*Endpoint) http.Header // and those of the endpoint that is chosen; may be nil
	Body     []byte                      // read until Do returns
	Limit    int64                       // of a 2xx answer, in bytes; default 8 MiB
	Brief    bool                        // 64 KiB of a 2xx answer are enough, the rest is not read
	Endpoint *Endpoint                   // only this one; default: balanced over all healthy ones
}

// Do sends r and reads the answer. An error means that there was none, and
// has its word: Blocked for TLS, After(0) if the time ran out but another
// endpoint is healthy, else none. Requests that fail without an answer are
// tried at each endpoint; whether a target took the events of a failed request
// cannot be known. The caller looks at the status, calls Good or one of
// Err, Blame if it lies with the endpoint, and then Release.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	body := r.Body
	compressed := c.gzip && len(body) > 0
	if compressed {
		buf := deflate(body)
		defer recycle(buf)
		body = buf.Bytes()
	}
	var tried []*Endpoint
	for {
		ep := r.Endpoint
		if ep == nil {
			ep = c.pick(tried)
		}
		resp, err := ep.do(ctx, r, body, compressed)
		if err == nil {
			return resp, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, err // the caller gave up; that is nobody's fault
		}
		if err = ep.blame(err, 0); ctx.Err() != nil {
			return nil, err
		}
		tried = append(tried, ep)
		if r.Endpoint != nil || len(tried) == len(c.endpoints) {
			return nil, err
		}
	}
}

// do makes one attempt.
func (ep *Endpoint) do(ctx context.Context, r *Request, body []byte, compressed bool) (*Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	sent := &source{data: body}
	// The bytes are the caller's, so nobody may read them after the return.
	// Cancelled, the transport closes the body.
	defer func() { cancel(); sent.open.Wait() }()

	req, err := ep.request(ctx, r, sent, compressed)
	if err != nil {
		return nil, err
	}
	ep.flight(1)
	defer ep.flight(-1)
	resp, err := ep.transport.RoundTrip(req)
	if err != nil {
		return nil, ep.fault("", ep.severed(ctx, err))
	}
	defer resp.Body.Close()
	ep.jar.set(req.URL, resp.Cookies())
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the connection, which no context ends and nobody asked for.
		return &Response{Status: resp.StatusCode, Header: resp.Header, Endpoint: ep}, nil
	}

	ok := resp.StatusCode >= 200 && resp.StatusCode < 300
	limit := int64(errorBodyLimit)
	if ok && !r.Brief {
		if limit = r.Limit; limit == 0 {
			limit = answerBase
		}
	}
	buf := buffers.Get().(*bytes.Buffer)
	n, err := buf.ReadFrom(io.LimitReader(&answer{resp: resp}, limit+1))
	out := &Response{Status: resp.StatusCode, Header: resp.Header, Endpoint: ep}
	out.release = func() { recycle(buf) }
	switch {
	case ok && n > limit && !r.Brief:
		out.Release()
		return nil, ep.fault("", fmt.Errorf("the answer is longer than %s", agent.Bytes(limit)))
	case ok && err != nil && !r.Brief:
		// What the target did is not known. An answer cut short is none.
		out.Release()
		return nil, ep.fault("read the answer: ", err)
	case n > limit || err != nil:
		out.Truncated = true
	}
	// A byte order mark does not belong into JSON, and some servers write one.
	out.Body = bytes.TrimPrefix(buf.Bytes()[:min(n, limit)], []byte("\ufeff"))
	return out, nil
}

func (ep *Endpoint) request(ctx context.Context, r *Request, sent *source, compressed bool) (*http.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, ep.join(r.Path), nil)
	if err != nil {
		return nil, ep.fault("", errors.New("the path does not make a URL"))
	}
	for k, v := range ep.client.opt.Header {
		req.Header[k] = v
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if r.HeaderOf != nil {
		for k, v := range r.HeaderOf(ep) {
			req.Header[k] = v
		}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	req.Header.Set("User-Agent", ep.client.agent)
	if compressed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	for _, cookie := range ep.jar.get(req.URL) {
		req.AddCookie(cookie)
	}
	if len(sent.data) > 0 {
		req.ContentLength = int64(len(sent.data))
		req.GetBody = sent.reader
		req.Body, _ = sent.reader()
	}
	return req, nil
}

// join is the URL of path at this endpoint; the endpoint's query comes first.
func (ep *Endpoint) join(path string) string {
	u := *ep.url
	path, query, _ := strings.Cut(path, "?")
	if path != "" {
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
		base := (&url.URL{Path: u.Path, RawPath: u.RawPath}).EscapedPath()
		if p, err := url.PathUnescape(base + path); err == nil {
			u.Path, u.RawPath = p, base+path
		}
	}
	if query != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += query
	}
	return u.String()
}
