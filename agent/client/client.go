// Package client speaks to a running siemd over its socket or its API address.
// The siemd command is built on it.
//
//	c := client.Socket("/var/lib/siemd/siemd.sock")
//	var st map[string]any
//	err := c.Get(ctx, "/api/v1/siem/status", &st)
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Client is a connection to one agent. It may be used from several goroutines.
type Client struct {
	http  *http.Client
	base  string
	token string
	where string // for messages
}

// ErrUnreachable says that no agent answers.
var ErrUnreachable = errors.New("no agent answers")

// An Error is an answer that is not 2xx: RFC 9457's title and detail.
type Error struct {
	Status  int       `json:"status"`
	Title   string    `json:"title"`
	Detail  string    `json:"detail"`
	Errors  []Mistake `json:"errors,omitempty"`
	Pending uint64    `json:"pending_events,omitempty"` // events that would be lost
	File    string    `json:"file,omitempty"`           // the config file that has the last word
	Line    int       `json:"line,omitempty"`
}

// A Mistake is one thing that is wrong with a request (Pointer) or with a config file.
type Mistake struct {
	Pointer string `json:"pointer,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Width   int    `json:"width,omitempty"`
	Source  string `json:"source,omitempty"` // the line, without secrets
	Caret   int    `json:"caret,omitempty"`  // from 1, the place in Source
	Warning bool   `json:"warning,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Title
	}
	return e.Title + ": " + e.Detail
}

// Socket is a client over the unix socket at path, which needs no token.
func Socket(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialUnix(ctx, path) }
	return newClient(&http.Transport{DialContext: dial}, "http://siemd", "", path)
}

// Address is a client over the API address base, such as http://127.0.0.1:8000.
// conf, which may be nil, is for https: the authorities to trust, and the certificate to show.
func Address(base, token string, conf *tls.Config) *Client {
	return newClient(&http.Transport{TLSClientConfig: conf}, strings.TrimSuffix(base, "/"), token, base)
}

func newClient(t *http.Transport, base, token, where string) *Client {
	// The agent sends nobody elsewhere; whoever does is not to get the token.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{http: &http.Client{Transport: t, CheckRedirect: stay}, base: base, token: token, where: where}
}

// maxSocketPath is what a unix socket's address can hold.
const maxSocketPath = 107

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	if len(path) <= maxSocketPath {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path)) // a long path is reached through its directory
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// Close ends connections that wait for further requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get asks for path and decodes the JSON answer into out, which may be nil.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in as JSON, which may be nil, and decodes the answer into out, which may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.Do(ctx, http.MethodPost, path, in, out)
}

// PostOnce is Post for a request that may be sent again with the same key, as
// after an answer that was lost: it is done once, and answered each time. Export
// and the making of connections take a key.
func (c *Client) PostOnce(ctx context.Context, key, path string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, key, in, out)
}

// Do makes one request. The error is *Error for an answer that is not 2xx, and
// wraps ErrUnreachable and the cause if there is no answer.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.do(ctx, method, path, "", in, out)
}

func (c *Client) do(ctx context.Context, method, path, key string, in, out any) error {
	resp, err := c.open(ctx, method, path, key, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the agent's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// Open is Do for an answer that the caller reads, and closes.
func (c *Client) Open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	return c.open(ctx, method, path, "", in)
}

func (c *Client) open(ctx context.Context, method, path, key string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.where, errors.Unwrap(err))
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{Status: resp.StatusCode, Title: resp.Status}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	_ = json.Unmarshal(data, e) // else the status line says it
	return nil, e
}
