package syslog

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
)

// BenchmarkWrite sends batches of 1000 encoded events of 423 bytes to a reader that discards them.
func BenchmarkWrite(b *testing.B) {
	for _, transport := range []string{"tcp", "tls", "udp"} {
		b.Run(transport, func(b *testing.B) {
			config := tcpConfig()
			config.Transport = transport
			if transport == "udp" {
				server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					b.Fatal(err)
				}
				defer server.Close()
				config.Endpoint = []string{server.LocalAddr().String()}
			} else {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				config.Endpoint = []string{l.Addr().String()}
				if transport == "tls" {
					ca := newAuthority(b)
					config.TLS.CAFile = ca.file
					l = tls.NewListener(l, ca.server(b, "127.0.0.1", time.Now().Add(time.Hour)))
				}
				go func() {
					c, err := l.Accept()
					if err == nil {
						io.Copy(io.Discard, c)
						c.Close()
					}
				}()
			}
			o, err := newOutput(config, plain{}, testEnv(b))
			if err != nil {
				b.Fatal(err)
			}
			defer o.Close(context.Background())
			list := make([]agent.Event, 1000)
			for i := range list {
				list[i].Body = []byte(strings.Repeat("x", 423))
				list[i].Wire, _ = o.Encode(nil, &list[i])
			}
			if err := o.Write(context.Background(), list); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(423 * 1000)
			b.ReportAllocs()
			for b.Loop() {
				if err := o.Write(context.Background(), list); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
		})
	}
}
