package http

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"github.com/adrian207/siemd/agent"
)

// A door is a listener that lets in so many connections and no more, in all
// and from one address.
type door struct {
	net.Listener
	tls             *tls.Config // nil: plain
	most, each      int
	tooMany, unfair *metrics.Counter

	mu     sync.Mutex // guards the rest
	open   int
	from   map[netip.Addr]int
	silent map[net.Conn]bool // connections that have said nothing yet
	closed bool
}

func newDoor(ln net.Listener, c Config, env agent.Env) *door {
	most := c.MaxConnections
	if half := max(agent.Descriptors()/2, 2); most > half {
		most = half
		env.Log.Warn("fewer connections than max_connections are taken, because of the limit of open files (LimitNOFILE, ulimit -n)", "connections", most, "max_connections", c.MaxConnections)
	}
	return &door{
		Listener: ln, most: most, each: c.MaxPerAddress,
		tooMany: env.Counter("connections_refused_total", "reason", "all"),
		unfair:  env.Counter("connections_refused_total", "reason", "address"),
		from:    map[netip.Addr]int{}, silent: map[net.Conn]bool{},
	}
}

// serve is the listener as the server sees it.
func (d *door) serve() net.Listener {
	if d.tls == nil {
		return d
	}
	return tls.NewListener(d, d.tls)
}

// Accept closes connections beyond the limits at once.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addrOf(c)
		if d.enter(addr) {
			return &visitor{Conn: c, door: d, addr: addr}, nil
		}
		c.Close()
	}
}

func addrOf(c net.Conn) netip.Addr {
	p, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

func (d *door) enter(addr netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.open >= d.most:
		d.tooMany.Inc()
		return false
	case d.from[addr] >= d.each:
		d.unfair.Inc()
		return false
	}
	d.open++
	d.from[addr]++
	return true
}

func (d *door) leave(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.from[addr]--; d.from[addr] == 0 {
		delete(d.from, addr)
	}
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// note follows the server's connections.
func (d *door) note(c net.Conn, s http.ConnState) {
	d.mu.Lock()
	late := s == http.StateNew && d.closed
	if s == http.StateNew && !late {
		d.silent[c] = true
	} else {
		delete(d.silent, c)
	}
	d.mu.Unlock()
	if late {
		c.Close()
	}
}

// hurry closes the connections that have said nothing yet. The server itself
// would wait for them at its stop, for five seconds.
func (d *door) hurry() {
	d.mu.Lock()
	d.closed = true
	silent := d.silent
	d.silent = map[net.Conn]bool{}
	d.mu.Unlock()
	for c := range silent {
		c.Close() // takes the lock, by leave
	}
}

// A visitor is counted until it is closed.
type visitor struct {
	net.Conn
	door *door
	addr netip.Addr
	once sync.Once
}

func (v *visitor) Close() error {
	v.once.Do(func() { v.door.leave(v.addr) })
	return v.Conn.Close()
}
