package httpx

import (
	"context"
	"io"
	"net"
)

// A sender is a connection that sends a request's body from where it lies:
// net/http would copy it to a buffer first, 32 KiB at a time.
type sender struct{ net.Conn }

// ReadFrom sends all of r. It is what net/http hands a body over to.
func (c sender) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if body, ok := l.R.(*reader); ok && int64(body.Len()) <= l.N {
			n, err := body.WriteTo(c.Conn)
			l.N -= n
			return n, err
		}
	}
	return io.Copy(c.Conn, r)
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := c.dialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return sender{nc}, nil
}
