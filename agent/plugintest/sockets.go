package plugintest

import (
	"crypto/tls"
	"net"
)

// cut closes a connection with a reset.
func cut(c net.Conn) {
	inner := c
	if t, ok := c.(*tls.Conn); ok {
		inner = t.NetConn()
	}
	if t, ok := inner.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	inner.Close()
}

// gate refuses single connections on command.
type gate struct {
	net.Listener
	r *Receiver
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.r.faults.is("refuse") {
			return c, err
		}
		cut(c)
	}
}
