package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// In TLS 1.3 a server looks at the client's certificate when the client is
// through with the handshake and sends already. If it refuses the certificate it
// says why, in an alert, and closes; but a write may fail before that alert is
// read, and then a broken pipe is all that one would hear.

// alertPatience is how long a failed write waits for what the server said. What
// it said is here already when the write fails.
const alertPatience = time.Second

// A judged connection tells why it was refused also where it is written to. It
// must be read from all the time.
type judged struct {
	*tls.Conn
	once  sync.Once
	ended chan struct{} // closed when nothing more is read
	err   error         // why, then; nil if it was closed here
}

func (c *judged) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end(err)
	}
	return n, err
}

func (c *judged) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !Severed(err) && !errors.Is(err, net.ErrClosed) { // the transport closes it for what it reads
		return n, err
	}
	patience := time.NewTimer(alertPatience)
	defer patience.Stop()
	select {
	case <-c.ended:
		if IsTLS(c.err) {
			return n, c.err
		}
	case <-patience.C:
	}
	return n, err
}

func (c *judged) Close() error {
	c.end(nil)
	return c.Conn.Close()
}

func (c *judged) end(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.ended)
	})
}

// Severed reports whether err, from a write, says only that the peer has cut
// the connection: what it said before that can still be read.
func Severed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// dialTLS is the transport's way to an endpoint without a proxy.
func (ep *Endpoint) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	raw, err := ep.client.dialer().DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn := tls.Client(raw, ep.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return sender{&judged{Conn: conn, ended: make(chan struct{})}}, nil
}

// severed is err, from a request, or what stands behind it. Behind a proxy the
// connection is the transport's own, and a write that fails while a request is
// sent hides what the server said. One with nothing to send has it from reading.
func (ep *Endpoint) severed(ctx context.Context, err error) error {
	if ep.client.proxy == nil || ep.tls == nil || IsTLS(err) || !Severed(err) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	resp, reason := ep.askRoot(ctx)
	if reason == nil {
		resp.Body.Close()
	} else if IsTLS(reason) {
		return reason
	}
	return err
}
