package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/adrian207/siemd/agent"
)

// hintOf says what a person can do about err; empty if there is nothing to say.
func hintOf(err error) string {
	if errors.Is(err, errGuard) {
		return "what is wrong is probably the connection, not the events: check index, type and format, then test it; it goes on by itself once one is taken"
	}
	var answer *agent.AnswerError
	if errors.As(err, &answer) {
		switch {
		case answer.Fix != "":
			return answer.Fix
		case answer.Status != 0:
			return hintOfStatus(answer.Status, agent.IsPermanent(err) || agent.IsSuspect(err))
		}
	}
	if hint := hintOfTLS(err); hint != "" {
		return hint
	}
	var dns *net.DNSError
	var timeout net.Error
	switch text := err.Error(); {
	case errors.As(err, &dns), strings.Contains(text, "no such host"):
		return "the name is not known: check its spelling and this machine's resolver"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port, and that the SIEM runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way there: check the address, routes and firewalls"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time: check firewalls on the way and the SIEM's load; timeout can be raised"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the other side cut the connection: is that port for plain text, or for TLS? Has the SIEM just been restarted?"
	case strings.Contains(text, "malformed HTTP"):
		return "that port does not speak HTTP: check the port"
	case errors.Is(err, os.ErrPermission):
		return "the user that siemd runs as may not do that: check owner and mode"
	case errors.Is(err, syscall.ENOSPC):
		return "make room on that filesystem"
	}
	return ""
}

// hintOfStatus also wants to know whether the events were blamed: only those are in the failed store.
func hintOfStatus(status int, blamed bool) string {
	switch status {
	case http.StatusUnauthorized:
		return "the SIEM does not accept these credentials: check token, user and password, and whether they have expired"
	case http.StatusForbidden:
		return "the SIEM knows who this is and forbids it: check the role, the allowed indexes and whether the token is enabled"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "the SIEM answers, but not at this path: check endpoint, port and index"
	case http.StatusProxyAuthRequired:
		return "the proxy wants credentials: put them into the proxy's URL"
	case http.StatusRequestEntityTooLarge:
		return "batches are too large for the SIEM: lower batch.max_bytes"
	case http.StatusTooManyRequests:
		return "the SIEM asks for less: it is retried as it says; rate_limit evens the load out"
	}
	switch {
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return "the SIEM, or a balancer before it, is in trouble: nothing is lost, it is tried again until it recovers"
	case status >= 400 && blamed:
		return "the SIEM refuses these events: the failed events show its reasons"
	case status == http.StatusUnsupportedMediaType, status == http.StatusNotAcceptable:
		return "the SIEM does not take requests of this kind: try compression: none, and check that type and endpoint belong together"
	case status >= 400:
		return "the SIEM refuses the request, whatever events are in it: its answer says why; they are held, and sent when it is mended"
	case status >= 300:
		return "redirects are not followed: put the address that it leads to into endpoint"
	}
	return "this is not how that kind of SIEM answers: is something else behind endpoint, a login page or a proxy?"
}

func hintOfTLS(err error) string {
	var (
		unknown *x509.UnknownAuthorityError
		unknow  x509.UnknownAuthorityError
		host    *x509.HostnameError
		hostVal x509.HostnameError
		invalid *x509.CertificateInvalidError
		invaVal x509.CertificateInvalidError
		record  *tls.RecordHeaderError
		recVal  tls.RecordHeaderError
		alert   *net.OpError
	)
	switch {
	case errors.As(err, &unknow), errors.As(err, &unknown):
		return "its certificate is signed by nobody known here: give the CA in tls.ca_file"
	case errors.As(err, &hostVal), errors.As(err, &host):
		return "its certificate is for another name: use that name in endpoint, or set tls.server_name"
	case errors.As(err, &invaVal) && invaVal.Reason == x509.Expired, errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or this machine's clock is wrong"
	case errors.As(err, &recVal), errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "that port does not speak TLS: write http://, or transport: tcp for syslog, or use the other port"
	case strings.Contains(err.Error(), "tls: protocol version not supported"):
		return "the two have no version of TLS in common: check tls.min_version, and what the SIEM speaks (TLS 1.2 is the least)"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "the SIEM refuses this side's TLS: it may want a client certificate of an authority that it trusts, in tls.cert_file and tls.key_file, or other versions of TLS"
	}
	return ""
}
