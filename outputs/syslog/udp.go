package syslog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A datagrams sends one datagram per event and hopes. The only answer that UDP
// has is an ICMP message that nobody listens; all else is lost without a trace.
type datagrams struct {
	endpoints []string
	control   func(network, address string) error

	lookup func(ctx context.Context, host string) (addresses []string, err error)

	mu        sync.Mutex // guards the rest
	conn      net.Conn
	made      time.Time
	at        int // index of the endpoint in use
	address   int // and of the address in use, of those that its name has
	addresses int // how many these are
}

// fresh is how long a resolved address is used: the name may move to another machine.
const fresh = time.Minute

// echo is how long a Write waits for an ICMP answer to its last datagrams.
const echo = time.Millisecond

// open makes the socket ready, on the next endpoint if the one in use has no address.
func (d *datagrams) open(ctx context.Context) error {
	if d.conn != nil && time.Since(d.made) < fresh {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var errs []error
	for range d.endpoints {
		endpoint := d.endpoints[d.at]
		c, err := d.connect(ctx, endpoint)
		if err == nil {
			if d.conn != nil {
				d.conn.Close()
			}
			d.conn, d.made = c, time.Now()
			return nil
		}
		if d.conn != nil {
			// A name server that is away for a while is no reason to stop.
			d.made = time.Now()
			return nil
		}
		errs = append(errs, fmt.Errorf("connect to %s: %w", endpoint, err))
		d.at, d.address = (d.at+1)%len(d.endpoints), 0
	}
	return errors.Join(errs...)
}

// connect makes a socket for the address in use of an endpoint, or for the
// next one if there is no way to that.
func (d *datagrams) connect(ctx context.Context, endpoint string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return nil, err
	}
	addresses, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	nd := net.Dialer{Control: func(network, address string, _ syscall.RawConn) error {
		if d.control == nil {
			return nil
		}
		return d.control(network, address)
	}}
	d.addresses = len(addresses)
	var errs []error
	for i := range addresses {
		at := (d.address + i) % len(addresses)
		c, err := nd.DialContext(ctx, "udp", net.JoinHostPort(addresses[at], port))
		if err == nil {
			d.address = at
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// send sends n datagrams in order; r gets those that can never be sent. It
// returns how many it came through, and why not all. A refusal, which does not
// say which datagram it is about, takes back all of them.
func (d *datagrams) send(ctx context.Context, n int, datagram func(int) []byte, r *results) (next int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(ctx); err != nil {
		return 0, err
	}
	for next < n {
		if err := ctx.Err(); err != nil {
			return next, err
		}
		p := datagram(next)
		if len(p) == 0 { // an empty datagram is no message
			next++
			continue
		}
		_, err := d.conn.Write(p)
		switch {
		case err == nil:
		case errors.Is(err, syscall.ECONNREFUSED):
			return 0, d.refused(err)
		case errors.Is(err, syscall.EMSGSIZE):
			err = fmt.Errorf("a datagram of %d bytes is larger than the network takes: %w", len(p), err)
			r.failed = append(r.failed, agent.EventError{Index: next, Err: agent.Permanent(err)})
		default:
			err = fmt.Errorf("send to %s: %w", d.endpoints[d.at], err)
			d.drop()
			return next, err
		}
		next++
	}
	return d.listen(next)
}

// listen waits a moment for a refusal of what was just sent.
func (d *datagrams) listen(sent int) (int, error) {
	var buf [1]byte
	d.conn.SetReadDeadline(time.Now().Add(echo))
	if _, err := d.conn.Read(buf[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(err, syscall.ECONNREFUSED) {
		return 0, d.refused(err)
	}
	return sent, nil
}

// refused turns to the next address of the endpoint, and after the last one to
// the next endpoint: a name often has an address of IPv6 beside the one that is listened at.
func (d *datagrams) refused(err error) error {
	err = fmt.Errorf("nobody listens at %s: %w", d.endpoints[d.at], err)
	d.drop()
	if d.address++; d.address >= d.addresses {
		d.at, d.address = (d.at+1)%len(d.endpoints), 0
	}
	return err
}

func (d *datagrams) drop() {
	d.conn.Close()
	d.conn = nil
}

func (d *datagrams) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		d.drop()
	}
	return nil
}
