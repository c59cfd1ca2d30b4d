package http

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

func init() {
	agent.RegisterOutput("http", Defaults, func(c Config, env agent.Env) (agent.Output, error) { return New(c, env) })
}

// Output posts events. It is an agent.Encoder, Prober and Closer.
type Output struct {
	config  Config
	client  *httpx.Client
	tokens  *tokens // nil without oauth2
	masked  atomic.Pointer[agent.Secret]
	renewed atomic.Bool // the last refusal of a token was answered by fetching a new one
}

// New makes an output of a valid config. It opens no connection.
func New(c Config, env agent.Env) (*Output, error) {
	client, err := c.client(env)
	if err != nil {
		return nil, err
	}
	o := &Output{config: c, client: client}
	if c.Auth.Type == "oauth2" {
		if o.tokens, err = newTokens(c, env); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Encode appends e's body and what separates it from the next one.
func (o *Output) Encode(dst []byte, e *agent.Event) ([]byte, error) {
	dst = append(dst, e.Body...)
	if o.config.Format == "array" {
		return append(dst, ','), nil
	}
	return append(dst, '\n'), nil
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Write sends the events' wire forms in one request.
func (o *Output) Write(ctx context.Context, events []agent.Event) error {
	var body []byte
	if o.config.Format == "array" {
		buf := bodies.Get().(*bytes.Buffer)
		defer func() {
			if buf.Cap() <= 8<<20 {
				buf.Reset()
				bodies.Put(buf)
			}
		}()
		buf.WriteByte('[')
		for i := range events {
			buf.Write(events[i].Wire)
		}
		buf.Truncate(buf.Len() - 1) // the last comma
		buf.WriteByte(']')
		body = buf.Bytes()
	} else {
		body = agent.JoinWire(nil, events)
	}
	r := &httpx.Request{Method: o.config.Method, Body: body, Brief: true}
	var access agent.Secret
	if o.tokens != nil {
		var err error
		if access, err = o.authorize(ctx, r); err != nil {
			return err
		}
	}
	resp, err := o.client.Do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Release()
	if resp.Status == http.StatusUnauthorized && o.tokens != nil {
		// Once for each token: if a fresh one is refused too, a person must look.
		if current := o.tokens.drop(access); !current || !o.renewed.Swap(true) {
			return agent.After(0, errStale)
		}
	}
	return o.judge(resp)
}

func (o *Output) authorize(ctx context.Context, r *httpx.Request) (agent.Secret, error) {
	access, err := o.tokens.get(ctx)
	if err != nil {
		return access, err
	}
	if last := o.masked.Load(); last == nil || *last != access {
		secrets := []agent.Secret{access}
		if last != nil {
			secrets = append(secrets, *last) // requests with the old one may be under way
		}
		o.client.AlsoMask(secrets...)
		o.masked.Store(&access)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + access.Reveal()}}
	return access, nil
}

// judge turns a status into what Write returns.
func (o *Output) judge(resp *httpx.Response) error {
	is := o.config.Status
	ok := resp.Status >= 200 && resp.Status < 300
	if len(is.OK) > 0 {
		ok = slices.Contains(is.OK, resp.Status)
	}
	retried := func(err error) error {
		if wait := resp.Wait(); wait > 0 {
			err = agent.After(wait, err)
		}
		return resp.Blame(err)
	}
	switch {
	case slices.Contains(is.Refused, resp.Status):
		return agent.Permanent(resp.Answer())
	case slices.Contains(is.Held, resp.Status):
		return resp.Blame(agent.Blocked(resp.Answer()))
	case slices.Contains(is.Retry, resp.Status):
		return retried(resp.Answer())
	case ok && isPage(resp.Body):
		return retried(resp.Odd("a web page for people, perhaps the login of a proxy"))
	case ok:
		resp.Good()
		o.renewed.Store(false)
		return nil
	case resp.Status < 300:
		return retried(resp.Odd("success of another kind than status.ok lists"))
	}
	return resp.Err()
}

// isPage reports whether body is an HTML document.
func isPage(body []byte) bool {
	start := bytes.ToLower(bytes.TrimLeft(body[:min(len(body), 256)], " \t\r\n\ufeff"))
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// Close closes the connections.
func (o *Output) Close(context.Context) error {
	o.client.Close()
	if o.tokens != nil {
		o.tokens.client.Close()
	}
	return nil
}
