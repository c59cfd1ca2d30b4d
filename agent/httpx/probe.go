package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/adrian207/siemd/agent"
)

// A Path is the way to a receiver, as far as its protocol does not matter.
type Path struct {
	Address string      // host:port
	TLS     *tls.Config // nil: no TLS
	Dialer  *net.Dialer
}

// Probe looks up, connects and shakes hands, and reports each step: "dns",
// "tcp" and, with TLS, "tls". Each takes 10 s at most. The error is that of the
// step that failed. The connection is the caller's.
func (p Path) Probe(ctx context.Context, report func(agent.Step)) (net.Conn, error) {
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	step := func(name, detail string, err error, fix string) error {
		report(agent.Step{Name: name, Detail: fmt.Sprintf("%s (%s)", detail, time.Since(start).Round(100*time.Microsecond)), Err: err, Fix: fix})
		start = time.Now()
		return err
	}
	if net.ParseIP(host) != nil {
		_ = step("dns", host+" is an address", nil, "")
	} else {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		cancel()
		if err != nil {
			return nil, step("dns", host, err, "check the spelling of the name and the resolver of this machine")
		}
		_ = step("dns", host+" is "+strings.Join(addrs, ", "), nil, "")
	}
	conn, err := p.Dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, step("tcp", p.Address, err, tcpFix(err))
	}
	detail := "connected to " + conn.RemoteAddr().String()
	if p.TLS == nil {
		detail += ", not encrypted"
	}
	_ = step("tcp", detail, nil, "")
	if p.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(conn, p.TLS)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, step("tls", "handshake with "+p.TLS.ServerName, err, TLSFix(err))
	}
	_ = step("tls", describe(secure.ConnectionState(), p.TLS), nil, "")
	return secure, nil
}

func tcpFix(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check the port, and that the receiver runs"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer: look for a firewall in between, and check the address"
	}
	return "check the address and the route to it"
}

// TLSFix is what a person can do about a handshake that failed with err.
func TLSFix(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &name):
		names := name.Certificate.DNSNames
		for _, ip := range name.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		return "set tls.server_name to a name in the certificate: " + strings.Join(names, ", ")
	case errors.As(err, &unknown):
		return "set tls.ca_file to the PEM file of the authority that issued the receiver's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the receiver's certificate, or set this machine's clock"
	case errors.As(err, &record):
		return "the port does not speak TLS: use another port, or an endpoint without TLS"
	case strings.Contains(err.Error(), "tls: protocol version not supported"):
		return "the two have no version of TLS in common: check tls.min_version, and what the receiver speaks (TLS 1.2 is the least)"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer to the handshake: check that the receiver speaks TLS on this port, and not plain text"
	case errors.As(err, &op) && op.Op == "remote error":
		return "the receiver refused us: it may want a client certificate (tls.cert_file and tls.key_file) of an authority that it trusts"
	}
	return "check that the receiver speaks TLS on this port, and tls.min_version"
}

func describe(cs tls.ConnectionState, cfg *tls.Config) string {
	text := tls.VersionName(cs.Version)
	if len(cs.PeerCertificates) == 0 {
		return text
	}
	c := cs.PeerCertificates[0]
	days := int(time.Until(c.NotAfter) / (24 * time.Hour))
	text += fmt.Sprintf(", %s, issued by %s, valid until %s", c.Subject, c.Issuer, c.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case cfg.InsecureSkipVerify && cfg.VerifyConnection == nil:
		text += ", not verified"
	case days < 14:
		text += fmt.Sprintf(", expires in %d days", days)
	}
	return text
}

// maxSkew is how far a receiver's clock may be off before a probe complains.
const maxSkew = time.Minute

// Clock reports a step "clock" about the Date that a receiver sent, if it sent
// one. A wrong clock puts events where searches do not look for them, but
// keeps none from being sent, so it is no error of a probe.
func (r *Response) Clock(now time.Time, report func(agent.Step)) {
	date, err := time.Parse(time.RFC1123, r.Header.Get("Date"))
	if err != nil {
		return
	}
	skew := now.Sub(date).Round(time.Second)
	if skew.Abs() <= maxSkew {
		report(agent.Step{Name: "clock", Detail: "agrees with the receiver's"})
		return
	}
	report(agent.Step{
		Name: "clock", Detail: "differs from the receiver's",
		Err: fmt.Errorf("this machine's clock is %s off the receiver's", skew), Fix: "synchronise both with NTP",
	})
}
