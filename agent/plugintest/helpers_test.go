package plugintest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
)

// dial connects to a mock's socket.
func dial(r *Receiver) (net.Conn, error) {
	if r.opts.Transport == "udp" {
		return net.Dial("udp", r.Addr())
	}
	if r.CA() == nil {
		return net.Dial("tcp", r.Addr())
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.CA())
	return tls.Dial("tcp", r.Addr(), &tls.Config{RootCAs: pool})
}
