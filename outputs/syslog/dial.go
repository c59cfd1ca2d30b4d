package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// A dialer makes connections to the first endpoint that takes one.
type dialer struct {
	endpoints []string
	secure    bool
	tls       httpx.TLS
	control   func(network, address string) error // Env.Control
	patience  time.Duration                       // how long the peer may leave bytes unacknowledged

	shunned atomic.Pointer[string] // the endpoint whose last connection left bytes unacknowledged: tried last
}

const (
	// dialTimeout bounds each of connecting and the handshake, per endpoint.
	dialTimeout = 10 * time.Second

	// patience is how long a peer may leave bytes unacknowledged before the
	// kernel calls the connection broken, whether anybody waits for it or not.
	patience = 30 * time.Second

	// A new connection is watched for a moment before anything is sent: a
	// receiver that does not want us, or a balancer with nothing behind it,
	// closes it at once, and TCP would still acknowledge what was sent meanwhile.
	grace = 50 * time.Millisecond

	// In TLS 1.3 a server looks at the client's certificate after the client
	// is through with the handshake. Its session ticket says that it was
	// taken; from a server without tickets, silence must do, and long enough
	// for a busy one.
	verdict = 2 * time.Second
)

// dial returns a connection that is being watched. The error is Blocked if
// every endpoint failed for a reason of TLS that only a person can mend.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	order := d.endpoints
	if s := d.shunned.Load(); s != nil && len(order) > 1 {
		if i := slices.Index(order, *s); i >= 0 {
			order = append(slices.Delete(slices.Clone(order), i, i+1), *s)
		}
	}
	var errs []error
	blocked := true
	for _, endpoint := range order {
		c, err := d.dialOne(ctx, endpoint)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
		blocked = blocked && httpx.IsTLS(err)
	}
	err := errs[0]
	if len(errs) > 1 {
		err = errors.Join(errs...)
	}
	if blocked {
		return nil, agent.Blocked(err)
	}
	return nil, err
}

func (d *dialer) dialOne(ctx context.Context, endpoint string) (*conn, error) {
	raw, err := d.tcp(ctx, endpoint)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	c, err := newConn(raw, endpoint)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	var s *session
	if d.secure {
		if c.Conn, s, err = d.handshake(ctx, raw, endpoint); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS with %s: %w", endpoint, err)
		}
	}
	if err := welcome(ctx, c, s); err != nil {
		return nil, err
	}
	return c, nil
}

// welcome begins to watch c and waits until it is likely that the peer keeps it.
func welcome(ctx context.Context, c *conn, s *session) error {
	wait := grace
	var taken chan struct{}
	if s.judged(c) {
		wait, taken = verdict, s.taken
	}
	calm := time.NewTimer(wait)
	defer calm.Stop()
	go c.watch()
	select {
	case <-taken:
		return nil
	case <-calm.C:
		return nil
	case <-c.broken:
	case <-ctx.Done():
		c.fail(ctx.Err())
	}
	<-c.watched
	return c.reason()
}

func (d *dialer) tcp(ctx context.Context, endpoint string) (*counted, error) {
	c, err := d.network().DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return nil, err
	}
	return &counted{TCPConn: c.(*net.TCPConn)}, nil
}

func (d *dialer) network() *net.Dialer {
	return &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(network, address string, c syscall.RawConn) error {
			if d.control != nil {
				if err := d.control(network, address); err != nil {
					return err
				}
			}
			return tune(c, d.patience)
		},
	}
}

// handshake makes the TLS connection above raw.
func (d *dialer) handshake(ctx context.Context, raw net.Conn, endpoint string) (net.Conn, *session, error) {
	config, s, err := d.config(endpoint)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	t := tls.Client(raw, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	return t, s, nil
}

// config is for one handshake; the session tells what the server wanted to know in it.
func (d *dialer) config(endpoint string) (*tls.Config, *session, error) {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil, nil, err
	}
	config, err := d.tls.Build(host)
	if err != nil {
		return nil, nil, err
	}
	s := &session{taken: make(chan struct{})}
	own := config.GetClientCertificate
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		s.asked = true
		if own == nil {
			return &tls.Certificate{}, nil
		}
		return own(info)
	}
	config.ClientSessionCache = s
	return config, s, nil
}

// A session notices that the server asked for a certificate and that it sent a
// session ticket, by being a cache that keeps none: every connection makes a
// full handshake, so that changed authorities are always looked at.
type session struct {
	asked bool // set during the handshake
	taken chan struct{}
	put   atomic.Bool
}

// judged reports whether the server still has to say what it thinks of our certificate.
func (s *session) judged(c *conn) bool {
	if s == nil || !s.asked {
		return false
	}
	t, ok := c.Conn.(*tls.Conn)
	return ok && t.ConnectionState().Version >= tls.VersionTLS13
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (s *session) Put(_ string, cs *tls.ClientSessionState) {
	if cs != nil && s.put.CompareAndSwap(false, true) {
		close(s.taken)
	}
}

// ended tells the dialer how the last connection to an endpoint went: whether
// it left off with bytes that were not acknowledged.
func (d *dialer) ended(c *conn, stuck bool) {
	if stuck {
		d.shunned.Store(&c.endpoint)
	} else {
		d.shunned.Store(nil)
	}
}
