package syslog

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/httpx"
)

// A receiver that refuses our certificate when frames are on their way is told
// of by its alert, whether that is read before a write fails or after. What ends
// otherwise stays a failed write: it is no end in good order.
func TestAlertBehindAFailedWrite(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	for name, refused := range map[string]bool{"refused": true, "closed": false} {
		t.Run(name, func(t *testing.T) {
			server := ca.server(t, "127.0.0.1", time.Now().Add(time.Hour))
			server.MinVersion = tls.VersionTLS13
			if refused {
				server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool()
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				raw, err := l.Accept()
				if err != nil {
					return
				}
				c := tls.Server(raw, server)
				if err := c.Handshake(); (err != nil) != refused {
					t.Errorf("handshake: %v", err)
				}
				c.Close()
			}()
			config := tlsConfig(ca, l.Addr().String())
			config.TLS.CertFile, config.TLS.KeyFile = stranger.issue(t, "client", time.Now().Add(time.Hour))
			d := &dialer{tls: config.TLS, patience: patience}
			raw, err := d.tcp(t.Context(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c, err := newConn(raw, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if c.Conn, _, err = d.handshake(t.Context(), raw, l.Addr().String()); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = c.Write([]byte("<14>1 - - - - - -\n"))
			}
			if !httpx.Severed(err) {
				t.Fatalf("Write: %v", err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.writeFailed(err)
			}()
			for waits := false; !waits; {
				c.mu.Lock()
				waits = c.cut != nil
				c.mu.Unlock()
			}
			c.watch() // nothing was read before
			<-done
			if err := c.reason(); httpx.IsTLS(err) != refused || c.orderly() || !refused && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("it ended because of %v, in good order: %v", err, c.orderly())
			}
		})
	}
}
