package syslog

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// A receiver that closes its end is taken to have read everything only if it
// has: what its TCP acknowledged and its program left unread is sent again.
func TestAReceiverThatLeavesFramesUnread(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	const frame = "<14>1 - - - - - -\n"
	for _, tt := range []struct {
		name        string
		tls, unread bool
	}{{"tls", true, false}, {"tls, unread", true, true}, {"tcp", false, false}, {"tcp, unread", false, true}} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			address := l.Addr().String()
			read, leave := make(chan struct{}), make(chan struct{})
			go func() {
				peer, err := l.Accept()
				if err != nil {
					return
				}
				if tt.tls {
					peer = tls.Server(peer, ca.server(t, "127.0.0.1", time.Now().Add(time.Hour)))
				}
				if _, err := io.ReadFull(peer, make([]byte, len(frame))); err != nil {
					t.Errorf("receiver: %v", err)
				}
				close(read)
				<-leave
				if !tt.unread {
					if _, err := io.ReadFull(peer, make([]byte, len(frame))); err != nil {
						t.Errorf("receiver: %v", err)
					}
				}
				peer.Close()
			}()

			d := &dialer{tls: tlsConfig(ca, address).TLS, patience: patience}
			raw, err := d.tcp(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			c, err := newConn(raw, address)
			if err != nil {
				t.Fatal(err)
			}
			if tt.tls {
				if c.Conn, _, err = d.handshake(t.Context(), raw, address); err != nil {
					t.Fatal(err)
				}
			}
			for _, after := range []chan struct{}{read, nil} {
				if _, err := c.Write([]byte(frame)); err != nil {
					t.Fatal(err)
				}
				if after != nil {
					<-after
				}
			}
			for c.acked() < raw.written.Load() {
				time.Sleep(time.Millisecond)
			}
			close(leave)
			c.watch()
			if c.orderly() == tt.unread {
				t.Errorf("it ended with %v, in good order: %v", c.reason(), c.orderly())
			}
		})
	}
}
