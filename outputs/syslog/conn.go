package syslog

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/adrian207/siemd/agent/httpx"
)

// A conn is one TCP connection, plain or under TLS, that knows how many of its
// bytes the peer's TCP has acknowledged. Positions count bytes of TCP: under
// TLS they include its overhead.
type conn struct {
	net.Conn // what frames are written to: raw, or a *tls.Conn above it
	raw      *counted
	control  syscall.RawConn
	endpoint string
	broken   chan struct{} // closed when the connection is over
	watched  chan struct{} // closed when the watching goroutine has ended

	mu       sync.Mutex // guards the rest
	err      error      // why it is over
	cut      error      // a write has failed, and what the peer said before may be read still
	high     int64      // the acknowledged position, as last seen; final once err is set
	progress time.Time  // when high last grew, or nothing was under way
}

// counted counts the bytes that the kernel has taken. The count may lag behind
// while a write is going on, so that written - outq never says too much.
type counted struct {
	*net.TCPConn
	written atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

func newConn(raw *counted, endpoint string) (*conn, error) {
	control, err := raw.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &conn{
		Conn: raw, raw: raw, control: control, endpoint: endpoint,
		broken: make(chan struct{}), watched: make(chan struct{}), progress: time.Now(),
	}, nil
}

// watch reads until the connection ends. Receivers of syslog say nothing, so
// that the end is all there is to hear, and it is heard before the next write.
func (c *conn) watch() {
	defer close(c.watched)
	buf := make([]byte, 512)
	for {
		if _, err := c.Read(buf); err != nil {
			c.fail(c.ending(err))
			return
		}
	}
}

// ending is err, the end of what can be read, or what the peer's TCP has to say
// about it: a program that says farewell in TLS and closes its socket with
// frames in it that it never read has the connection reset right behind its farewell.
func (c *conn) ending(err error) error {
	if c.Conn == net.Conn(c.raw) || !errors.Is(err, io.EOF) {
		return err
	}
	if err := c.raw.SetReadDeadline(time.Now().Add(goodbye)); err != nil {
		return err
	}
	if _, err = c.raw.TCPConn.Read(make([]byte, 1)); err == nil {
		return errors.New("more came after the end of TLS")
	}
	return err
}

// fail ends the connection for the reason err, unless it is over already.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.ackedLocked() // the last chance to ask: a closed socket does not answer
	if c.cut != nil && !httpx.IsTLS(err) {
		err = c.cut // were it an end in good order, nothing would be left to write to
	}
	c.err = err
	close(c.broken)
	c.raw.TCPConn.Close()
}

// writeFailed ends the connection for the reason err, or for that of an alert
// which the peer has sent and nobody has read yet: in TLS 1.3 a receiver refuses
// a client certificate when frames are on their way already.
func (c *conn) writeFailed(err error) {
	if c.Conn != net.Conn(c.raw) && httpx.Severed(err) {
		c.mu.Lock()
		c.cut = err
		c.mu.Unlock()
		patience := time.NewTimer(time.Second) // what was said is here already
		defer patience.Stop()
		select {
		case <-c.watched:
		case <-patience.C:
		}
	}
	c.fail(err)
}

// acked is the position up to which the peer's TCP has acknowledged.
func (c *conn) acked() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.ackedLocked()
	}
	return c.high
}

func (c *conn) ackedLocked() {
	written := c.raw.written.Load() // before asking, so that what is written meanwhile cannot count
	queued, err := outq(c.control)
	if err != nil {
		return
	}
	if at := written - queued; at > c.high {
		c.high = at
		c.progress = time.Now()
	} else if queued == 0 {
		c.progress = time.Now()
	}
}

// stuckSince reports whether bytes are under way and none was acknowledged since t.
func (c *conn) stuckSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.ackedLocked()
	return c.progress.Before(t)
}

// reason is why the connection is over, in words, or nil.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err == nil:
		return nil
	case errors.Is(c.err, io.EOF):
		return fmt.Errorf("%s closed the connection: %w", c.endpoint, c.err)
	}
	return fmt.Errorf("connection to %s: %w", c.endpoint, c.err)
}

// orderly reports whether the peer closed the connection in good order: a TCP
// that still held unread bytes would have reset it.
func (c *conn) orderly() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Is(c.err, io.EOF) && !errors.Is(c.err, io.ErrUnexpectedEOF)
}
